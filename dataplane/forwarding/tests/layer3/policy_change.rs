//! Flows under a policy that changes, and TCP taken up in mid-stream.

use gridway_forwarding::flow::State;
use gridway_forwarding::{DropReason, Inbound};
use gridway_wire::generate::PacketSpec;
use gridway_wire::tcp::TcpFlags;

use crate::support::{
    ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, PLAIN_A, answer, assert_addresses, judged, tcp, udp,
};

const DROP_ALL: &str = "\n[[vnet.acl]]\nline = 10\naction = \"drop\"\n";

fn rule(line: u32, rest: &str) -> String {
    format!("\n[[vnet.acl]]\nline = {line}\naction = \"allow\"\n{rest}\n")
}

/// What only local hosts may begin.
fn outward_only() -> String {
    format!("{CORP_A}{}", rule(10, "source = \"10.200.1.0/24\""))
}

/// What only remote hosts may begin.
fn inward_only() -> String {
    format!("{CORP_A}{}", rule(10, "source = \"10.200.2.0/24\""))
}

fn hits(node: &Node) -> Vec<u64> {
    let vnet = node.policy.vnet_named("corp").expect("it is configured");
    vnet.acl.rules().map(|(_, hits)| hits.read().0).collect()
}

#[test]
fn a_flow_that_is_no_longer_allowed_stops_at_its_next_packet() {
    let request = tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN);
    let reply = answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK));
    for (policy, reason) in [(DROP_ALL, DropReason::AclDeny), ("", DropReason::AclNoMatch)] {
        let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
        node.send(&request);
        node.reload(&format!("{CORP_A}{policy}"));
        assert_eq!(node.refusal(&request), Some(reason));
        assert!(node.flows.is_empty(), "a flow that may not be is gone");

        let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
        node.send(&request);
        node.reload(&format!("{CORP_A}{policy}"));
        assert_eq!(node.inbound_refusal("gw-b", &reply), Some(reason));
        assert!(node.flows.is_empty());
    }
}

#[test]
fn a_flow_that_is_still_allowed_goes_on_over_a_reload() {
    let mut node = Node::new(&outward_only());
    node.send(&udp(HOST_A[0], HOST_B[2]));
    for _ in 0..3 {
        node.reload(&outward_only());
        let reply = answer(&udp(HOST_A[1], HOST_B[1]));
        assert_addresses(&judged(&node.receive("gw-b", &reply)), HOST_B[2], HOST_A[0]);
        node.send(&udp(HOST_A[0], HOST_B[2]));
    }
    assert_eq!(node.flows_created(), 1);
    assert_eq!(node.only_flow().traffic.map(|side| side.packets), [4, 3]);
}

#[test]
fn hits_count_new_flows_and_are_kept_by_rules_that_stay() {
    let kept = rule(10, "protocol = \"udp\"");
    let mut node = Node::new(&format!("{CORP_A}{kept}{}", rule(20, "protocol = \"tcp\"\nports = \"443\"")));
    for _ in 0..3 {
        node.send(&udp(HOST_A[0], HOST_B[2]));
    }
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    assert_eq!(hits(&node), [1, 1], "packets of a flow that exists do not count");

    node.reload(&format!("{CORP_A}{kept}{}", rule(20, "protocol = \"tcp\"\nports = \"400-500\"")));
    assert_eq!(hits(&node), [1, 0], "a changed rule is a new one");
    let vnet = node.policy.vnet_named("corp").expect("it is configured");
    let nat = [&vnet.nat.inside, &vnet.nat.outside].map(|nat| nat.rules()[0].hits.read().0);
    assert_eq!(nat, [2, 2], "NAT rules that stay keep theirs");
}

#[test]
fn a_rule_that_denies_counts_every_packet() {
    let mut node = Node::new(&format!("{CORP_A}{DROP_ALL}"));
    for _ in 0..3 {
        node.refusal(&udp(HOST_A[0], HOST_B[2]));
    }
    assert_eq!(hits(&node), [3]);
}

