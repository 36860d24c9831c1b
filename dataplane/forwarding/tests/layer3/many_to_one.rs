//! Port mappings of remote hosts that share a local address (RFC 4787, 5382, 5508).

use std::collections::HashSet;
use std::time::Duration;

use gridway_forwarding::flow::EndReason;
use gridway_forwarding::{DropReason, Inbound};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use proptest::prelude::*;

use crate::sharing::{
    REMOTE, SHARED, arrive, echo_from, gre_from, kill_all, local_answer, node, pat, peer_of, tcp_from,
    udp_from,
};
use crate::support::{ALLOW_ALL, HOST_A, Node, address, judged, packet, udp};

const ANOTHER_HOST: &str = "10.1.0.3";

/// A local packet to the shared address.
fn to_shared(source: &str, ports: (u16, u16)) -> PacketSpec {
    packet(source, SHARED, Content::Udp { ports, checksum: true })
}

#[test]
fn a_port_that_is_free_is_kept() {
    let mut node = node();
    for spec in [
        udp_from(REMOTE[0], (40_000, 53)),
        tcp_from(REMOTE[0], (40_000, 443), TcpFlags::SYN),
        udp_from(REMOTE[1], (500, 500)),
        echo_from(REMOTE[0], 0),
        echo_from(REMOTE[1], 0xffff),
    ] {
        let tuple = arrive(&mut node, &spec);
        assert_eq!(tuple.source, address(SHARED));
        assert_eq!(tuple.destination, address(HOST_A[0]));
        assert_eq!(tuple.source_port, spec.tuple().source_port);
        assert_eq!(tuple.destination_port, spec.tuple().destination_port, "destination ports never change");
    }
}

#[test]
fn a_port_that_is_taken_is_replaced_by_one_of_its_range_and_parity() {
    for port in [40_000, 40_001, 500, 501, 1, 1023, 1024, 65_535] {
        let mut node = node();
        let mut seen = HashSet::new();
        for host in 1..=20 {
            let spec = udp_from(&format!("10.200.2.{host}"), (port, 53));
            let mapped = arrive(&mut node, &spec).source_port;
            assert!(seen.insert(mapped), "{mapped} twice");
            assert_eq!(mapped < 1024, port < 1024, "{mapped} for {port}");
            assert_eq!(mapped % 2, port % 2, "{mapped} for {port}");
            assert_ne!(mapped, 0);
        }
    }
}

#[test]
fn udp_has_no_port_zero_behind_a_shared_address() {
    let mut node = node();
    assert_ne!(arrive(&mut node, &udp_from(REMOTE[0], (0, 53))).source_port, 0);
}

#[test]
fn protocols_have_ports_of_their_own() {
    let mut node = node();
    assert_eq!(arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53))).source_port, 40_000);
    let tcp = tcp_from(REMOTE[1], (40_000, 53), TcpFlags::SYN);
    assert_eq!(arrive(&mut node, &tcp).source_port, 40_000);
    assert_eq!(arrive(&mut node, &echo_from(REMOTE[2], 40_000)).source_port, 40_000);
}

#[test]
fn one_endpoint_has_one_mapping_whoever_it_talks_to() {
    let mut node = node();
    arrive(&mut node, &udp_from(REMOTE[1], (40_000, 53)));
    let mapped = arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53))).source_port;
    assert_ne!(mapped, 40_000);
    for (host, port) in [("10.200.1.2", 54), ("10.200.1.3", 53), ("10.200.1.4", 9)] {
        let mut spec = udp_from(REMOTE[0], (40_000, port));
        spec.destination = address(host);
        assert_eq!(arrive(&mut node, &spec).source_port, mapped);
    }
    assert_eq!(node.flows.mappings().len(), 2);
    assert_eq!(node.flows.len(), 5);
}

