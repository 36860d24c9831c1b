//! Packets that were announced fare as those that were not.

use gridway_forwarding::Expectations;
use gridway_forwarding::flow::{EndReason, Key, Side};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::packet::parse;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, address, answer, packet};

const FLOWS: u16 = 6_000;
const BURST: usize = 64;
const ROUNDS: usize = 400;

fn datagram(source: &str, destination: &str, flow: u16) -> PacketSpec {
    packet(source, destination, Content::Udp { ports: (10_000 + flow, 53), checksum: true })
}

fn node_with_flows() -> Node {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    for flow in 0..FLOWS {
        node.send(&datagram(HOST_A[0], HOST_B[2], flow));
    }
    node
}

/// A packet of a known flow, or of a new one, or one with something about it.
fn any(random: &mut StdRng, out: bool) -> Vec<u8> {
    let flow = random.random_range(0..FLOWS + 500);
    let there = datagram(HOST_A[usize::from(!out)], HOST_B[if out { 2 } else { 1 }], flow);
    let mut spec = if out { there } else { answer(&there) };
    match random.random_range(0..12) {
        0 => spec.ttl = 1,
        1 => spec.destination = address("192.0.2.99"),
        2 => spec.payload = vec![7; 1600],
        _ => {}
    }
    let mut bytes = spec.to_bytes();
    match random.random_range(0..12) {
        0 => bytes[10] ^= 1,
        1 => bytes.truncate(random.random_range(0..bytes.len())),
        _ => {}
    }
    bytes
}

/// Ends the flow of a packet, if it has one.
fn end_flow(node: &Node, bytes: &[u8]) {
    if let Ok(parsed) = parse(bytes)
        && let Some(flow) = node.flows.find(Side::Local, &Key::local(&parsed.tuple))
    {
        node.flows.remove(flow.id, EndReason::Killed);
    }
}

#[test]
fn what_was_learnt_of_a_packet_changes_nothing() {
    let (mut plain, mut announced) = (node_with_flows(), node_with_flows());
    let (gw_b, corp) = (plain.peer("gw-b"), plain.vnet("corp"));
    let random = &mut StdRng::seed_from_u64(11);
    let (mut learnt, mut known) = (Expectations::default(), 0);
    for round in 0..ROUNDS {
        let out = round % 2 == 0;
        let mut burst: Vec<_> = (0..BURST).map(|_| any(random, out)).collect();
        // Two packets of one flow, which may be new.
        burst[BURST - 1] = burst[0].clone();
        let packets = burst.iter().map(Vec::as_slice);
        match out {
            true => announced.forwarder.expect_outbound(packets, &mut learnt),
            false => announced.forwarder.expect_inbound(corp, packets, &mut learnt),
        }
        if out {
            // Flows may end before their packets' turn.
            end_flow(&plain, &burst[1]);
            end_flow(&announced, &burst[1]);
        }
        for (number, bytes) in burst.iter().enumerate() {
            let expected = learnt.of(number);
            known += usize::from(expected.is_some());
            let [mut one, mut other] = [bytes.clone(), bytes.clone()];
            let now = plain.now;
            if out {
                let verdict = announced.forwarder.outbound_expected(&mut other, expected, now);
                assert_eq!(verdict, plain.forwarder.outbound(&mut one, now), "{bytes:02x?}");
            } else {
                let verdict = announced.forwarder.inbound_expected(gw_b, corp, &mut other, expected, now);
                assert_eq!(verdict, plain.forwarder.inbound(gw_b, corp, &mut one, now), "{bytes:02x?}");
            }
            assert_eq!(one, other);
            assert_eq!(plain.emitted(), announced.emitted());
        }
    }
    let flows = |node: &Node| {
        let mut flows = Vec::new();
        node.flows.for_each(|_, flow| {
            flows.push(*flow);
            true
        });
        flows
    };
    assert!(flows(&plain) == flows(&announced), "flows differ");
    assert!(known > ROUNDS * BURST / 2, "of {known} packets only anything was known");
}