#[test]
fn a_flow_whose_translation_changed_begins_anew_under_the_new_one() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    let moved = CORP_A.replace("virtual = \"10.200.1.0/24\"", "virtual = \"10.200.7.0/24\"");
    node.reload(&format!("{moved}{ALLOW_ALL}"));
    let (_, bytes) = node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_addresses(&judged(&bytes), "10.200.7.2", HOST_B[1]);
    assert_eq!(node.flows.len(), 1);
    let stale = answer(&udp(HOST_A[1], HOST_B[1]));
    assert_eq!(node.inbound_refusal("gw-b", &stale), Some(DropReason::NoInsideNat));
}

#[test]
fn flows_of_a_vnet_that_was_removed_end() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}{PLAIN_A}{ALLOW_ALL}"));
    node.send(&udp(HOST_A[0], HOST_B[2]));
    let (corp, gw_b) = (node.vnet("corp"), node.peer("gw-b"));
    node.reload(&format!("{PLAIN_A}{ALLOW_ALL}"));
    let mut reply = answer(&udp(HOST_A[1], HOST_B[1])).to_bytes();
    let verdict = node.forwarder.inbound(gw_b, corp, &mut reply, node.now);
    assert_eq!(verdict, Inbound::Drop(DropReason::UnknownVnet));
    assert_eq!(node.refusal(&udp(HOST_A[0], HOST_B[2])), Some(DropReason::NoVnet));
    assert!(node.flows.is_empty());
    assert_ne!(node.vnet("plain"), corp, "numbers are not given twice");
}

#[test]
fn tcp_in_mid_stream_is_judged_in_both_directions_and_one_allow_suffices() {
    let inward = answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::ACK));
    let outward = tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK);
    assert_eq!(Node::new(&outward_only()).inbound_refusal("gw-b", &inward), None);
    assert_eq!(Node::new(&inward_only()).refusal(&outward), None);
    assert_eq!(Node::new(CORP_A).refusal(&outward), Some(DropReason::AclNoMatch));
}

#[test]
fn only_tcp_in_mid_stream_is_judged_in_both_directions() {
    let inward: [PacketSpec; 2] =
        [answer(&udp(HOST_A[1], HOST_B[1])), tcp(HOST_B[1], HOST_A[1], TcpFlags::SYN)];
    for spec in inward {
        let refused = Node::new(&outward_only()).inbound_refusal("gw-b", &spec);
        assert_eq!(refused, Some(DropReason::AclNoMatch), "{spec:?}");
    }
}

#[test]
fn mid_stream_can_be_turned_off() {
    let text = format!("[flows]\nmidstream = false\n{CORP_A}{ALLOW_ALL}");
    let mut node = Node::new(&text);
    assert_eq!(node.refusal(&tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK)), Some(DropReason::NoFlow));
    let inward = answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK));
    assert_eq!(node.inbound_refusal("gw-b", &inward), Some(DropReason::NoFlow));
    assert_eq!(node.refusal(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN)), None);
    assert_eq!(node.inbound_refusal("gw-b", &inward), None, "it belongs to the flow now");
}

#[test]
fn a_flow_taken_up_in_mid_stream_loses_no_packet_when_it_is_judged_again() {
    let inward = answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::ACK));
    let mut node = Node::new(&outward_only());
    node.receive("gw-b", &inward);
    node.set_up("gw-d", false);
    assert_eq!(node.inbound_refusal("gw-b", &inward), None);
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn a_connection_that_reuses_the_ports_of_an_ended_one_starts_from_the_beginning() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK)));
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK));
    assert_eq!(State::of(&node.only_flow()), State::Established);
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::FIN | TcpFlags::ACK));
    assert_eq!(State::of(&node.only_flow()), State::Closing);
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    assert_eq!(State::of(&node.only_flow()), State::Opening);
    assert_eq!(node.flows_created(), 1);
}