#[test]
fn a_host_has_one_address_of_the_pool_for_all_it_does() {
    let mut node = Node::new(&format!("{}{ALLOW_ALL}", pat("172.16.2.0/28")));
    let mut used = HashSet::new();
    for host in 1..=40 {
        let source = format!("10.200.2.{host}");
        let mut addresses = HashSet::new();
        for port in 1000..1010 {
            addresses.insert(arrive(&mut node, &udp_from(&source, (port, 53))).source);
            addresses.insert(arrive(&mut node, &tcp_from(&source, (port, 53), TcpFlags::SYN)).source);
            addresses.insert(arrive(&mut node, &echo_from(&source, port)).source);
        }
        assert_eq!(addresses.len(), 1, "{source}: {addresses:?}");
        used.extend(addresses);
    }
    assert!(used.len() > 5, "hosts are spread over the pool: {used:?}");
    for address in used {
        assert!(!["172.16.2.0", "172.16.2.15"].contains(&address.to_string().as_str()), "{address}");
    }
}

#[test]
fn the_answer_goes_back_to_the_host_and_port_that_asked() {
    let mut node = node();
    for spec in [
        udp_from(REMOTE[1], (40_000, 53)),
        udp_from(REMOTE[0], (40_000, 53)),
        tcp_from(REMOTE[1], (40_000, 443), TcpFlags::SYN),
        tcp_from(REMOTE[2], (40_000, 443), TcpFlags::SYN),
        echo_from(REMOTE[1], 0x1234),
        echo_from(REMOTE[2], 0x1234),
        gre_from(REMOTE[0]),
    ] {
        let tuple = arrive(&mut node, &spec);
        let (peer, bytes) = node.send(&local_answer(&spec, &tuple));
        assert_eq!(peer, node.peer(peer_of(&spec)));
        assert_eq!(judged(&bytes).tuple, spec.tuple().reversed());
    }
    assert_eq!(node.flows_created(), 7, "answers belong to the flows of the questions");
}

#[test]
fn any_local_host_may_send_to_a_mapped_port_and_the_acl_judges_it() {
    let rules = "
      [[vnet.acl]]
      line = 10
      action = \"drop\"
      source = \"10.200.1.66/32\"
      [[vnet.acl]]
      line = 20
      action = \"allow\"
    ";
    let mut node = Node::new(&format!("{}{rules}", pat("172.16.2.1/32")));
    arrive(&mut node, &udp_from(REMOTE[1], (40_000, 53)));
    let mapped = arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53))).source_port;
    let (_, bytes) = node.send(&to_shared(ANOTHER_HOST, (9, mapped)));
    let tuple = judged(&bytes).tuple;
    assert_eq!((tuple.source, tuple.destination), (address("10.200.1.3"), address(REMOTE[0])));
    assert_eq!((tuple.source_port, tuple.destination_port), (9, 40_000));
    assert_eq!(node.refusal(&to_shared("10.1.0.66", (9, mapped))), Some(DropReason::AclDeny));
    assert_eq!(node.flows.mappings().len(), 2);
}

#[test]
fn a_port_without_a_mapping_leads_nowhere_and_nobody_is_told() {
    let mut node = node();
    arrive(&mut node, &tcp_from(REMOTE[0], (40_000, 443), TcpFlags::SYN));
    for port in [40_001, 40_000] {
        assert_eq!(node.refusal(&to_shared(HOST_A[0], (53, port))), Some(DropReason::PatNoMapping));
    }
    assert!(node.emitted().is_empty());
    assert_eq!(node.flows.len(), 1);
}

