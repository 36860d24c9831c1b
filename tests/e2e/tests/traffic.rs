//! Real traffic between the hosts of two nodes.
//!
//! ```text
//! h1 -- data -- gwa == wan == gwb -- data -- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::{
    Capture, EchoServer, HOST_INTERFACE, Iperf3, Iperf3Server, Marker, Namespace, Ping, Rate, Side,
    WAN_INTERFACE,
};

fn assert_ping(pair: &Pair, from: &Namespace, to: impl Into<IpAddr>) {
    let report = Ping::new(to).count(20).run(from).unwrap();
    assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
}

/// What a capture has of segments with data.
fn segments(capture: &mut Capture) -> BTreeSet<Vec<String>> {
    capture.stop().unwrap();
    assert_eq!(capture.bad_checksums().unwrap(), Vec::<Vec<String>>::new());
    let fields = [
        "tcp.seq_raw",
        "tcp.ack_raw",
        "tcp.len",
        "tcp.flags",
        "tcp.window_size_value",
        "tcp.options",
        "tcp.checksum",
    ];
    capture.fields("tcp.len > 0", &fields).unwrap().into_iter().collect()
}

in_both_layouts! {
    fn ping_crosses_nat_both_ways(layout) {
        let pair = Pair::corp(layout);
        assert_ping(&pair, pair.lab.h1(), vnets::outside_host(Side::B, 0));
        assert_ping(&pair, pair.lab.h2(), vnets::outside_host(Side::A, 0));
        for node in [&pair.a, &pair.b] {
            let nat = node.nat().unwrap();
            assert!(nat.iter().all(|rule| rule.hits >= 2), "{nat:?}");
        }
        pair.finish();
    }

    fn ping_crosses_without_nat_in_both_families(layout) {
        let pair = Pair::with(layout, vnets::plain);
        assert_ping(&pair, pair.lab.h1(), Side::B.host(0));
        assert_ping(&pair, pair.lab.h2(), Side::A.host(0));
        assert_ping(&pair, pair.lab.h1(), Side::B.host6(0));
        assert_ping(&pair, pair.lab.h2(), Side::A.host6(0));
        pair.finish();
    }

    fn a_nodes_own_addresses_answer_ping(layout) {
        let pair = Pair::corp(layout);
        // h1 knows gw-b's address in the vnet, 10.200.2.254, as 172.16.2.254.
        assert_ping(&pair, pair.lab.h1(), std::net::Ipv4Addr::new(172, 16, 2, 254));
        // And its data address 10.2.0.1 as 172.16.2.1.
        assert_ping(&pair, pair.lab.h1(), std::net::Ipv4Addr::new(172, 16, 2, 1));
        assert_eq!(pair.b.counters().unwrap().inbound.answered, 40);
        pair.finish();
    }

    fn iperf3_tcp_and_udp_cross_nat(layout) {
        let pair = Pair::corp(layout);
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let server = vnets::outside_host(Side::B, 0);
        let second = Duration::from_secs(2);
        let tcp = Iperf3::tcp(server).duration(second).run(pair.lab.h1()).unwrap();
        assert!(tcp.mbps() > 10.0, "{tcp:?}");
        let back = Iperf3::tcp(server).duration(second).reverse().parallel(4).run(pair.lab.h1()).unwrap();
        assert!(back.mbps() > 10.0, "{back:?}");
        let udp = Iperf3::udp(server, Rate::mbit(20)).length(1200).duration(second);
        assert_eq!(pair.lost_on_the_way(&udp), 0, "{}", pair.evidence());
        pair.finish();
    }

    fn segments_that_leave_together_arrive_as_they_were_sent(layout) {
        // Without NAT: addresses, ports and so checksums are the same on both data links.
        let pair = Pair::with(layout, vnets::plain);
        let hosts = |side: Side| [IpAddr::from(side.host(0)), IpAddr::from(side.host6(0))];
        for (from, to) in hosts(Side::A).into_iter().zip(hosts(Side::B)) {
            let before = pair.b.counters().unwrap();
            let filter = format!("tcp and src {from} and port 7000");
            let mut captures = [pair.lab.h1(), pair.lab.h2()]
                .map(|host| Capture::start(host, HOST_INTERFACE, &filter).unwrap());
            let server = EchoServer::tcp(pair.lab.h2(), (to, 7000).into()).unwrap();
            let payload = Marker::random().payload(2_000_000);
            let echoed =
                gridway_lab::tools::echo_tcp(pair.lab.h1(), server.address(), &payload, LIMIT).unwrap();
            assert!(echoed == payload, "{} bytes came back", echoed.len());
            let [sent, received] = captures.each_mut().map(segments);
            // What was lost on the way went out again with another time stamp; but nothing came that had not been sent.
            assert!(received.len() > 1000, "{} segments", received.len());
            assert_eq!(received.difference(&sent).collect::<Vec<_>>(), Vec::<&Vec<String>>::new());
            let after = pair.b.counters().unwrap();
            let coupled = after.segments_coupled - before.segments_coupled;
            let delivered = after.inbound.delivered - before.inbound.delivered;
            println!("{coupled} of {delivered} packets left as part of a longer one");
            assert!(coupled > 0 && coupled <= delivered);
        }
        pair.finish();
    }

    fn payloads_are_not_on_the_wan_and_arrive_unchanged(layout) {
        let pair = Pair::corp(layout);
        let mut capture = Capture::start(pair.lab.gwa(), WAN_INTERFACE, "").unwrap();
        let server = EchoServer::tcp(pair.lab.h2(), (Side::B.host(0), 7000).into()).unwrap();
        let marker = Marker::random();
        let payload = marker.payload(300_000);
        let to = (vnets::outside_host(Side::B, 0), server.address().port()).into();
        let echoed = gridway_lab::tools::echo_tcp(pair.lab.h1(), to, &payload, LIMIT).unwrap();
        assert_eq!(echoed, payload);
        capture.stop().unwrap();
        // Both ways, so that the capture is known to have seen the traffic.
        let size = capture.size().unwrap();
        assert!(size > 2 * payload.len() as u64, "only {size} bytes captured");
        assert!(!capture.contains(marker.bytes()).unwrap());
        // The server saw the far hosts' local identity, not a real address of the other side.
        assert!(server.clients().iter().all(|client| client.ip() == vnets::outside_host(Side::A, 0)));
        pair.finish();
    }
}

/// Flows whose answers come in on the other queue belong to the same flow table.
#[test]
fn queues_share_their_flows() {
    let pair = Pair::corp(Layout::Separate);
    let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
    let tcp = Iperf3::tcp(vnets::outside_host(Side::B, 0)).parallel(8).duration(Duration::from_secs(2));
    tcp.run(pair.lab.h1()).unwrap();
    let flows = pair.a.flows().unwrap();
    let tcp_flows = flows.iter().filter(|flow| flow.local.proto == 6).count();
    // Eight streams and iperf3's control connection: each once, though packets came by two queues.
    assert_eq!(tcp_flows, 9, "{flows:?}");
    assert!(flows.iter().all(|flow| flow.outbound.packets > 0 && flow.inbound.packets > 0), "{flows:?}");
    assert_eq!(pair.a.status().unwrap().data.unwrap().queues, 2);
    pair.finish();
}
