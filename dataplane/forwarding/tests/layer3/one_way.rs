//! Flows of which one direction has no route: the other one passes all the same.

use gridway_forwarding::{DropReason, Inbound, PeerId};
use gridway_wire::generate::PacketSpec;

use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, corp_of_relay, udp};

fn node() -> Node {
    Node::new(&format!("{CORP_A}{ALLOW_ALL}"))
}

/// A packet of B's host as B sends it, and as A's host sees it.
fn from_b() -> [PacketSpec; 2] {
    [udp(HOST_B[1], HOST_A[1]), udp(HOST_B[2], HOST_A[0])]
}

#[test]
fn answers_to_a_peer_that_was_down_when_the_flow_began_wait_for_it() {
    let mut node = node();
    node.set_up("gw-b", false);
    let [sent, seen] = from_b();
    node.receive("gw-b", &sent);
    for _ in 0..2 {
        assert_eq!(node.refusal(&answer(&seen)), Some(DropReason::PeerDown));
        node.receive("gw-b", &sent);
    }
    node.set_up("gw-b", true);
    assert_eq!(node.send(&answer(&seen)).0, node.peer("gw-b"));
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn what_a_peer_sends_arrives_although_nothing_can_be_sent_to_it() {
    let mut node = node();
    let [sent, seen] = from_b();
    node.send(&answer(&seen));
    node.set_up("gw-b", false);
    for _ in 0..2 {
        node.receive("gw-b", &sent);
        assert_eq!(node.refusal(&answer(&seen)), Some(DropReason::PeerDown));
    }
    assert_eq!(node.only_flow().traffic[1].packets, 2);
}

/// B's host and one behind C, on a node that relays.
const ENDS: [&str; 2] = [HOST_B[1], "10.200.3.7"];

fn relay() -> Node {
    let route = "[[vnet.route]]\nto = \"10.200.3.0/24\"\nvia = \"gw-c\"\n";
    Node::new(&format!("{}{route}{ALLOW_ALL}", corp_of_relay()))
}

fn relayed(node: &mut Node, from: &str, spec: &PacketSpec) -> Result<PeerId, DropReason> {
    match node.inbound(from, &mut spec.to_bytes()) {
        Inbound::Relay { to, .. } => Ok(to.peer),
        Inbound::Drop(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_direction_of_a_relayed_flow_asks_for_its_own_route() {
    let mut node = relay();
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    let there = udp(ENDS[0], ENDS[1]);
    assert_eq!(relayed(&mut node, "gw-b", &there), Ok(gw_c));
    for _ in 0..2 {
        node.set_up("gw-c", false);
        assert_eq!(relayed(&mut node, "gw-c", &answer(&there)), Ok(gw_b));
        assert_eq!(relayed(&mut node, "gw-b", &there), Err(DropReason::PeerDown));
        node.set_up("gw-c", true);
        node.set_up("gw-b", false);
        assert_eq!(relayed(&mut node, "gw-b", &there), Ok(gw_c));
        assert_eq!(relayed(&mut node, "gw-c", &answer(&there)), Err(DropReason::PeerDown));
        node.set_up("gw-b", true);
    }
    assert_eq!(node.flows_created(), 1);
}
