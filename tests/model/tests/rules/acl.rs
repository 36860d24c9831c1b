use gridway_model::packet::{ACK, SYN};

use crate::support::{ALLOW, INSIDE, NETMAP, Node, ROUTES, VNET, ping, pong, segment, udp, usual};

fn ruled(acl: &str) -> String {
    [VNET, INSIDE, NETMAP, ROUTES, acl].concat()
}

#[test]
fn no_rules_mean_no_traffic() {
    let mut node = Node::new(&ruled(""));
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (1, 2))), Some("acl_no_match"));
    assert_eq!(node.refusal_of("gw-b", &udp("10.200.1.2", "10.200.0.2", (1, 2))), Some("acl_no_match"));
}

#[test]
fn the_first_match_by_line_wins_on_virtual_addresses() {
    let acl = "[[vnet.acl]]\nline = 30\naction = \"allow\"\n\
               [[vnet.acl]]\nline = 10\naction = \"drop\"\nprotocol = \"tcp\"\nports = \"20-25\"\n\
               [[vnet.acl]]\nline = 20\naction = \"reject\"\ndestination = \"10.200.1.0/29\"\n";
    let mut node = Node::new(&ruled(acl));
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.2", (9, 22), SYN)), Some("acl_deny"));
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.2", (22, 80), SYN)), Some("acl_reject"));
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.9", (22, 80), SYN)), None);
    // UDP has ports, but the rule is for TCP.
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.9", (9, 22))), None);
}

#[test]
fn negation_and_icmp_of_both_families() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"drop\"\nsource = \"!10.200.0.2/32\"\nprotocol = \"udp\"\n\
               [[vnet.acl]]\nline = 2\naction = \"allow\"\nprotocol = \"icmp\"\n\
               [[vnet.acl]]\nline = 3\naction = \"allow\"\nprotocol = \"udp\"\n";
    let mut node = Node::new(&ruled(acl));
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (1, 2))), None);
    assert_eq!(node.refusal(&udp("10.1.0.3", "172.16.1.2", (1, 2))), Some("acl_deny"));
    assert_eq!(node.refusal(&ping("10.1.0.3", "172.16.1.2", 1)), None);
    assert_eq!(node.refusal(&ping("fd01::3", "fd02:0:0:2::2", 1)), None);
}

#[test]
fn a_flow_is_judged_once_and_by_its_beginning() {
    // Only local hosts may begin.
    let acl = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nsource = \"10.200.0.0/28\"\n";
    let mut node = Node::new(&ruled(acl));
    let there = udp("10.1.0.2", "172.16.1.2", (1, 2));
    let back = udp("10.200.1.2", "10.200.0.2", (2, 1));
    assert_eq!(node.refusal_of("gw-b", &back), Some("acl_no_match"));
    assert_eq!(node.refusal(&there), None);
    assert_eq!(node.refusal_of("gw-b", &back), None);
}

#[test]
fn replies_need_a_flow() {
    let mut node = Node::new(&usual());
    assert_eq!(node.refusal_of("gw-b", &pong("10.200.1.2", "10.200.0.2", 5)), Some("no_flow"));
    assert_eq!(node.refusal(&ping("10.1.0.2", "172.16.1.2", 5)), None);
    assert_eq!(node.refusal_of("gw-b", &pong("10.200.1.2", "10.200.0.2", 5)), None);
    assert_eq!(node.refusal_of("gw-b", &pong("10.200.1.2", "10.200.0.2", 6)), Some("no_flow"));
}

#[test]
fn tcp_in_mid_stream_is_judged_in_both_directions() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nprotocol = \"tcp\"\nports = \"80\"\n";
    let mut node = Node::new(&ruled(acl));
    // The answers of a server on port 80, whose flow a restart has forgotten.
    let answer = segment("10.200.1.2", "10.200.0.2", (80, 999), ACK);
    assert_eq!(node.refusal_of("gw-b", &answer), None);
    let other = segment("10.200.1.2", "10.200.0.2", (81, 999), ACK);
    assert_eq!(node.refusal_of("gw-b", &other), Some("acl_no_match"));
    // A SYN-ACK is mid-stream too; a SYN is not.
    let step = segment("10.200.1.3", "10.200.0.2", (80, 999), SYN | ACK);
    assert_eq!(node.refusal_of("gw-b", &step), None);
    let syn = segment("10.200.1.4", "10.200.0.2", (80, 999), SYN);
    assert_eq!(node.refusal_of("gw-b", &syn), Some("acl_no_match"));
}

#[test]
fn mid_stream_can_be_turned_off() {
    let rest = ["[flows]\nmidstream = false\n", &usual()].concat();
    let mut node = Node::new(&rest);
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.2", (9, 80), ACK)), Some("no_flow"));
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.2", (9, 80), SYN)), None);
    assert_eq!(node.refusal(&segment("10.1.0.2", "172.16.1.2", (9, 80), ACK)), None);
}

#[test]
fn a_changed_policy_judges_flows_again_at_their_next_packet() {
    let mut node = Node::new(&usual());
    let there = udp("10.1.0.2", "172.16.1.2", (1, 2));
    let back = udp("10.200.1.2", "10.200.0.2", (2, 1));
    node.tunnelled(&there);
    // Now only the overlay may begin: the flow ends by either packet of it.
    let other = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nsource = \"10.200.1.0/28\"\n";
    node.reload(&ruled(other));
    assert_eq!(node.0.flows().len(), 1);
    assert_eq!(node.refusal_of("gw-b", &back), Some("acl_no_match"));
    assert!(node.0.flows().is_empty());
    // What follows begins a flow of its own.
    assert_eq!(node.refusal_of("gw-b", &back), None);
    assert_eq!(node.refusal(&there), None);
    node.reload(&ruled(ALLOW));
    assert_eq!(node.refusal(&there), None);
}