#[test]
fn a_mapping_serves_its_own_vnet_only() {
    let other = "
[[vnet]]
name = \"other\"
cidr = \"10.201.0.0/16\"
  [[vnet.inside_nat]]
  local = \"10.1.0.0/24\"
  virtual = \"10.201.1.0/24\"
  [[vnet.outside_nat]]
  virtual = \"10.201.2.0/24\"
  local = \"172.16.3.1/32\"
  [[vnet.route]]
  to = \"10.201.2.0/24\"
  via = \"gw-b\"
";
    let mut node = Node::new(&format!("{}{ALLOW_ALL}{other}{ALLOW_ALL}", pat("172.16.2.1/32")));
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53)));
    let mut spec = to_shared(HOST_A[0], (53, 40_000));
    spec.destination = address("172.16.3.1");
    assert_eq!(node.refusal(&spec), Some(DropReason::PatNoMapping));
}

#[test]
fn a_protocol_without_ports_serves_one_host_at_a_time_and_the_next_is_told() {
    let mut node = node();
    arrive(&mut node, &gre_from(REMOTE[0]));
    let second = gre_from(REMOTE[1]);
    assert_eq!(node.inbound_refusal("gw-b", &second), Some(DropReason::PatExhausted));
    let vnet = node.policy.vnet_named("corp").expect("it is configured");
    let exhausted = &vnet.nat.outside.rules()[0].exhausted;
    assert_eq!(exhausted.load(std::sync::atomic::Ordering::Relaxed), 1);
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1, "exhaustion is never silent");
    assert_eq!(emitted[0].1[20..22], [3, 13]);
    assert_eq!(node.flows.len(), 1);
    // Its flow ends, and the address is free.
    assert_eq!(kill_all(&node), 1);
    arrive(&mut node, &second);
}

#[test]
fn when_all_ports_are_taken_new_endpoints_are_refused_and_others_go_on() {
    let mut node = Node::with_flows(&format!("{}{ALLOW_ALL}", pat("172.16.2.1/32")), 1 << 17);
    let endpoint = |n: u32| udp_from(&format!("10.200.2.{}", n >> 14), (1024 + (n & 0x3fff) as u16, 53));
    const PORTS: u32 = 65_536 - 1024;
    for n in 0..PORTS {
        node.receive("gw-b", &endpoint(n));
    }
    assert_eq!(node.flows.mappings().len(), PORTS as usize);
    assert_eq!(node.inbound_refusal("gw-b", &endpoint(PORTS)), Some(DropReason::PatExhausted));
    assert_eq!(node.flows.len(), PORTS as usize, "it left nothing behind");
    node.receive("gw-b", &endpoint(17));
    let mut elsewhere = endpoint(17);
    elsewhere.destination = address("10.200.1.3");
    node.receive("gw-b", &elsewhere);
    // A well-known port is of another range, and there room is left.
    assert!(arrive(&mut node, &udp_from("10.200.2.250", (500, 53))).source_port < 1024);
}

#[test]
fn a_mapping_lives_as_long_as_one_of_its_flows() {
    let mut node = node();
    let first = udp_from(REMOTE[0], (40_000, 53));
    arrive(&mut node, &first);
    // Begun from the local side, and by the remote host to another one: three flows on one mapping.
    node.send(&to_shared(ANOTHER_HOST, (9, 40_000)));
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 99)));
    assert_eq!((node.flows.len(), node.flows.mappings().len()), (3, 1));
    let mut ids = Vec::new();
    node.flows.for_each(|id, _| {
        ids.push(id);
        true
    });
    for (left, id) in [(1, ids[0]), (1, ids[1]), (1, ids[1]), (0, ids[2])] {
        node.flows.remove(id, EndReason::Killed);
        assert_eq!(node.flows.mappings().len(), left);
    }
    assert_eq!(node.refusal(&to_shared(ANOTHER_HOST, (9, 40_000))), Some(DropReason::PatNoMapping));
}

#[test]
fn mappings_go_with_flows_that_are_idle() {
    let mut node = node();
    for host in 1..=50 {
        arrive(&mut node, &udp_from(&format!("10.200.2.{host}"), (40_000, 53)));
    }
    assert_eq!(node.flows.mappings().len(), 50);
    node.wait(Duration::from_secs(301));
    node.flows.expire(&mut 0, 1000, &node.policy.timeouts, node.now);
    assert!(node.flows.is_empty() && node.flows.mappings().is_empty());
    assert_eq!(node.flows.mappings().in_use("172.16.2.1/32".parse().expect("a prefix")), 0);
}

