//! Every reason Layer 3 drops a packet for, reached by a packet.

use gridway_forwarding::{DropReason, Inbound, VnetId};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::tcp::TcpFlags;

use crate::support::{
    ALLOW_ALL, CORP_A, DATA_MTU, HOST_A, HOST_B, Node, PLAIN_A, answer, echo, packet, tcp, udp,
};

/// Behind `corp`: NAT without a route, routes without NAT, and a second peer.
const MORE: &str = r#"
  [[vnet.outside_nat]]
  virtual = "10.200.3.0/24"
  local = "172.16.3.0/24"
  [[vnet.route]]
  to = "10.200.4.0/24"
  via = "gw-b"
  [[vnet.route]]
  to = "10.200.5.0/24"
  via = "gw-c"
"#;

/// UDP only, port 53 excepted.
const RULES: &str = r#"
  [[vnet.acl]]
  line = 10
  action = "drop"
  protocol = "udp"
  ports = "53"
  [[vnet.acl]]
  line = 20
  action = "allow"
  protocol = "udp"
"#;

/// No outside NAT: identity within the cidr, which the route leaves.
const HALF: &str = r#"
[[vnet]]
name = "half"
cidr = "10.220.0.0/16"
  [[vnet.inside_nat]]
  local = "10.1.0.0/24"
  virtual = "10.220.1.0/24"
  [[vnet.route]]
  to = "192.0.2.0/24"
  via = "gw-b"
"#;

fn node() -> Node {
    Node::new(&format!("{CORP_A}{MORE}{ALLOW_ALL}{HALF}{ALLOW_ALL}"))
}

fn sized(mut spec: PacketSpec, length: usize) -> PacketSpec {
    let headers = spec.to_bytes().len() - spec.payload.len();
    spec.payload = vec![0x5a; length - headers];
    spec
}

fn icmp_error(source: &str, destination: &str) -> PacketSpec {
    let mut spec = packet(source, destination, Content::Error { kind: 3, code: 1 });
    spec.payload = udp(destination, source).to_bytes();
    spec
}

#[test]
fn outbound_reasons() {
    let mut spent = udp(HOST_A[0], HOST_B[2]);
    spent.ttl = 1;
    let cases = [
        ("no_vnet", udp(HOST_A[0], "198.51.100.1")),
        ("no_inside_nat", udp("10.9.0.2", HOST_B[2])),
        ("no_outside_nat", udp(HOST_A[0], "192.0.2.7")),
        ("no_route", udp(HOST_A[0], "172.16.3.7")),
        ("ttl_exceeded", spent),
        ("too_big", sized(udp(HOST_A[0], HOST_B[2]), usize::from(DATA_MTU) + 1)),
        ("icmp_no_flow", icmp_error(HOST_A[0], HOST_B[2])),
        ("no_flow", echo(HOST_A[0], HOST_B[2], true)),
        ("loopback_source", udp("127.0.0.1", HOST_B[2])),
    ];
    for (reason, spec) in cases {
        assert_eq!(node().refusal(&spec).map(DropReason::name), Some(reason), "{spec:?}");
    }
}

#[test]
fn inbound_reasons() {
    let mut spent = udp(HOST_B[1], HOST_A[1]);
    spent.ttl = 1;
    let cases = [
        ("no_inside_nat", udp(HOST_B[1], "10.200.9.2")),
        ("no_outside_nat", udp("10.200.4.7", HOST_A[1])),
        ("source_check", udp("10.200.5.7", HOST_A[1])),
        ("source_check", udp("10.200.99.7", HOST_A[1])),
        ("transit_refused", udp(HOST_B[1], "10.200.5.7")),
        ("to_own_address", udp(HOST_B[1], "10.200.1.254")),
        ("ttl_exceeded", spent),
        ("too_big", sized(udp(HOST_B[1], HOST_A[1]), usize::from(DATA_MTU) + 1)),
        ("icmp_no_flow", icmp_error(HOST_B[1], HOST_A[1])),
        ("no_flow", echo(HOST_B[1], HOST_A[1], true)),
        ("multicast_destination", udp(HOST_B[1], "224.0.0.1")),
    ];
    for (reason, spec) in cases {
        assert_eq!(node().inbound_refusal("gw-b", &spec).map(DropReason::name), Some(reason), "{spec:?}");
    }
}

