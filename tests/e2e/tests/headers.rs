//! What a packet carries beside addresses and ports, and protocols that have no ports.

use std::net::IpAddr;

use gridway_e2e::{LIMIT, Layout, Pair};
use gridway_lab::gateway::vnets;
use gridway_lab::{Capture, HOST_INTERFACE, Ping, Scapy, Side, wait_until};

/// h2 as h1 knows it, in both families.
fn h2() -> [IpAddr; 2] {
    [vnets::outside_host(Side::B, 0).into(), vnets::outside_host6(Side::B, 0).into()]
}

#[test]
fn dscp_and_ecn_are_kept_both_ways() {
    let pair = Pair::with(Layout::Combined, vnets::dual);
    let mut captures = [pair.lab.h1(), pair.lab.h2()]
        .map(|host| Capture::start_inbound(host, HOST_INTERFACE, "icmp or icmp6").unwrap());
    // Expedited forwarding with ECT(1), and AF11 with CE.
    let classes = [0xb9, 0x2b];
    for (class, to) in classes.into_iter().flat_map(|class| h2().map(|to| (class, to))) {
        let report = Ping::new(to).count(3).class(class).run(pair.lab.h1()).unwrap();
        assert!(report.all_answered(), "{report:?}");
    }
    for (capture, types) in captures.iter_mut().zip(["icmp.type == 0", "icmp.type == 8"]) {
        capture.stop().unwrap();
        let classes = capture.fields(types, &["ip.dsfield"]).unwrap();
        let expected: Vec<_> = [["0xb9"]; 3].into_iter().chain([["0x2b"]; 3]).collect();
        assert_eq!(classes, expected, "{types}");
    }
    // The kernel answers IPv6 echo without the class of the request.
    let classes = captures[1].fields("icmpv6.type == 128", &["ipv6.tclass"]).unwrap();
    let values: Vec<_> = classes.iter().flatten().map(|text| text.trim_start_matches("0x000000")).collect();
    assert_eq!(values, ["b9", "b9", "b9", "2b", "2b", "2b"]);
    pair.finish();
}

#[test]
fn options_and_extension_headers_pass() {
    let pair = Pair::with(Layout::Combined, vnets::dual);
    let mut captures = [pair.lab.h1(), pair.lab.h2()]
        .map(|host| Capture::start_inbound(host, HOST_INTERFACE, "icmp or ip6").unwrap());
    let [v4, _] = h2();
    let report = Ping::new(v4).count(3).record_route().run(pair.lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
    let scapy = Scapy::new(pair.lab.h1(), pair.lab.gwa()).unwrap();
    let v6 = "IPv6(src='fd00:1::2', dst='fd00:c0:2:0:ff3f::2')";
    let options = "IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])";
    scapy
        .send(&format!(
            "[{v6}/{options}/ICMPv6EchoRequest(id=1, seq=n) for n in range(3)] \
             + [{v6}/IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])/{options}/ICMPv6EchoRequest(id=2)]"
        ))
        .unwrap();
    // All four are answered, so their checksums were right.
    wait_until("four replies", LIMIT, || (pair.a.counters().unwrap().inbound.rx_packets >= 7).then_some(()))
        .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    captures.iter_mut().for_each(|capture| assert_eq!(capture.stop().unwrap().dropped, 0));
    let [near, far] = &captures;
    assert_eq!(far.fields("ip.opt.type == 7 && icmp.type == 8", &["ip.src"]).unwrap(), [["172.16.1.2"]; 3]);
    assert_eq!(near.fields("ip.opt.type == 7 && icmp.type == 0", &["ip.src"]).unwrap(), [["172.16.2.2"]; 3]);
    let with_options = far.fields("ipv6.dstopts && icmpv6.type == 128", &["ipv6.src"]).unwrap();
    assert_eq!(with_options, [["fd00:c0:1:0:ff3f::2"]; 4]);
    assert_eq!(near.fields("icmpv6.type == 129", &["ipv6.src"]).unwrap(), [["fd00:c0:2:0:ff3f::2"]; 4]);
    for capture in &captures {
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
    }
    pair.finish();
}

/// SCTP and GRE are allowed, ESP is not.
const PROTOCOLS: &str = r#"
  [[vnet.acl]]
  line = 1
  action = "allow"
  protocol = 132

  [[vnet.acl]]
  line = 2
  action = "allow"
  protocol = 47
"#;

#[test]
fn protocols_without_ports_pass_where_the_policy_allows() {
    let pair = Pair::with(Layout::Combined, |side| vnets::dual_with(side, "") + PROTOCOLS);
    let mut captures = [pair.lab.h1(), pair.lab.h2()]
        .map(|host| Capture::start_inbound(host, HOST_INTERFACE, "ip or ip6").unwrap());
    let scapy = Scapy::new(pair.lab.h1(), pair.lab.gwa()).unwrap();
    let payloads = [
        "SCTP(sport=5000, dport=6000)/SCTPChunkInit(init_tag=7, n_out_streams=1, n_in_streams=1)",
        "GRE()/IP(src='203.0.113.1', dst='203.0.113.2')/UDP()",
        "Raw(bytes(40))",
    ];
    let [sctp, gre, esp] = payloads;
    let (v4, v6) = ("IP(src='10.1.0.2', dst='172.16.2.2'", "IPv6(src='fd00:1::2', dst='fd00:c0:2:0:ff3f::2'");
    scapy
        .send(&format!(
            "[{v4})/{sctp}, {v6})/{sctp}, {v4})/{gre}, {v6})/{gre}, {v4}, proto=50)/{esp}, {v6}, nh=50)/{esp}]"
        ))
        .unwrap();
    wait_until("two refusals", LIMIT, || (pair.a.drops("acl_no_match").unwrap() == 2).then_some(()))
        .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    wait_until("four packets", LIMIT, || (pair.b.counters().unwrap().inbound.delivered == 4).then_some(()))
        .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    wait_until("answers of the far kernel", LIMIT, || {
        (pair.a.counters().unwrap().inbound.delivered == 4).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}{}", pair.evidence()));
    captures.iter_mut().for_each(|capture| assert_eq!(capture.stop().unwrap().dropped, 0));
    let [near, far] = &captures;
    let count = |capture: &Capture, filter: &str| capture.fields(filter, &["frame.number"]).unwrap().len();
    for source in ["ip.src == 172.16.1.2", "ipv6.src == fd00:c0:1:0:ff3f::2"] {
        assert_eq!(count(far, &format!("{source} && sctp && sctp.checksum.status == 1")), 1);
        assert_eq!(count(far, &format!("{source} && gre")), 1);
    }
    assert_eq!(count(far, "ip.proto == 50 || ipv6.nxt == 50"), 0);
    // The far kernel speaks neither protocol, and says so: protocol unreachable, unrecognized next header.
    assert_eq!(count(near, "ip.src == 172.16.2.2 && icmp.type == 3 && icmp.code == 2"), 2);
    assert_eq!(count(near, "ipv6.src == fd00:c0:2:0:ff3f::2 && icmpv6.type == 4 && icmpv6.code == 1"), 2);
    assert_eq!(count(near, "ip.src == 10.1.0.1 && icmp.type == 3 && icmp.code == 13"), 1);
    assert_eq!(count(near, "ipv6.src == fd00:1::1 && icmpv6.type == 1 && icmpv6.code == 1"), 1);
    for capture in &captures {
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
    }
    pair.finish();
}
