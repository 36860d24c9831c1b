//! The node's own address in a vnet.

use gridway_forwarding::{DropReason, Inbound, Outbound};
use gridway_wire::checksum::checksum;
use gridway_wire::tcp::TcpFlags;

use crate::support::{
    ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, address, answer, assert_addresses, echo, judged, tcp, udp,
};

const OWN: &str = "10.200.1.254";

#[test]
fn echo_is_answered_with_a_fresh_ttl() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let mut request = echo(HOST_B[1], OWN, false);
    // The node is the destination and does not forward: it may be the last hop.
    request.ttl = 1;
    let mut bytes = request.to_bytes();
    let verdict = node.inbound("gw-b", &mut bytes);
    assert_eq!(verdict, Inbound::Answer { len: bytes.len() });
    let reply = judged(&bytes);
    assert_addresses(&reply, OWN, HOST_B[1]);
    assert!(reply.ttl >= 64);
    assert_eq!(reply.transport, gridway_wire::packet::Transport::IcmpReply);
    assert_eq!(reply.tuple.source_port, 0x1234);
    assert!(bytes.ends_with(&request.payload));
    assert!(node.flows.is_empty(), "the node keeps no flow with itself");
}

#[test]
fn echo_is_subject_to_the_access_policy() {
    let mut node = Node::new(CORP_A);
    assert_eq!(node.inbound_refusal("gw-b", &echo(HOST_B[1], OWN, false)), Some(DropReason::AclNoMatch));
}

#[test]
fn echo_from_a_source_of_another_peer_is_not_answered() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    assert_eq!(node.inbound_refusal("gw-c", &echo(HOST_B[1], OWN, false)), Some(DropReason::SourceCheck));
}

#[test]
fn nothing_but_echo_requests_is_for_the_node() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    for spec in [udp(HOST_B[1], OWN), tcp(HOST_B[1], OWN, TcpFlags::SYN), echo(HOST_B[1], OWN, true)] {
        assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::ToOwnAddress), "{spec:?}");
    }
}

/// A route contains the node's address, and those of local hosts.
const WIDE: &str = r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "10.200.1.254"
  [[vnet.inside_nat]]
  local = "10.1.0.0/25"
  virtual = "10.200.1.0/25"
  [[vnet.route]]
  to = "10.200.0.0/16"
  via = "gw-b"
"#;

#[test]
fn a_peer_cannot_send_in_the_name_of_the_node() {
    let mut node = Node::new(&format!("{WIDE}{ALLOW_ALL}"));
    assert_eq!(node.inbound_refusal("gw-b", &udp(OWN, HOST_A[1])), Some(DropReason::SourceCheck));
}

#[test]
fn nor_can_it_answer_for_the_node_or_a_local_host() {
    let mut node = Node::new(&format!("{WIDE}{ALLOW_ALL}"));
    // Where the route leads is no claim on the address.
    for host in [OWN, "10.200.1.7"] {
        let sent = udp(HOST_A[0], host);
        for _ in 0..2 {
            node.send(&sent);
            let reply = answer(&udp(HOST_A[1], host));
            assert_eq!(node.inbound_refusal("gw-b", &reply), Some(DropReason::SourceCheck), "{host}");
        }
    }
}

#[test]
fn of_what_a_local_host_asks_the_node_only_echo_is_answered() {
    let mut node = Node::new(&format!("{WIDE}{ALLOW_ALL}"));
    let mut request = echo(HOST_A[0], OWN, false).to_bytes();
    let len = request.len();
    let mut timestamp = request.clone();
    assert_eq!(node.outbound(&mut request), Outbound::Answer { destination: address(HOST_A[0]), len });
    // A timestamp request is a query as well: it goes where its route leads, as everything else does.
    timestamp[20] = 13;
    timestamp[22..24].fill(0);
    let sum = checksum(&timestamp[20..]);
    timestamp[22..24].copy_from_slice(&sum.to_be_bytes());
    assert!(matches!(node.outbound(&mut timestamp), Outbound::Tunnel { .. }));
}
