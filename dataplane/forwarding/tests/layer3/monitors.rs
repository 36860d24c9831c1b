//! Route monitors: probes, and the accumulator that says whether a route can be used.

use std::time::Duration;

use gridway_forwarding::monitor::ProbeFailure;
use gridway_forwarding::{DropReason, Inbound, MonitorId, PeerId, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::packet::{Packet, Transport};
use gridway_wire::segment::Segment;
use gridway_wire::tcp::TcpFlags;

use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, address, judged, packet, udp};

const TARGET: &str = "10.200.2.1";
const OWN: &str = "10.200.1.254";

/// Two routes, the better one with a monitor that asks every second and gives up after 200 ms, three times.
fn vnet(monitor: &str) -> String {
    let corp = CORP_A.replace("metric = 10", &format!("metric = 10\n  monitor = {{ {monitor} }}"));
    format!(
        "{corp}
  [[vnet.route]]
  to = \"10.200.2.0/24\"
  via = \"gw-c\"
  metric = 20
{ALLOW_ALL}"
    )
}

const ICMP: &str = "protocol = \"icmp\", target = \"10.200.2.1\", count = 3, max_latency = \"200ms\"";
const TCP: &str =
    "protocol = \"tcp\", target = \"10.200.2.1\", port = 80, count = 3, max_latency = \"200ms\"";

/// The probe of a tick, if it brought one.
fn probe(node: &mut Node) -> Option<(Packet, Vec<u8>)> {
    node.forwarder.handle_monitors(node.now);
    let mut emitted = node.emitted();
    assert!(emitted.len() <= 1, "{emitted:?}");
    let (to, bytes) = emitted.pop()?;
    let gw_b = node.peer("gw-b");
    assert!(
        matches!(to, Target::Tunnel(to) if to.peer == gw_b),
        "probes go through the tunnel of their route"
    );
    Some((judged(&bytes), bytes))
}

fn id(node: &Node) -> MonitorId {
    node.policy.vnet_named("corp").expect("it is configured").probes[0].id
}

fn failures(node: &Node) -> (u32, bool) {
    let view = node.monitors.view(id(node)).expect("it is configured");
    (view.failures, view.passes)
}

/// What a target answers to an ICMP probe.
fn reply(probe: &(Packet, Vec<u8>)) -> PacketSpec {
    let sequence = gridway_wire::icmp::echo_sequence(&probe.1, &probe.0).expect("an echo request");
    let content = Content::Echo { identifier: probe.0.tuple.source_port, sequence, reply: true };
    PacketSpec { payload: Vec::new(), ..packet(TARGET, OWN, content) }
}

/// What a target answers to a TCP probe, with these flags and this acknowledgement.
fn segment(probe: &(Packet, Vec<u8>), flags: TcpFlags, beyond: u32) -> Vec<u8> {
    let (sequence, _) = Segment::numbers(&probe.1, &probe.0).expect("a segment");
    let answer = Segment {
        source: (address(TARGET), 80),
        destination: (address(OWN), probe.0.tuple.source_port),
        sequence: 9,
        acknowledgement: sequence.wrapping_add(beyond),
        flags,
    };
    let mut bytes = [0; 60];
    let length = answer.write(&mut bytes).expect("one family");
    bytes[..length].to_vec()
}

/// One round: a probe, and its answer where `answered` says so. A second passes.
fn round(node: &mut Node, answered: bool) {
    let asked = probe(node).expect("one is due");
    if answered {
        node.wait(Duration::from_millis(20));
        assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
        node.wait(Duration::from_millis(980));
    } else {
        node.wait(Duration::from_millis(200));
        assert!(probe(node).is_none(), "the next is not due, the last one is judged");
        node.wait(Duration::from_millis(800));
    }
    node.forwarder.begin_turn(|| &node.policy);
}

/// The peer that a new flow goes to.
fn way(node: &mut Node, port: u16) -> PeerId {
    let content = Content::Udp { ports: (port, 53), checksum: true };
    node.send(&packet(HOST_A[0], HOST_B[2], content)).0
}

