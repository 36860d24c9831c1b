//! Packets through a port, seen from the other end of the cable.

use crate::support::wire::Wire;
use crate::support::{Attach, PORT, WIRE, all_home, cable, connect, echo, options, swapped, udp, until};
use gridway_xsk::{Frame, NoRoom, Port, RejectReason};

/// Waits for one packet.
fn next(port: &mut Port, queue: usize) -> Frame {
    let mut burst = Vec::new();
    until("a packet arrives", || port.receive(queue, &mut burst) > 0);
    assert_eq!(burst.len(), 1);
    burst.pop().unwrap()
}

fn echoes_every_length(attach: Attach, need_wakeup: bool) {
    cable(1);
    let mut options = options(1);
    options.need_wakeup = need_wakeup;
    let (mut port, _redirect) = connect(&options, attach);
    let wire = Wire::open(WIRE);
    let mut burst = Vec::new();
    for len in (0..=1472).step_by(23) {
        let packet = udp(4000, len as u32, len);
        wire.send(&packet);
        until("the packet arrives", || echo(&mut port, &mut burst) == 1);
        assert_eq!(wire.receive().unwrap(), swapped(&packet), "payload of {len} bytes");
    }
    all_home(&mut port);
    let statistics = port.statistics().unwrap();
    assert_eq!(statistics.len(), 1);
    assert_eq!((statistics[0].rx_dropped, statistics[0].tx_invalid_descs), (0, 0));
    assert_eq!(port.counters().received, 65);
    assert_eq!(port.counters().completed, 65);
    assert_eq!(port.counters().unexpected_descriptors, 0);
}

#[test]
fn echoes_packets_of_every_length_with_their_contents_intact() {
    echoes_every_length(Attach::Native, true);
}

#[test]
fn echoes_packets_with_a_generic_program() {
    echoes_every_length(Attach::Generic, true);
}

#[test]
fn echoes_packets_without_the_need_wakeup_flag() {
    echoes_every_length(Attach::Native, false);
}

#[test]
fn serves_two_queues_from_one_umem() {
    cable(2);
    let (mut port, _redirect) = connect(&options(2), Attach::Native);
    assert_eq!(port.queues().map(|queue| queue.id).collect::<Vec<_>>(), [0, 1]);
    let wire = Wire::open(WIRE);
    let mut burst = Vec::new();
    let mut received = [0; 2];
    let mut expected = Vec::new();
    // Enough flows for the sender's hash to use both queues.
    for flow in 0..64 {
        let packet = udp(4000 + flow, u32::from(flow), 100);
        wire.send(&packet);
        expected.push(swapped(&packet));
    }
    until("all packets arrive", || {
        for (queue, count) in received.iter_mut().enumerate() {
            *count += port.receive(queue, &mut burst);
        }
        received.iter().sum::<usize>() == 64
    });
    assert!(received.iter().all(|count| *count > 0), "queues received {received:?}");
    // All leave by the other queue than half of them came in.
    for mut frame in burst.drain(..) {
        let (destination, rest) = port.packet_mut(&mut frame).split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
        port.transmit(1, frame).unwrap();
    }
    port.flush().unwrap();
    let mut answers: Vec<_> = (0..64).map(|_| wire.receive().unwrap()).collect();
    answers.sort();
    expected.sort();
    assert_eq!(answers, expected);
    all_home(&mut port);
}

#[test]
fn sends_packets_built_in_allocated_frames() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    let packet = udp(1, 2, 1000);
    let mut frame = port.allocate().unwrap();
    assert!(frame.is_empty());
    assert_eq!(port.buffer_mut(&mut frame).len(), port.max_packet());
    port.buffer_mut(&mut frame)[..packet.len()].copy_from_slice(&packet);
    port.resize(&mut frame, packet.len()).unwrap();
    assert_eq!(port.packet(&frame), packet);
    port.transmit(0, frame).unwrap();
    assert_eq!(port.flush().unwrap().unsent, 0);
    assert_eq!(wire.receive().unwrap(), packet);
    all_home(&mut port);
}

