//! From one node to another by way of a third.
//!
//! ```text
//! h1 -- data -- gwa ==+     +== gwb -- data -- h2
//!                     |     |
//!                     +=gwh=+
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gridway_e2e::Trio;
use gridway_lab::gateway::vnets;
use gridway_lab::tools::PortState::{Closed, Filtered, Open};
use gridway_lab::tools::{Probe, Scan, Traceroute};
use gridway_lab::{EchoServer, Hub, Iperf3, Iperf3Server, Namespace, Ping, Rate, Side};

/// Vnet `corp` of a side whose only way is the hub, which it knows as 172.16.3.254.
fn spoke(side: Side) -> String {
    let way_to_the_hub = "
  [[vnet.outside_nat]]
  virtual = \"10.200.3.0/24\"
  local = \"172.16.3.0/24\"

  [[vnet.route]]
  to = \"10.200.3.0/24\"
  via = \"gw-h\"
";
    vnets::corp(side).replace(&format!("via = \"{}\"", side.other().node()), "via = \"gw-h\"")
        + way_to_the_hub
}

fn trio(rules: &str) -> Trio {
    Trio::star([&spoke(Side::A), &spoke(Side::B), &vnets::corp_hub(true, rules)])
}

fn answered(from: &Namespace, to: Side) -> bool {
    let ping = Ping::new(vnets::outside_host(to, 0)).count(3).wait(Duration::from_millis(500));
    ping.run(from).unwrap().received == 3
}

#[test]
fn traffic_passes_by_way_of_the_hub() {
    let trio = trio(vnets::ALLOW_ALL);
    assert!(answered(trio.lab.h1(), Side::B), "{}", trio.evidence());
    assert!(answered(trio.lab.h2(), Side::A), "{}", trio.evidence());
    let mut iperf3 = Iperf3Server::start(trio.lab.h2(), 5201).unwrap();
    let (server, time) = (vnets::outside_host(Side::B, 0), Duration::from_secs(2));
    for test in [Iperf3::tcp(server), Iperf3::tcp(server).reverse()] {
        iperf3.wait_idle().unwrap();
        let report = test.duration(time).run(trio.lab.h1()).unwrap();
        assert!(report.mbps() > 5.0, "{report:?}");
    }
    iperf3.wait_idle().unwrap();
    let udp = Iperf3::udp(server, Rate::mbit(10)).length(1000).duration(time);
    assert_eq!(trio.lost_on_the_way(&udp), 0, "{}", trio.evidence());

    let flows = trio.hub.flows().unwrap();
    assert!(flows.iter().all(|flow| flow.relayed && flow.local == flow.virtual_tuple), "{flows:?}");
    assert!(flows.iter().any(|flow| flow.outbound.packets > 0 && flow.inbound.packets > 0), "{flows:?}");
    let counters = trio.hub.counters().unwrap();
    assert_eq!((counters.inbound.delivered, counters.outbound.tunnelled), (0, 0));
    trio.finish();
}

#[test]
fn traceroute_shows_the_hub_between_the_others() {
    let trio = trio(vnets::ALLOW_ALL);
    let target = vnets::outside_host(Side::B, 0);
    let way = [Side::A.data(), Ipv4Addr::new(172, 16, 3, 254), Ipv4Addr::new(172, 16, 2, 254), target];
    let _server = EchoServer::tcp(trio.lab.h2(), (Side::B.host(0), 7000).into()).unwrap();
    for probe in [Probe::Icmp, Probe::Udp, Probe::Tcp(7000)] {
        let hops = Traceroute::new(target).probe(probe).run(trio.lab.h1()).unwrap();
        let seen: Vec<_> = hops.iter().map(|hop| hop.address).collect();
        assert_eq!(seen, way.map(|hop| Some(IpAddr::V4(hop))), "{probe:?}\n{}", trio.evidence());
    }
    trio.finish();
}

#[test]
fn a_node_that_does_not_relay_refuses() {
    let mut trio = trio(vnets::ALLOW_ALL);
    assert!(answered(trio.lab.h1(), Side::B), "{}", trio.evidence());
    for relay in [false, true] {
        let config =
            trio.hub.config().clone().without_fragments().with(&vnets::corp_hub(relay, vnets::ALLOW_ALL));
        trio.hub.set_config(config).unwrap();
        assert_eq!(trio.hub.reload().unwrap(), None);
        let before = trio.hub.drops("transit_refused").unwrap();
        assert_eq!(answered(trio.lab.h1(), Side::B), relay, "{}", trio.evidence());
        let refused = trio.hub.drops("transit_refused").unwrap() - before;
        assert_eq!(refused, if relay { 0 } else { 3 });
    }
    trio.finish();
}

#[test]
fn the_hubs_access_policy_decides() {
    let rules = r#"
  [[vnet.acl]]
  line = 10
  action = "reject"
  protocol = "tcp"
  ports = "8100"

  [[vnet.acl]]
  line = 20
  action = "drop"
  protocol = "tcp"
  ports = "8200"

  [[vnet.acl]]
  line = 30
  action = "allow"
  protocol = "tcp"
"#;
    let trio = trio(rules);
    let host = |port| (Side::B.host(0), port).into();
    let _servers = [8000, 8100, 8200].map(|port| EchoServer::tcp(trio.lab.h2(), host(port)).unwrap());
    let scan = Scan::tcp(vnets::outside_host(Side::B, 0), "8000,8001,8100,8200");
    let report = scan.run(trio.lab.h1()).unwrap();
    let states: Vec<_> = report.ports.into_values().collect();
    assert_eq!(states, [Open, Closed, Closed, Filtered], "{}", trio.evidence());
    assert!(!answered(trio.lab.h1(), Side::B), "no rule allows ICMP");
    for (reason, least) in [("acl_reject", 1), ("acl_deny", 1), ("acl_no_match", 3)] {
        assert!(trio.hub.drops(reason).unwrap() >= least, "{reason}\n{}", trio.evidence());
    }
    assert_eq!(trio.b.drops("acl_reject").unwrap() + trio.a.drops("acl_reject").unwrap(), 0);
    trio.finish();
}

/// Neither end is told less because there is a node between them.
#[test]
fn a_hub_that_loses_the_far_node_says_so() {
    let mut trio = trio(vnets::ALLOW_ALL);
    assert!(answered(trio.lab.h1(), Side::B), "{}", trio.evidence());
    trio.b.stop().unwrap();
    trio.hub.wait_peer_down(Side::B.node(), gridway_e2e::LIMIT).unwrap();
    let report = Ping::new(vnets::outside_host(Side::B, 0)).count(1).run(trio.lab.h1()).unwrap();
    let expected = "From 172.16.3.254 icmp_seq=1 Destination Host Unreachable";
    assert_eq!(report.errors, [expected], "{}", trio.evidence());
    assert_eq!(trio.hub.drops("peer_down").unwrap(), 1);
    for node in [&trio.a, &trio.hub] {
        gridway_lab::gateway::check_books(node, gridway_e2e::LIMIT).unwrap();
    }
    assert_eq!(trio.a.peer(Hub::NODE).unwrap().connections, 1);
}