#[test]
fn a_probe_comes_from_the_nodes_address_and_its_answer_is_consumed() {
    let mut node = Node::new(&vnet(ICMP));
    let asked = probe(&mut node).expect("the first is due at once");
    assert_eq!(asked.0.transport, Transport::IcmpQuery);
    assert_eq!((asked.0.tuple.source, asked.0.tuple.destination), (address(OWN), address(TARGET)));
    node.wait(Duration::from_millis(30));
    assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
    let view = node.monitors.view(id(&node)).expect("it is configured");
    assert_eq!(view.latency, Some(Duration::from_millis(30)));
    assert!(node.flows.is_empty());
}

#[test]
fn the_route_goes_down_after_so_many_failures_and_up_after_as_many_successes() {
    let mut node = Node::new(&vnet(ICMP));
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    assert_eq!(way(&mut node, 1), gw_b);
    for expected in [(1, true), (2, true), (3, false), (3, false)] {
        round(&mut node, false);
        assert_eq!(failures(&node), expected);
    }
    assert_eq!(way(&mut node, 1), gw_c, "flows move");
    for expected in [(2, false), (1, false), (0, true), (0, true)] {
        round(&mut node, true);
        assert_eq!(failures(&node), expected);
    }
    assert_eq!(way(&mut node, 1), gw_b);
    assert_eq!(node.flows_created(), 1);
    let [(_, view)] = node.monitors.views()[..] else { panic!("one is configured") };
    assert_eq!((view.changes, node.monitors.changes()), (2, 2), "down and up");
    assert_eq!(view.last_failure, Some(ProbeFailure::NoReply));
}

#[test]
fn a_target_that_answers_now_and_then_does_not_flap() {
    let mut node = Node::new(&vnet(ICMP));
    let mut changes = 0;
    let mut last = true;
    for n in 0..60 {
        round(&mut node, n % 2 == 0);
        let (_, passes) = failures(&node);
        changes += usize::from(passes != last);
        last = passes;
    }
    assert_eq!(changes, 0, "every failure was made good");
    // Two failures for each success: it goes down once and stays down.
    for n in 0..60 {
        round(&mut node, n % 3 == 0);
        let (_, passes) = failures(&node);
        changes += usize::from(passes != last);
        last = passes;
    }
    assert_eq!((changes, last), (1, false));
}

#[test]
fn a_reply_that_takes_too_long_is_a_failure_and_is_not_counted_again() {
    let mut node = Node::new(&vnet(ICMP));
    let asked = probe(&mut node).expect("one is due");
    node.wait(Duration::from_millis(200));
    assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
    assert_eq!(failures(&node).0, 1, "as long as the limit is too long");
    assert!(probe(&mut node).is_none());
    assert_eq!(failures(&node).0, 1);
    assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
    assert_eq!(failures(&node).0, 1);
}

#[test]
fn a_reply_to_an_earlier_probe_is_taken_without_effect() {
    let mut node = Node::new(&vnet(ICMP));
    let asked = probe(&mut node).expect("one is due");
    node.wait(Duration::from_millis(200));
    assert!(probe(&mut node).is_none());
    node.wait(Duration::from_millis(800));
    let next = probe(&mut node).expect("one is due");
    assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
    assert_eq!(failures(&node).0, 1, "it is no answer to the probe under way");
    assert_eq!(node.inbound("gw-b", &mut reply(&next).to_bytes()), Inbound::Consumed);
    assert_eq!(failures(&node).0, 0);
}

#[test]
fn only_the_answer_to_the_probe_counts() {
    let mut node = Node::new(&vnet(ICMP));
    let asked = probe(&mut node).expect("one is due");
    let right = reply(&asked);
    let mut wrong = Vec::new();
    let Content::Echo { identifier, sequence, reply } = right.content else { panic!("{right:?}") };
    for content in [
        Content::Echo { identifier, sequence: sequence.wrapping_add(1), reply },
        Content::Echo { identifier: identifier ^ 1, sequence, reply },
    ] {
        wrong.push(PacketSpec { content, ..right.clone() });
    }
    wrong.push(PacketSpec { source: address("10.200.2.2"), ..right.clone() });
    for spec in wrong {
        assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::ToOwnAddress), "{spec:?}");
    }
    assert_eq!(node.inbound_refusal("gw-d", &right), Some(DropReason::SourceCheck));
    node.emitted();
    node.wait(Duration::from_millis(200));
    assert!(probe(&mut node).is_none());
    assert_eq!(failures(&node).0, 1);
}