#[test]
fn rules_deny_by_decision_and_by_default() {
    for (reason, ports, protocol_is_udp) in
        [(Some("acl_deny"), (9, 53), true), (None, (9, 54), true), (Some("acl_no_match"), (9, 54), false)]
    {
        let content = if protocol_is_udp {
            Content::Udp { ports, checksum: true }
        } else {
            Content::Tcp { ports, flags: TcpFlags::SYN.0, option_words: 0 }
        };
        let mut node = Node::new(&format!("{CORP_A}{RULES}"));
        let out = packet(HOST_A[0], HOST_B[2], content.clone());
        assert_eq!(node.refusal(&out).map(DropReason::name), reason);
        let mut node = Node::new(&format!("{CORP_A}{RULES}"));
        let inward = packet(HOST_B[1], HOST_A[1], content);
        assert_eq!(node.inbound_refusal("gw-b", &inward).map(DropReason::name), reason);
    }
}

#[test]
fn a_local_packet_for_a_peer_that_is_down_is_dropped() {
    let mut node = node();
    node.set_up("gw-b", false);
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), Some(DropReason::PeerDown));
}

#[test]
fn a_local_host_cannot_pose_as_a_remote_one() {
    let mut node = Node::new(&format!("{PLAIN_A}{ALLOW_ALL}"));
    assert_eq!(node.refusal(&udp("10.2.0.9", "10.2.0.7")), Some(DropReason::SpoofedLocal));
    assert_eq!(node.refusal(&udp("fd00:2::9", "fd00:2::7")), Some(DropReason::SpoofedLocal));
    assert_eq!(node.refusal(&udp("10.1.0.9", "10.2.0.7")), None);
}

#[test]
fn a_vnet_that_is_not_configured_here_is_unknown() {
    let mut node = node();
    let peer = node.peer("gw-b");
    let mut bytes = udp(HOST_B[1], HOST_A[1]).to_bytes();
    let verdict = node.forwarder.inbound(peer, VnetId(99), &mut bytes, node.now);
    assert_eq!(verdict, Inbound::Drop(DropReason::UnknownVnet));
}

#[test]
fn the_smallest_of_three_mtus_decides_and_exactly_that_passes() {
    let spec = udp(HOST_A[0], HOST_B[2]);
    let small_vnet = CORP_A.replace("address =", "mtu = 1300\naddress =");
    for (vnet, peer_mtu, limit) in
        [(CORP_A, u16::MAX, usize::from(DATA_MTU)), (CORP_A, 1400, 1400), (small_vnet.as_str(), 1400, 1300)]
    {
        let mut node = Node::new(&format!("{vnet}{ALLOW_ALL}"));
        let peer = node.peer("gw-b");
        node.peers.set_mtu(peer, peer_mtu);
        assert_eq!(node.refusal(&sized(spec.clone(), limit)), None);
        assert_eq!(node.refusal(&sized(spec.clone(), limit + 1)), Some(DropReason::TooBig));
    }
}

#[test]
fn a_table_full_of_busy_flows_refuses_and_one_of_idle_flows_makes_room() {
    let mut node = Node::with_flows(&format!("{CORP_A}{ALLOW_ALL}"), 1);
    let first = udp(HOST_A[0], HOST_B[2]);
    node.send(&first);
    node.receive("gw-b", &answer(&udp(HOST_A[1], HOST_B[1])));
    let second = tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN);
    assert_eq!(node.refusal(&second), Some(DropReason::FlowTableFull));
    assert_eq!(node.refusal(&first), None, "the flow that is there goes on");
    node.wait(std::time::Duration::from_secs(2));
    assert_eq!(node.refusal(&second), None);
    assert_eq!(node.forwarder.counters().flows_evicted.get(), 1);
    assert_eq!(node.flows.len(), 1);
}

#[test]
fn a_refused_packet_is_left_as_it_was() {
    let mut node = node();
    let spec = udp(HOST_A[0], "172.16.3.7");
    let mut bytes = spec.to_bytes();
    node.outbound(&mut bytes);
    assert_eq!(bytes, spec.to_bytes());
    let spec = udp(HOST_B[1], "10.200.9.2");
    let mut bytes = spec.to_bytes();
    node.inbound("gw-b", &mut bytes);
    assert_eq!(bytes, spec.to_bytes());
}

#[test]
fn a_refused_packet_leaves_no_flow() {
    let mut node = node();
    for spec in [udp(HOST_A[0], "172.16.3.7"), udp("10.9.0.2", HOST_B[2])] {
        assert!(node.refusal(&spec).is_some());
    }
    assert!(node.inbound_refusal("gw-b", &udp("10.200.5.7", HOST_A[1])).is_some());
    assert!(node.flows.is_empty());
}
