//! Flows and the peers they go to.

use gridway_forwarding::{DropReason, PeerId};

use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, assert_addresses, judged, udp};

fn second_route(metric: u8) -> String {
    let route = format!("\n[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-c\"\nmetric = {metric}\n");
    format!("{CORP_A}{route}{ALLOW_ALL}")
}

fn goes_to(node: &mut Node) -> PeerId {
    node.send(&udp(HOST_A[0], HOST_B[2])).0
}

#[test]
fn a_flow_moves_when_its_peer_goes_down_and_returns_with_it() {
    let mut node = Node::new(&second_route(20));
    let (b, c) = (node.peer("gw-b"), node.peer("gw-c"));
    assert_eq!(goes_to(&mut node), b);
    node.set_up("gw-b", false);
    assert_eq!(goes_to(&mut node), c);
    node.set_up("gw-b", true);
    assert_eq!(goes_to(&mut node), b);
    assert_eq!(node.flows_created(), 1, "it kept its translation all the time");
    assert_eq!(node.only_flow().peer, b);
}

#[test]
fn a_flow_stays_with_its_peer_while_that_is_among_the_best() {
    let mut node = Node::new(&second_route(10));
    let (b, c) = (node.peer("gw-b"), node.peer("gw-c"));
    let first = goes_to(&mut node);
    let (own, other, others_id) = if first == b { ("gw-b", "gw-c", c) } else { ("gw-c", "gw-b", b) };
    node.set_up(other, false);
    assert_eq!(goes_to(&mut node), first);
    node.set_up(other, true);
    assert_eq!(goes_to(&mut node), first);
    node.set_up(own, false);
    assert_eq!(goes_to(&mut node), others_id);
    node.set_up(own, true);
    assert_eq!(goes_to(&mut node), others_id, "its old peer is back, yet no better than the new one");
}

#[test]
fn a_flow_without_a_peer_waits_for_one() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let b = goes_to(&mut node);
    node.set_up("gw-b", false);
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), Some(DropReason::PeerDown));
    node.set_up("gw-b", true);
    assert_eq!(goes_to(&mut node), b);
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn the_source_is_checked_on_packets_of_flows_that_exist() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    goes_to(&mut node);
    let reply = answer(&udp(HOST_A[1], HOST_B[1]));
    assert_eq!(node.inbound_refusal("gw-c", &reply), Some(DropReason::SourceCheck));
    assert_eq!(node.inbound_refusal("gw-b", &reply), None);
    assert_eq!(node.inbound_refusal("gw-c", &reply), Some(DropReason::SourceCheck));
}

#[test]
fn any_peer_that_the_source_is_routed_to_may_deliver_for_a_flow() {
    let mut node = Node::new(&second_route(20));
    let b = goes_to(&mut node);
    let reply = answer(&udp(HOST_A[1], HOST_B[1]));
    assert_addresses(&judged(&node.receive("gw-c", &reply)), HOST_B[2], HOST_A[0]);
    assert_eq!(goes_to(&mut node), b, "the flow goes on over the better route");
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn answers_to_an_overlay_flow_take_the_best_route() {
    let mut node = Node::new(&second_route(20));
    node.receive("gw-c", &udp(HOST_B[1], HOST_A[1]));
    let (peer, _) = node.send(&answer(&udp(HOST_B[2], HOST_A[0])));
    assert_eq!(peer, node.peer("gw-b"));
}

#[test]
fn a_route_that_is_removed_takes_its_flows_away() {
    let mut node = Node::new(&second_route(20));
    node.set_up("gw-b", false);
    let c = node.peer("gw-c");
    assert_eq!(goes_to(&mut node), c);
    node.reload(&format!("{CORP_A}{ALLOW_ALL}"));
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), Some(DropReason::PeerDown));
    let reply = answer(&udp(HOST_A[1], HOST_B[1]));
    assert_eq!(node.inbound_refusal("gw-c", &reply), Some(DropReason::SourceCheck));
}

/// A hub: every host of the vnet is behind gw-b, but for this node's own.
fn route_for_all() -> String {
    format!("{}{ALLOW_ALL}", CORP_A.replace("to = \"10.200.2.0/24\"", "to = \"10.200.0.0/16\""))
}

#[test]
fn a_route_for_the_whole_vnet_leaves_the_nodes_own_hosts_its_own() {
    let mut node = Node::new(&route_for_all());
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), None);
    let mut node = Node::new(&route_for_all());
    assert_eq!(node.inbound_refusal("gw-b", &udp(HOST_B[1], HOST_A[1])), None);
}

#[test]
fn a_route_for_the_whole_vnet_lets_no_peer_pose_as_the_nodes_own_hosts() {
    let mut node = Node::new(&route_for_all());
    let posing = udp("10.200.1.77", HOST_A[1]);
    assert_eq!(node.inbound_refusal("gw-b", &posing), Some(DropReason::SourceCheck));
}