#[test]
fn a_tcp_monitor_takes_an_acknowledgement_and_closes_the_connection() {
    let mut node = Node::new(&vnet(TCP));
    let asked = probe(&mut node).expect("one is due");
    assert_eq!(asked.0.transport, Transport::Tcp { flags: TcpFlags::SYN });
    assert_eq!(asked.0.tuple.destination_port, 80);
    let mut bytes = segment(&asked, TcpFlags::SYN | TcpFlags::ACK, 1);
    assert_eq!(node.inbound("gw-b", &mut bytes), Inbound::Consumed);
    assert_eq!(failures(&node).0, 0);
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1, "the target need not wait");
    let reset = judged(&emitted[0].1);
    assert_eq!(reset.transport, Transport::Tcp { flags: TcpFlags::RST });
    assert_eq!(reset.tuple, asked.0.tuple);
    let (sequence, _) = Segment::numbers(&asked.1, &asked.0).expect("a segment");
    assert_eq!(Segment::numbers(&emitted[0].1, &reset).expect("a segment").0, sequence.wrapping_add(1));
}

#[test]
fn a_tcp_monitor_takes_a_reset_for_a_failure() {
    let mut node = Node::new(&vnet(TCP));
    for expected in [(1, true), (2, true), (3, false)] {
        let asked = probe(&mut node).expect("one is due");
        let mut bytes = segment(&asked, TcpFlags::RST | TcpFlags::ACK, 1);
        assert_eq!(node.inbound("gw-b", &mut bytes), Inbound::Consumed);
        assert!(node.emitted().is_empty(), "a reset is not answered");
        assert_eq!(failures(&node), expected);
        node.wait(Duration::from_secs(1));
    }
}

#[test]
fn a_tcp_monitor_does_not_take_what_acknowledges_something_else() {
    let mut node = Node::new(&vnet(TCP));
    let asked = probe(&mut node).expect("one is due");
    for (flags, beyond) in [
        (TcpFlags::SYN | TcpFlags::ACK, 0),
        (TcpFlags::SYN | TcpFlags::ACK, 2),
        (TcpFlags::RST | TcpFlags::ACK, 0),
        (TcpFlags::SYN, 1),
    ] {
        let mut bytes = segment(&asked, flags, beyond);
        assert_eq!(node.inbound("gw-b", &mut bytes), Inbound::Drop(DropReason::ToOwnAddress), "{flags:?}");
        node.emitted();
    }
    assert_eq!(failures(&node).0, 0);
    let mut bytes = segment(&asked, TcpFlags::SYN | TcpFlags::ACK, 1);
    assert_eq!(node.inbound("gw-b", &mut bytes), Inbound::Consumed);
}

#[test]
fn an_icmp_error_about_a_probe_is_a_failure_once() {
    for monitor in [ICMP, TCP] {
        let mut node = Node::new(&vnet(monitor));
        let asked = probe(&mut node).expect("one is due");
        let mut error = packet("10.200.2.250", OWN, Content::Error { kind: 3, code: 1 });
        error.payload = asked.1[..28].to_vec();
        // With another sequence number than the probe's.
        error.payload[27] ^= 1;
        assert_eq!(node.inbound_refusal("gw-b", &error), Some(DropReason::IcmpNoFlow), "{monitor}");
        assert_eq!(failures(&node).0, 0);
        error.payload[27] ^= 1;
        for _ in 0..3 {
            assert_eq!(node.inbound("gw-b", &mut error.to_bytes()), Inbound::Consumed);
            assert_eq!(failures(&node).0, 1);
        }
        // About something else of this node.
        error.payload[20] ^= 0xff;
        error.payload[25] ^= 0xff;
        let refused = node.inbound_refusal("gw-b", &error);
        assert_eq!(refused, Some(DropReason::IcmpNoFlow), "{monitor}");
    }
}