#[test]
fn eviction_takes_the_mapping_along() {
    let mut node = Node::with_flows(&format!("{}{ALLOW_ALL}", pat("172.16.2.1/32")), 16);
    for port in 2000..2200 {
        arrive(&mut node, &udp_from(REMOTE[0], (port, 53)));
        assert!(node.flows.mappings().len() <= node.flows.len());
    }
    assert_eq!(node.flows.mappings().len(), 16);
}

#[test]
fn a_flow_that_finds_no_room_leaves_no_mapping() {
    let mut node = Node::with_flows(&format!("{}{ALLOW_ALL}", pat("172.16.2.1/32")), 1);
    let busy = udp_from(REMOTE[0], (40_000, 53));
    let tuple = arrive(&mut node, &busy);
    node.send(&local_answer(&busy, &tuple));
    let refused = udp_from(REMOTE[1], (40_001, 53));
    assert_eq!(node.inbound_refusal("gw-b", &refused), Some(DropReason::FlowTableFull));
    assert_eq!(node.flows.mappings().len(), 1);
    // From the local side the mapping is held before the flow is made.
    assert_eq!(node.refusal(&to_shared(ANOTHER_HOST, (9, 40_000))), Some(DropReason::FlowTableFull));
    kill_all(&node);
    assert!(node.flows.mappings().is_empty());
}

#[test]
fn a_refused_packet_makes_no_mapping() {
    let mut node = Node::new(&pat("172.16.2.1/32"));
    assert_eq!(
        node.inbound_refusal("gw-b", &udp_from(REMOTE[0], (40_000, 53))),
        Some(DropReason::AclNoMatch)
    );
    assert!(node.flows.mappings().is_empty());
}

#[test]
fn mappings_are_kept_over_a_reload() {
    let mut node = node();
    arrive(&mut node, &udp_from(REMOTE[1], (40_000, 53)));
    let spec = udp_from(REMOTE[0], (40_000, 53));
    let before = arrive(&mut node, &spec);
    for _ in 0..3 {
        node.reload(&format!("{}{ALLOW_ALL}", pat("172.16.2.1/32")));
        assert_eq!(arrive(&mut node, &spec), before);
        node.send(&local_answer(&spec, &before));
    }
    assert_eq!(node.flows_created(), 2);
    assert_eq!(node.flows.mappings().len(), 2);
}

#[test]
fn a_pool_that_changes_moves_its_mappings_at_the_next_packet() {
    let mut node = node();
    let spec = udp_from(REMOTE[0], (40_000, 53));
    let before = arrive(&mut node, &spec);
    node.reload(&format!("{}{ALLOW_ALL}", pat("172.16.2.9/32")));
    assert_eq!(node.refusal(&local_answer(&spec, &before)), Some(DropReason::NoVnet));
    let after = arrive(&mut node, &spec);
    assert_eq!(after.source, address("172.16.2.9"));
    assert_eq!((node.flows.len(), node.flows.mappings().len()), (1, 1));
    kill_all(&node);
    assert!(node.flows.mappings().is_empty());
}

