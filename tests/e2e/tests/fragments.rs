//! Datagrams in fragments, through NAT, in any order.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::IpAddr;
use std::time::Duration;

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::{Capture, EchoServer, HOST_INTERFACE, Ping, Scapy, Side, wait_until};

/// The fragments of datagram `id` from h1 to the echo port of h2, in both families: a list each, in Python.
fn fragments(id: u16) -> [String; 2] {
    let datagram = format!("UDP(sport={}, dport=7000)/Raw(bytes(range(250))*12)", 4000 + id);
    [
        format!("fragment(IP(src='10.1.0.2', dst='172.16.2.2', id={id})/{datagram}, 800)"),
        format!(
            "fragment6(IPv6(src='fd00:1::2', dst='fd00:c0:2:0:ff3f::2')/IPv6ExtHdrFragment(id={id})/{datagram}, 800)"
        ),
    ]
}

in_both_layouts! {
    fn large_pings_cross_nat_both_ways(layout) {
        let pair = Pair::with(layout, vnets::dual);
        for side in Side::BOTH {
            let to: [IpAddr; 2] = [vnets::outside_host(side, 0).into(), vnets::outside_host6(side, 0).into()];
            for to in to {
                let report = Ping::new(to).payload(4000).count(10).run(pair.lab.host(side.other(), 0)).unwrap();
                assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
            }
        }
        for node in [&pair.a, &pair.b] {
            assert_eq!(node.drops("fragment_expired").unwrap(), 0);
            assert_eq!(node.drops("fragment_limit").unwrap(), 0);
        }
        pair.finish();
    }

    fn fragments_may_come_in_any_order_and_twice(layout) {
        let pair = Pair::with(layout, vnets::dual);
        let servers: [IpAddr; 2] = [Side::B.host(0).into(), Side::B.host6(0).into()];
        let servers = servers.map(|address| EchoServer::udp(pair.lab.h2(), (address, 7000).into()).unwrap());
        let mut capture = Capture::start_inbound(pair.lab.h2(), HOST_INTERFACE, "").unwrap();
        let scapy = Scapy::new(pair.lab.h1(), pair.lab.gwa()).unwrap();
        let orders = [
            "ONE[::-1]",
            "[f for f in ONE for _ in range(2)]",
            "[f for f in ONE[::-1] for _ in range(2)]",
            "[f for pair in zip(ONE[::-1], TWO[::-1]) for f in pair]",
        ];
        let mut all = Vec::new();
        for (number, order) in (1..).step_by(2).zip(&orders) {
            for (one, two) in fragments(number).into_iter().zip(fragments(number + 1)) {
                all.push(order.replace("ONE", &one).replace("TWO", &two));
            }
        }
        scapy.send(&format!("sum([{}], [])", all.join(", "))).unwrap();
        for server in &servers {
            let count = || (server.clients().len() == 5).then_some(());
            wait_until("five datagrams", LIMIT, count)
                .unwrap_or_else(|error| panic!("{error}{:?}\n{}", server.clients(), pair.evidence()));
        }
        capture.stop().unwrap();
        // Whole datagrams, so the checksum speaks of all their bytes.
        let whole = capture.fields("udp.length == 3008 && udp.checksum.status == 1", &["udp.srcport"]).unwrap();
        assert!(whole.len() >= 10, "{whole:?}");
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
        pair.finish();
    }
}

#[test]
fn fragments_whose_first_never_comes_are_counted_when_their_time_is_up() {
    let pair = Pair::with(Layout::Combined, vnets::dual);
    let mut capture = Capture::start_inbound(pair.lab.h2(), HOST_INTERFACE, "ip or ip6").unwrap();
    let scapy = Scapy::new(pair.lab.h1(), pair.lab.gwa()).unwrap();
    let [v4, v6] = fragments(1);
    // Three later fragments each, and twenty of a datagram of which sixteen may wait.
    let many = "fragment(IP(src='10.1.0.2', dst='172.16.2.2', id=9)/UDP()/Raw(bytes(4000)), 200)[1:21]";
    scapy.send(&format!("{v4}[1:] + {v6}[1:] + {many}")).unwrap();
    wait_until("refused fragments", LIMIT, || (pair.a.drops("fragment_limit").unwrap() == 4).then_some(()))
        .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    let held = pair.a.counters().unwrap().outbound.held;
    assert_eq!(pair.a.drops("fragment_expired").unwrap(), 0, "{held} wait");
    let expired = || pair.a.drops("fragment_expired").unwrap();
    wait_until("fragments to expire", Duration::from_secs(20), || (expired() > 0).then_some(())).unwrap();
    wait_until("all of them", LIMIT, || (expired() == held).then_some(()))
        .unwrap_or_else(|error| panic!("{error}{held} held\n{}", pair.evidence()));
    capture.stop().unwrap();
    assert_eq!(capture.fields("ip.flags.mf == 1 || ip.frag_offset > 0", &["ip.src"]).unwrap(), [[""; 0]; 0]);
    // Those that come after are followed again.
    let report = Ping::new(vnets::outside_host(Side::B, 0)).payload(4000).run(pair.lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}");
    pair.finish();
}

#[test]
fn fragments_that_cannot_be_honest_are_dropped_for_that_reason() {
    let pair = Pair::with(Layout::Combined, vnets::dual);
    let scapy = Scapy::new(pair.lab.h1(), pair.lab.gwa()).unwrap();
    let v4 = "IP(src='10.1.0.2', dst='172.16.2.2', id=5";
    let v6 = "IPv6(src='fd00:1::2', dst='fd00:c0:2:0:ff3f::2')/IPv6ExtHdrFragment(id=5, nh=6, ";
    let cases = [
        // Over the TCP header that policy judges.
        ("overlapping_fragment", format!("{v4}, proto=6, frag=1)/Raw(bytes(64))")),
        ("overlapping_fragment", format!("{v6}offset=1, m=0)/Raw(bytes(64))")),
        // Not the last, and no multiple of 8 bytes.
        ("bad_fragment_length", format!("{v4}, proto=17, flags='MF', frag=100)/Raw(bytes(63))")),
        ("bad_fragment_length", format!("{v6}offset=100, m=1)/Raw(bytes(63))")),
        // Beyond 65,535 bytes.
        ("bad_fragment_length", format!("{v4}, proto=17, frag=8189)/Raw(bytes(64))")),
        // A first fragment that hides its ports.
        ("truncated_transport", format!("{v4}, proto=6, flags='MF')/Raw(bytes(16))")),
    ];
    let packets: Vec<&str> = cases.iter().map(|(_, packet)| packet.as_str()).collect();
    scapy.send(&format!("[{}]", packets.join(", "))).unwrap();
    for (reason, _) in &cases {
        let expected = cases.iter().filter(|(other, _)| other == reason).count() as u64;
        wait_until(reason, LIMIT, || (pair.a.drops(reason).unwrap() == expected).then_some(()))
            .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    }
    assert_eq!(pair.b.counters().unwrap().inbound.rx_packets, 0);
    pair.finish();
}
