//! Replies to ICMP queries from the overlay: they go back the way the query came.

use gridway_forwarding::{DropReason, MonitorId};
use gridway_wire::generate::{Content, PacketSpec};

use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, corp_of_relay, echo, packet, udp};

/// A node with a route to B's hosts by way of B, with a monitor, and a worse one by way of C.
fn node() -> Node {
    let watched = CORP_A.replace(
        "metric = 10",
        "metric = 10\n  monitor = { protocol = \"icmp\", target = \"10.200.2.1\", count = 1 }",
    );
    let fallback = "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-c\"\nmetric = 20\n";
    Node::new(&format!("{watched}{fallback}{ALLOW_ALL}"))
}

fn monitor_fails(node: &mut Node) {
    let id: MonitorId = node.policy.vnet_named("corp").expect("it is configured").probes[0].id;
    node.peers.set_passes(id, false);
    node.forwarder.begin_turn(|| &node.policy);
}

/// A query of B's host as B sends it, and the reply of A's host.
fn query_and_reply() -> [PacketSpec; 2] {
    [echo(HOST_B[1], HOST_A[1], false), answer(&echo(HOST_B[2], HOST_A[0], false))]
}

#[test]
fn a_reply_keeps_to_a_tunnel_whose_monitor_fails() {
    let mut node = node();
    let [query, reply] = query_and_reply();
    monitor_fails(&mut node);
    for _ in 0..2 {
        node.receive("gw-b", &query);
        assert_eq!(node.send(&reply).0, node.peer("gw-b"));
    }
    // What is no reply takes the best route that is available.
    node.receive("gw-b", &udp(HOST_B[1], HOST_A[1]));
    assert_eq!(node.send(&answer(&udp(HOST_B[2], HOST_A[0]))).0, node.peer("gw-c"));
}

#[test]
fn a_monitor_that_fails_amid_a_flow_of_queries_moves_no_reply() {
    let mut node = node();
    let [query, reply] = query_and_reply();
    node.receive("gw-b", &query);
    monitor_fails(&mut node);
    assert_eq!(node.send(&reply).0, node.peer("gw-b"));
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn replies_follow_queries_that_come_another_way() {
    let mut node = node();
    let [query, reply] = query_and_reply();
    for by in ["gw-c", "gw-b", "gw-c"] {
        node.receive(by, &query);
        assert_eq!(node.send(&reply).0, node.peer(by));
    }
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn a_reply_goes_by_the_routes_when_the_tunnel_of_its_query_is_down() {
    let mut node = node();
    let [query, reply] = query_and_reply();
    node.receive("gw-b", &query);
    node.set_up("gw-b", false);
    assert_eq!(node.send(&reply).0, node.peer("gw-c"));
    node.set_up("gw-c", false);
    assert_eq!(node.refusal(&reply), Some(DropReason::PeerDown));
}

#[test]
fn a_reply_does_not_go_to_a_peer_that_no_route_lists_any_more() {
    let mut node = node();
    let [query, reply] = query_and_reply();
    node.receive("gw-b", &query);
    node.reload(&format!("{}{ALLOW_ALL}", CORP_A.replace("gw-b", "gw-c")));
    assert_eq!(node.send(&reply).0, node.peer("gw-c"));
}

#[test]
fn an_error_about_a_query_goes_back_the_way_it_came_too() {
    let mut node = node();
    let [query, _] = query_and_reply();
    monitor_fails(&mut node);
    for by in ["gw-b", "gw-c"] {
        let seen = node.receive(by, &query);
        let mut error = packet(HOST_A[0], HOST_B[2], Content::Error { kind: 3, code: 2 });
        error.payload = seen[..28].to_vec();
        assert_eq!(node.send(&error).0, node.peer(by));
    }
}

/// B's host and one behind C, on a node that relays and has a second, worse way to both.
#[test]
fn a_relay_sends_replies_back_the_way_their_query_came() {
    let routes = "
  [[vnet.route]]
  to = \"10.200.2.0/24\"
  via = \"gw-c\"
  metric = 20
  [[vnet.route]]
  to = \"10.200.3.0/24\"
  via = \"gw-d\"
";
    let mut node = Node::new(&format!("{}{routes}{ALLOW_ALL}", corp_of_relay()));
    let query = echo(HOST_B[1], "10.200.3.7", false);
    for by in ["gw-c", "gw-b", "gw-c"] {
        assert_eq!(node.pass_on(by, &query), node.peer("gw-d"));
        assert_eq!(node.pass_on("gw-d", &answer(&query)), node.peer(by));
    }
    node.set_up("gw-c", false);
    assert_eq!(node.pass_on("gw-d", &answer(&query)), node.peer("gw-b"));
    assert_eq!(node.flows_created(), 1);
}