#[test]
fn nothing_is_asked_and_nothing_learned_while_the_tunnel_is_down() {
    let mut node = Node::new(&vnet(ICMP));
    node.set_up("gw-b", false);
    for _ in 0..10 {
        assert!(probe(&mut node).is_none());
        node.wait(Duration::from_secs(1));
    }
    assert_eq!(failures(&node), (0, true));
    node.set_up("gw-b", true);
    assert!(probe(&mut node).is_some());
}

#[test]
fn probes_keep_their_interval() {
    let mut node = Node::new(&vnet(ICMP));
    let mut sent = 0;
    for _ in 0..1000 {
        sent += usize::from(probe(&mut node).is_some());
        node.wait(Duration::from_millis(10));
    }
    assert_eq!(sent, 10);
}

#[test]
fn a_slow_target_is_not_asked_again_before_it_was_given_up() {
    let slow = ICMP.replace("200ms", "2500ms");
    let mut node = Node::new(&vnet(&slow));
    let mut sent = 0;
    for _ in 0..120 {
        sent += usize::from(probe(&mut node).is_some());
        node.wait(Duration::from_millis(100));
    }
    assert_eq!(sent, 4, "at 0, 3, 6 and 9 s");
    let view = failures(&node);
    assert_eq!(view, (3, false));
}

#[test]
fn a_reload_keeps_what_is_known() {
    let mut node = Node::new(&vnet(ICMP));
    for _ in 0..3 {
        round(&mut node, false);
    }
    let gw_c = node.peer("gw-c");
    let asked = probe(&mut node).expect("one is due");
    node.reload(&vnet(ICMP).replace("metric = 20", "metric = 30"));
    assert_eq!(failures(&node), (3, false));
    assert_eq!(way(&mut node, 1), gw_c);
    assert_eq!(
        node.inbound("gw-b", &mut reply(&asked).to_bytes()),
        Inbound::Consumed,
        "asked before the reload"
    );
    assert_eq!(failures(&node), (2, false));
}

#[test]
fn a_monitor_that_asks_something_else_begins_anew_and_one_that_goes_lets_its_route_be() {
    let mut node = Node::new(&vnet(ICMP));
    for _ in 0..3 {
        round(&mut node, false);
    }
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    node.reload(&vnet(&ICMP.replace("10.200.2.1", "10.200.2.2")));
    assert_eq!(failures(&node), (0, true));
    assert_eq!(way(&mut node, 1), gw_b);
    // The first one comes back: what it had found is long past.
    node.reload(&vnet(ICMP));
    assert_eq!(failures(&node), (0, true));
    assert_eq!(way(&mut node, 2), gw_b);
    for _ in 0..3 {
        round(&mut node, false);
    }
    assert_eq!(way(&mut node, 3), gw_c);
    node.reload(&format!("{CORP_A}{ALLOW_ALL}"));
    assert_eq!(way(&mut node, 3), gw_b);
    assert!(probe(&mut node).is_none());
}

#[test]
fn the_nodes_address_is_nobody_elses() {
    let mut node = Node::new(&vnet(ICMP));
    let asked = probe(&mut node).expect("one is due");
    // The local host whose identity would be the node's own.
    let identifier = asked.0.tuple.source_port;
    let echo = Content::Echo { identifier, sequence: 1, reply: false };
    let local = packet("10.1.0.254", "172.16.2.1", echo);
    assert_eq!(
        node.refusal(&local),
        Some(DropReason::SpoofedLocal),
        "it would get the answers to the probes"
    );
    assert_eq!(node.refusal(&udp("10.1.0.254", HOST_B[2])), Some(DropReason::SpoofedLocal));
    assert!(node.flows.is_empty());
    assert_eq!(node.inbound("gw-b", &mut reply(&asked).to_bytes()), Inbound::Consumed);
}