#[test]
fn a_pool_that_comes_back_finds_every_flow_counted() {
    let pools = ["172.16.2.1/32", "172.16.2.9/32"].map(|pool| format!("{}{ALLOW_ALL}", pat(pool)));
    let mut node = Node::new(&pools[0]);
    // A flow of the first pool stays idle through both reloads.
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53)));
    node.reload(&pools[1]);
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 54)));
    node.reload(&pools[0]);
    node.wait(Duration::from_secs(200));
    let live = udp_from(REMOTE[0], (40_000, 55));
    let tuple = arrive(&mut node, &live);
    node.wait(Duration::from_secs(150));
    node.flows.expire(&mut 0, 1000, &node.policy.timeouts, node.now);
    assert_eq!(node.flows.len(), 1);
    assert_eq!(node.flows.mappings().len(), 1, "the flow that is left holds its mapping");
    let found = node.send(&to_shared(ANOTHER_HOST, (9, tuple.source_port)));
    assert_eq!(judged(&found.1).tuple.destination, address(REMOTE[0]));
    kill_all(&node);
    assert!(node.flows.mappings().is_empty());
}

#[test]
fn a_host_that_loses_its_rule_loses_its_flows() {
    let narrow = pat("172.16.2.1/32").replace("virtual = \"10.200.2.0/23\"", "virtual = \"10.200.3.0/24\"");
    let mut node = node();
    let spec = udp_from(REMOTE[0], (40_000, 53));
    let tuple = arrive(&mut node, &spec);
    node.reload(&format!("{narrow}{ALLOW_ALL}"));
    assert_eq!(node.refusal(&to_shared(ANOTHER_HOST, (9, 40_000))), Some(DropReason::PatNoMapping));
    assert_eq!(node.refusal(&local_answer(&spec, &tuple)), Some(DropReason::PatNoMapping));
    assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::NoOutsideNat));
    assert!(node.flows.is_empty() && node.flows.mappings().is_empty());
}

#[test]
fn a_rule_that_becomes_one_to_one_and_back_leaves_no_mapping() {
    let many = format!("{}{ALLOW_ALL}", pat("172.16.2.0/28"));
    let one = format!("{}{ALLOW_ALL}", pat("172.16.2.0/23"));
    let mut node = Node::new(&many);
    let spec = udp_from(REMOTE[0], (40_000, 53));
    arrive(&mut node, &spec);
    for (rules, mappings) in [(&one, 0), (&many, 1), (&one, 0)] {
        node.reload(rules);
        let tuple = arrive(&mut node, &spec);
        node.send(&local_answer(&spec, &tuple));
        assert_eq!((node.flows.len(), node.flows.mappings().len()), (1, mappings));
    }
}

#[test]
fn a_killed_flow_begins_anew_under_the_same_port() {
    let mut node = node();
    let spec = tcp_from(REMOTE[0], (40_000, 443), TcpFlags::SYN);
    let before = arrive(&mut node, &spec);
    assert_eq!(kill_all(&node), 1);
    assert!(node.flows.mappings().is_empty());
    // The local side cannot begin it: nobody knows who was meant.
    let reply = local_answer(&spec, &before);
    assert_eq!(node.refusal(&reply), Some(DropReason::PatNoMapping));
    let mut later = spec.clone();
    later.content = Content::Tcp { ports: (40_000, 443), flags: TcpFlags::ACK.0, option_words: 0 };
    assert_eq!(arrive(&mut node, &later), before, "TCP taken up in mid-stream");
    node.send(&reply);
}

#[test]
fn a_remote_host_cannot_take_the_mapping_of_another() {
    let mut node = node();
    let victim = udp_from(REMOTE[0], (40_000, 53));
    let tuple = arrive(&mut node, &victim);
    for _ in 0..100 {
        arrive(&mut node, &udp_from(REMOTE[1], (40_000, 53)));
        kill_some(&node, REMOTE[1]);
    }
    let (_, bytes) = node.send(&local_answer(&victim, &tuple));
    assert_eq!(judged(&bytes).tuple.destination, address(REMOTE[0]));
}

/// Ends the flows of one remote host.
fn kill_some(node: &Node, remote: &str) {
    let mut ids = Vec::new();
    node.flows.for_each(|id, flow| {
        if flow.overlay.source == address(remote) {
            ids.push(id);
        }
        true
    });
    ids.iter().for_each(|id| node.flows.remove(*id, EndReason::Killed));
}

