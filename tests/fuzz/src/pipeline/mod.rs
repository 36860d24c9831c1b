//! Packets through the forwarders of a node, while its policy, its peers and the time change.
//!
//! The input is a sequence of steps, each an opcode and what it asks for. Two workers share the tables; one may
//! not know yet what the other has taken in.

mod node;
mod packets;
mod policies;

use std::time::Duration;

use gridway_forwarding::Target;

use node::Node;
use packets::{Input, answer, error, mutate, packet, pieces};

/// Steps of one run.
const STEPS: usize = 200;

/// One input.
///
/// # Panics
/// When a property does not hold.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut node = Node::new();
    for _ in 0..STEPS {
        if input.is_over() {
            break;
        }
        step(&mut node, &mut input);
    }
    node.finish();
}

fn step(node: &mut Node, input: &mut Input<'_>) {
    let opcode = input.byte();
    let worker = usize::from(opcode >> 7);
    if opcode & 0x40 == 0 {
        node.begin_turn(worker);
    }
    match opcode & 15 {
        0 | 1 => {
            let bytes = packet(input);
            node.outbound(worker, &bytes);
        }
        2 | 3 => {
            let (peer, bytes) = (input.byte(), packet(input));
            node.inbound(worker, peer, &bytes);
        }
        4 => {
            let mut bytes = packet(input);
            mutate(input, &mut bytes);
            send(node, worker, input.byte(), &bytes);
        }
        5 => {
            let mut bytes = input.bytes();
            packets::repair(&mut bytes);
            send(node, worker, input.byte(), &bytes);
        }
        6 | 7 => {
            let Some((bytes, back)) = remembered(node, input) else { return };
            if let Some(answer) = answer(&bytes, input.byte()) {
                send(node, worker, back, &answer);
            }
        }
        8 | 9 => {
            let Some((bytes, back)) = remembered(node, input) else { return };
            if let Some(mut error) = error(input, &bytes) {
                mutate(input, &mut error);
                send(node, worker, back, &error);
            }
        }
        10 | 11 => {
            let (bytes, id, way, order) = (packet(input), input.byte() & 3, input.byte(), input.byte());
            let mut pieces = pieces(bytes, id, 68 + usize::from(input.byte()) * 4);
            let middle = usize::from(order) % pieces.len();
            pieces.rotate_left(middle);
            // Not all of them come.
            for piece in pieces.iter().take(1 + usize::from(order >> 3)) {
                send(node, worker, way, piece);
            }
        }
        12 => node.wait(Duration::from_millis(1 << (input.byte() % 24))),
        13 => {
            let which = input.byte();
            if which & 0x80 == 0 { node.reload(which) } else { node.set_up(which, which & 0x40 != 0) }
        }
        14 => node.kill(input.byte()),
        _ => match remembered(node, input) {
            Some((bytes, _)) if opcode & 0x20 != 0 => node.undeliverable(worker, &bytes),
            _ => node.probe(worker),
        },
    }
}

/// From a local host, or from the peer that the low bits say.
fn send(node: &mut Node, worker: usize, way: u8, bytes: &[u8]) {
    if way & 0x80 == 0 { node.outbound(worker, bytes) } else { node.inbound(worker, way & 0x7f, bytes) }
}

/// A packet that left, and the way that what answers it comes.
fn remembered(node: &Node, input: &mut Input<'_>) -> Option<(Vec<u8>, u8)> {
    let which = usize::from(input.byte());
    let left = node.left.get(which % node.left.len().max(1))?;
    let back = match left.to {
        Target::Local(_) => 0,
        Target::Tunnel(to) => 0x80 | (to.peer.0 & 0x7f) as u8,
    };
    Some((left.bytes.clone(), back))
}
