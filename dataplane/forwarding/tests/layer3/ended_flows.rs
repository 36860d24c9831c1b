//! Flows that end, by an operator or by themselves, and what comes after them.

use std::time::Duration;

use gridway_forwarding::DropReason;
use gridway_forwarding::flow::{EndReason, State};
use gridway_wire::tcp::TcpFlags;

use crate::sharing::kill_all;
use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, echo, tcp, udp};

fn node() -> Node {
    Node::new(&format!("{CORP_A}{ALLOW_ALL}"))
}

/// Whether a packet of `spec`'s flow comes back from the overlay.
fn replies(
    spec_at: impl Fn(&str, &str) -> gridway_wire::generate::PacketSpec,
    node: &mut Node,
) -> Option<DropReason> {
    node.inbound_refusal("gw-b", &answer(&spec_at(HOST_A[1], HOST_B[1])))
}

#[test]
fn a_killed_flow_begins_anew_at_its_next_packet() {
    let mut node = node();
    for _ in 0..3 {
        node.send(&udp(HOST_A[0], HOST_B[2]));
        assert_eq!(replies(udp, &mut node), None);
        assert_eq!(kill_all(&node), 1);
        assert!(node.flows.is_empty());
    }
    assert_eq!(node.flows_created(), 3);
}

#[test]
fn a_killed_flow_ends_for_replies_that_may_not_begin_one() {
    let mut node = node();
    node.send(&echo(HOST_A[0], HOST_B[2], false));
    kill_all(&node);
    let reply = |source: &str, destination: &str| echo(source, destination, false);
    assert_eq!(replies(reply, &mut node), Some(DropReason::NoFlow));
}

#[test]
fn a_killed_connection_is_taken_up_in_mid_stream_unless_that_is_off() {
    let ack = |source: &str, destination: &str| tcp(source, destination, TcpFlags::ACK);
    for (midstream, expected) in [(true, None), (false, Some(DropReason::NoFlow))] {
        let mut node = Node::new(&format!("[flows]\nmidstream = {midstream}\n{CORP_A}{ALLOW_ALL}"));
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
        kill_all(&node);
        assert_eq!(node.refusal(&ack(HOST_A[0], HOST_B[2])), expected);
        kill_all(&node);
        assert_eq!(replies(ack, &mut node), expected);
    }
}

#[test]
fn a_new_connection_on_the_tuple_of_one_that_ended_is_opening() {
    for end in [TcpFlags::RST, TcpFlags::FIN | TcpFlags::ACK] {
        let mut node = node();
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
        node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK)));
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK));
        assert_eq!(State::of(&node.only_flow()), State::Established);
        node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], end)));
        assert_eq!(State::of(&node.only_flow()), State::Closing);
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
        assert_eq!(State::of(&node.only_flow()), State::Opening);
        node.receive("gw-b", &answer(&tcp(HOST_A[1], HOST_B[1], TcpFlags::SYN | TcpFlags::ACK)));
        node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::ACK));
        assert_eq!(State::of(&node.only_flow()), State::Established);
        node.wait(Duration::from_secs(241));
        assert_eq!(
            node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now),
            0,
            "its limit is the long one"
        );
    }
}

#[test]
fn killing_twice_or_too_late_kills_nobody_else() {
    let mut node = Node::with_flows(&format!("{CORP_A}{ALLOW_ALL}"), 1);
    node.send(&udp(HOST_A[0], HOST_B[2]));
    let mut first = None;
    node.flows.for_each(|id, _| {
        first = Some(id);
        false
    });
    let first = first.expect("there is one");
    node.flows.remove(first, EndReason::Killed);
    node.flows.remove(first, EndReason::Killed);
    node.send(&tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN));
    node.flows.remove(first, EndReason::Killed);
    assert_eq!(node.flows.len(), 1, "the slot is another flow's now");
}