#[test]
fn recycled_frames_are_sent_with_their_own_length() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    // The free list is a stack, so each round gets the frame of the one before, through transmission in even
    // rounds and through recycling in odd ones.
    for (round, len) in [1400, 3, 900, 0, 1472, 18, 19].into_iter().enumerate() {
        let packet = udp(7, round as u32, len);
        let mut frame = port.allocate().unwrap();
        assert_eq!(frame.len(), 0, "round {round}");
        port.buffer_mut(&mut frame)[..packet.len()].copy_from_slice(&packet);
        port.resize(&mut frame, packet.len()).unwrap();
        port.recycle(frame);
        let mut frame = port.allocate().unwrap();
        assert_eq!(frame.len(), 0, "round {round}");
        assert_eq!(port.buffer_mut(&mut frame)[..packet.len()], packet, "the same frame again");
        port.resize(&mut frame, packet.len()).unwrap();
        port.transmit(0, frame).unwrap();
        port.flush().unwrap();
        assert_eq!(wire.receive().unwrap(), packet, "round {round}");
        until("the frame comes home", || port.flush().is_ok() && port.accounting().transmitting == 0);
    }
    all_home(&mut port);
}

#[test]
fn headers_can_be_taken_off_and_put_on_at_the_front() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    let packet = udp(5, 6, 500);

    // Off and on again: no byte moves.
    wire.send(&packet);
    let mut frame = next(&mut port, 0);
    port.trim_front(&mut frame, 14).unwrap();
    assert_eq!(port.packet(&frame), &packet[14..]);
    port.grow_front(&mut frame, 14).unwrap();
    assert_eq!(port.packet(&frame), packet);

    // Eight bytes longer than it came.
    port.trim_front(&mut frame, 14).unwrap();
    port.grow_front(&mut frame, 22).unwrap();
    assert_eq!(port.packet(&frame)[22..], packet[14..]);
    port.packet_mut(&mut frame)[..22].copy_from_slice(&[&packet[..14], &[0xaa; 8]].concat());
    port.transmit(0, frame).unwrap();
    port.flush().unwrap();
    assert_eq!(wire.receive().unwrap(), [&packet[..14], &[0xaa; 8], &packet[14..]].concat());

    // Shorter at the front and at the end.
    wire.send(&packet);
    let mut frame = next(&mut port, 0);
    port.trim_front(&mut frame, 28).unwrap();
    port.resize(&mut frame, 100).unwrap();
    port.transmit(0, frame).unwrap();
    port.flush().unwrap();
    assert_eq!(wire.receive().unwrap(), packet[28..128]);
    all_home(&mut port);
}

#[test]
fn a_packet_never_leaves_its_frame() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let room = port.max_packet();
    assert_eq!(room, 2048 - 256);
    let mut frame = port.allocate().unwrap();
    assert_eq!(port.resize(&mut frame, room + 1), Err(NoRoom { needed: room + 1, room }));
    assert_eq!(port.resize(&mut frame, usize::MAX), Err(NoRoom { needed: usize::MAX, room }));
    port.resize(&mut frame, room).unwrap();
    assert_eq!(port.grow_front(&mut frame, 1), Err(NoRoom { needed: room + 1, room }));
    assert_eq!(port.grow_front(&mut frame, usize::MAX), Err(NoRoom { needed: usize::MAX, room }));
    assert_eq!(port.trim_front(&mut frame, room + 1), Err(NoRoom { needed: room + 1, room }));
    assert_eq!(frame.len(), room);
    port.trim_front(&mut frame, room).unwrap();
    assert!(frame.is_empty());
    assert_eq!(port.packet(&frame), []);
    assert_eq!(port.buffer_mut(&mut frame), []);
    assert_eq!(port.resize(&mut frame, 1), Err(NoRoom { needed: 1, room: 0 }));
    port.grow_front(&mut frame, 13).unwrap();
    // 13 bytes are no Ethernet header.
    let rejected = port.transmit(0, frame).unwrap_err();
    assert_eq!(rejected.reason, RejectReason::TooShort);
    port.recycle(rejected.frame);
    all_home(&mut port);
}

#[test]
fn sockets_wake_a_poll_when_packets_arrive() {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    cable(1);
    let (port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    let queue = port.queues().next().unwrap();
    let mut sockets = [PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut sockets, PollTimeout::ZERO).unwrap(), 0, "{PORT} is silent");
    wire.send(&udp(1, 1, 1));
    assert_eq!(poll(&mut sockets, PollTimeout::from(1000_u16)).unwrap(), 1);
}