#[test]
fn every_rule_counts_its_flows() {
    let mut node = node();
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53)));
    arrive(&mut node, &udp_from(REMOTE[0], (40_000, 53)));
    node.send(&to_shared(ANOTHER_HOST, (9, 40_000)));
    let vnet = node.policy.vnet_named("corp").expect("it is configured");
    assert_eq!(vnet.nat.outside.rules()[0].hits.read().0, 2);
    assert_eq!(vnet.nat.inside.rules()[0].hits.read().0, 2);
}

#[test]
fn an_ordinary_host_is_not_shared_with_the_pool() {
    // The local hosts' own traffic to elsewhere is not the pool's business.
    let mut node = node();
    assert_eq!(node.refusal(&udp(HOST_A[0], "172.16.2.2")), Some(DropReason::NoVnet));
    let spoofed = udp_from("10.200.3.7", (1, 2));
    assert_eq!(node.inbound_refusal("gw-b", &spoofed), Some(DropReason::SourceCheck));
    assert!(node.flows.mappings().is_empty());
}

/// A packet of a remote host: few hosts and ports, so that they collide.
fn question() -> impl Strategy<Value = PacketSpec> {
    let source = prop::sample::select(&["10.200.2.7", "10.200.2.8", "10.200.3.7", "10.200.3.8"][..]);
    let target = prop::sample::select(&["10.200.1.2", "10.200.1.3"][..]);
    let port = || prop_oneof![Just(0u16), Just(500), Just(40_000), Just(40_001), any::<u16>()];
    let content = prop_oneof![
        ((port(), port()), any::<bool>()).prop_map(|(ports, checksum)| Content::Udp { ports, checksum }),
        (port(), port()).prop_map(|ports| Content::Tcp { ports, flags: TcpFlags::SYN.0, option_words: 0 }),
        port().prop_map(|identifier| Content::Echo { identifier, sequence: 1, reply: false }),
        Just(Content::Other(Protocol::GRE)),
    ];
    (source, target, content).prop_map(|(source, target, content)| packet(source, target, content))
}

proptest! {
    #[test]
    fn there_and_back_is_identity_and_nobody_shares_an_endpoint(questions in prop::collection::vec(question(), 1..60)) {
        let mut node = node();
        let mut seen = HashSet::new();
        let mut answered = Vec::new();
        for spec in questions {
            let mut bytes = spec.to_bytes();
            match node.inbound(peer_of(&spec), &mut bytes) {
                Inbound::Deliver { len, .. } => {
                    let tuple = judged(&bytes[..len]).tuple;
                    prop_assert_eq!(tuple.source, address(SHARED));
                    prop_assert!(bytes.ends_with(&spec.payload));
                    seen.insert((spec.tuple(), tuple));
                    answered.push((spec, tuple));
                }
                other => {
                    prop_assert_eq!(other, Inbound::Drop(DropReason::PatExhausted));
                    prop_assert_eq!(spec.tuple().protocol, Protocol::GRE);
                }
            }
        }
        // One to one, between flows and between endpoints.
        let flows: HashSet<_> = seen.iter().map(|(overlay, _)| overlay).collect();
        let locals: HashSet<_> = seen.iter().map(|(_, local)| local).collect();
        prop_assert_eq!((flows.len(), locals.len()), (seen.len(), seen.len()));
        for (spec, tuple) in answered {
            let (peer, bytes) = node.send(&local_answer(&spec, &tuple));
            prop_assert_eq!(peer, node.peer(peer_of(&spec)));
            prop_assert_eq!(judged(&bytes).tuple, spec.tuple().reversed());
        }
        prop_assert!(node.flows.mappings().len() <= node.flows.len());
        kill_all(&node);
        prop_assert!(node.flows.mappings().is_empty());
        prop_assert_eq!(node.flows.mappings().in_use("172.16.2.1/32".parse().unwrap()), 0);
    }
}
