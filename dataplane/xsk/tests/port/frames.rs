//! No frame is lost, doubled or shared, whatever happens to the traffic and to the interface.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::support::wire::Wire;
use crate::support::{
    Attach, PORT, WIRE, all_home, cable, connect, echo, ip, operational, options, swapped, udp, until,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use gridway_xsk::{BURST, Frame, Port, PortOptions, RejectReason};

/// A frame with a packet in it.
fn build(port: &mut Port, packet: &[u8]) -> Frame {
    let mut frame = port.allocate().unwrap();
    port.buffer_mut(&mut frame)[..packet.len()].copy_from_slice(packet);
    port.resize(&mut frame, packet.len()).unwrap();
    frame
}

/// Sends `count` packets through the echo in batches and compares every answer.
fn echo_all(port: &mut Port, wire: &Wire, count: u32) {
    let mut burst = Vec::new();
    for batch in 0..count.div_ceil(32) {
        let packets: Vec<_> =
            (0..32).map(|i| udp(4000, batch * 32 + i, ((batch + i) % 1400) as usize)).collect();
        packets.iter().for_each(|packet| wire.send(packet));
        let mut received = 0;
        until("the batch arrives", || {
            received += echo(port, &mut burst);
            received == 32
        });
        for packet in &packets {
            assert_eq!(wire.receive().unwrap(), swapped(packet));
        }
    }
}

#[test]
fn all_frames_are_home_after_100_000_packets() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    echo_all(&mut port, &wire, 100_000);
    all_home(&mut port);
    assert_eq!(port.counters().received, 100_000);
    assert_eq!(port.counters().transmitted, 100_000);
    assert_eq!(port.counters().completed, 100_000);
    assert_eq!(port.counters().unexpected_descriptors, 0);
    assert_eq!(port.statistics().unwrap()[0].rx_dropped, 0);
}

#[test]
fn a_burst_needs_no_allocation_after_the_first() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    let mut burst = Vec::with_capacity(BURST);
    let place = burst.as_ptr();
    for _ in 0..10 {
        (0..BURST).for_each(|i| wire.send(&udp(1, i as u32, 10)));
        let mut received = 0;
        until("the burst arrives", || {
            received += port.receive(0, &mut burst);
            assert!(burst.len() <= BURST);
            received == BURST
        });
        burst.drain(..).for_each(|frame| port.recycle(frame));
        assert_eq!((burst.as_ptr(), burst.capacity()), (place, BURST));
    }
    all_home(&mut port);
}

#[test]
fn all_frames_come_home_after_the_interface_went_down_and_up() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    echo_all(&mut port, &wire, 320);

    // Packets wait in the rx ring, on the tx ring and in our hands when it goes down.
    (0..32).for_each(|i| wire.send(&udp(1, i, 50)));
    let mut burst = Vec::new();
    until("packets arrive", || {
        port.receive(0, &mut burst);
        burst.len() == 32
    });
    (0..32).for_each(|i| wire.send(&udp(1, i, 60)));
    for frame in burst.drain(..16) {
        port.transmit(0, frame).unwrap();
    }
    ip(&format!("link set {PORT} down"));
    let flushed = port.flush().unwrap();
    assert!(flushed.interface_down, "{flushed:?}");
    assert_eq!(flushed.unsent, 16);
    assert!(port.counters().interface_down > 0);
    assert!(port.accounting().balances(), "{:?}", port.accounting());

    // Sending goes on until the ring is full, and gives frames back from then on.
    burst.drain(..).for_each(|frame| port.recycle(frame));
    let mut refused = 0;
    for i in 0..400 {
        let frame = build(&mut port, &udp(1, i, 70));
        if let Err(rejected) = port.transmit(0, frame) {
            assert_eq!(rejected.reason, RejectReason::RingFull);
            port.recycle(rejected.frame);
            refused += 1;
        }
        assert!(port.flush().unwrap().interface_down);
    }
    assert_eq!(refused, 400 - (256 - 16));
    assert!(port.accounting().balances(), "{:?}", port.accounting());

    ip(&format!("link set {PORT} up"));
    // What waited is sent now; what had been received before may still be read.
    until("the waiting packets leave", || {
        let flushed = port.flush().unwrap();
        !flushed.interface_down && flushed.unsent == 0
    });
    port.receive(0, &mut burst);
    burst.drain(..).for_each(|frame| port.recycle(frame));
    all_home(&mut port);
    while wire.poll().is_some() {}
    // The kernel lets the far end send only some time after its link is up: what is sent before is lost there.
    until("the far end has a carrier", || operational(WIRE));
    echo_all(&mut port, &wire, 320);
    all_home(&mut port);
}

#[test]
fn an_interface_that_is_removed_is_an_error_and_no_panic() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let frame = build(&mut port, &udp(1, 1, 1));
    ip(&format!("link del {PORT}"));
    port.transmit(0, frame).unwrap();
    let error = port.flush().unwrap_err();
    assert_eq!(error.queue, 0);
    assert_eq!(error.source.raw_os_error(), Some(libc::ENXIO));
    assert_eq!(port.receive(0, &mut Vec::new()), 0);
    assert!(port.accounting().balances());
}

#[test]
fn a_full_tx_ring_gives_the_frame_back_unchanged() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    for i in 0..256 {
        let frame = build(&mut port, &udp(1, i, 100));
        port.transmit(0, frame).unwrap();
    }
    let packet = udp(1, 256, 100);
    let frame = build(&mut port, &packet);
    let rejected = port.transmit(0, frame).unwrap_err();
    assert_eq!(rejected.reason, RejectReason::RingFull);
    assert_eq!(port.packet(&rejected.frame), packet);
    assert_eq!(port.accounting().held, 1);
    // One flush sends the whole ring, though a system call sends 32 packets only.
    assert_eq!(port.flush().unwrap().unsent, 0);
    assert!(port.counters().tx_wakeups >= 8, "{:?}", port.counters());
    port.transmit(0, rejected.frame).unwrap();
    port.flush().unwrap();
    for i in 0..=256 {
        assert_eq!(wire.receive().unwrap(), udp(1, i, 100));
    }
    all_home(&mut port);
}

#[test]
fn a_flood_that_nobody_reads_is_bounded_and_counted() {
    const FLOOD: u64 = 5000;
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    (0..FLOOD).for_each(|i| wire.send(&udp(1, i as u32, 100)));
    let lost = |port: &Port| {
        let statistics = port.statistics().unwrap()[0];
        statistics.rx_dropped + statistics.rx_ring_full
    };
    until("the kernel has handled the flood", || lost(&port) == FLOOD - 256);
    assert!(port.statistics().unwrap()[0].fill_ring_empty > 0);
    let accounting = port.accounting();
    assert!(accounting.balances(), "{accounting:?}");
    assert_eq!(accounting.receiving, 256, "no more than the fill ring had");

    // The first of the flood are there, and the port goes on.
    let mut burst = Vec::new();
    while port.receive(0, &mut burst) > 0 {}
    assert_eq!(burst.len(), 256);
    for (i, frame) in burst.drain(..).enumerate() {
        assert_eq!(port.packet(&frame), udp(1, i as u32, 100));
        port.recycle(frame);
    }
    echo_all(&mut port, &wire, 64);
    all_home(&mut port);
}

#[test]
fn holding_every_frame_starves_nobody_for_good() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    let mut held: Vec<_> = std::iter::from_fn(|| port.allocate()).collect();
    // The fill ring keeps its share.
    assert_eq!(held.len(), 1024 - 256);
    assert_eq!(port.accounting().receiving, 256);
    let mut burst = Vec::new();
    for i in 0..256 {
        wire.send(&udp(1, i, 10));
    }
    until("the fill ring is used up", || {
        port.receive(0, &mut burst);
        burst.len() == 256
    });
    assert_eq!(port.accounting().receiving, 0);
    assert!(port.allocate().is_none());
    wire.send(&udp(1, 0, 10));
    until("a packet is lost", || port.statistics().unwrap()[0].rx_dropped == 1);

    held.drain(..).chain(burst.drain(..)).for_each(|frame| port.recycle(frame));
    assert_eq!(port.receive(0, &mut burst), 0);
    echo_all(&mut port, &wire, 64);
    all_home(&mut port);
}

#[test]
fn frames_that_were_sent_are_found_without_a_flush() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    // 64 packets on the tx ring, one more in the batch, and every other frame held.
    for i in 0..65 {
        let frame = build(&mut port, &udp(1, i, 10));
        port.transmit(0, frame).unwrap();
    }
    let mut held: Vec<_> = std::iter::from_fn(|| port.allocate()).collect();
    assert_eq!(held.len(), 1024 - 256 - 65);
    let send_some = |port: &Port| {
        // In copy mode a poll sends 32 packets.
        let queue = port.queues().next().unwrap();
        let mut sockets = [PollFd::new(queue.as_fd(), PollFlags::POLLOUT)];
        poll(&mut sockets, PollTimeout::ZERO).unwrap();
    };

    send_some(&port);
    held.push(port.allocate().expect("a frame that was sent"));
    held.extend(std::iter::from_fn(|| port.allocate()));
    assert_eq!(port.accounting().transmitting, 33);

    // The fill ring is refilled from them as well.
    (0..32).for_each(|i| wire.send(&udp(1, i, 10)));
    until("packets arrive", || {
        port.receive(0, &mut held);
        held.len() == 1024 - 256 - 33 + 32
    });
    assert_eq!(port.accounting().receiving, 256 - 32);
    send_some(&port);
    port.receive(0, &mut held);
    assert_eq!(port.accounting().receiving, 256);
    held.drain(..).for_each(|frame| port.recycle(frame));
    all_home(&mut port);
}

#[test]
fn a_frame_of_another_port_is_refused() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let far = PortOptions { interface: WIRE.into(), ..options(1) };
    let mut other = Port::open(&far).unwrap();
    let frame = build(&mut other, &udp(1, 2, 3));

    let rejected = port.transmit(0, frame).unwrap_err();
    assert_eq!(rejected.reason, RejectReason::Foreign);
    let mut frame = rejected.frame;
    assert!(catch_unwind(AssertUnwindSafe(|| port.packet(&frame).len())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| port.packet_mut(&mut frame).len())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| port.buffer_mut(&mut frame).len())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| port.resize(&mut frame, 1))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| port.grow_front(&mut frame, 0))).is_err());

    assert_eq!(other.packet(&frame), udp(1, 2, 3), "its own port still has it");
    other.recycle(frame);
    assert!(port.accounting().all_home());
    assert!(other.accounting().all_home());

    // Recycled at the wrong port it is lost, and its own port says so.
    let frame = other.allocate().unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| port.recycle(frame)));
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
    assert!(port.accounting().all_home());
    assert_eq!((other.accounting().held, other.accounting().leaked), (1, 1));
}

#[test]
fn a_dropped_frame_is_counted() {
    cable(1);
    let mut port = Port::open(&options(1)).unwrap();
    let frame = port.allocate().unwrap();
    assert_eq!(catch_unwind(|| drop(frame)).is_err(), cfg!(debug_assertions));
    let accounting = port.accounting();
    assert_eq!((accounting.held, accounting.leaked), (1, 1));
    assert!(accounting.consistent && !accounting.balances());

    // After its port is closed a frame may go.
    let late = port.allocate().unwrap();
    drop(port);
    drop(late);
}

#[test]
fn a_port_works_on_the_thread_it_is_sent_to() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let mut burst = Vec::new();
            until("a packet arrives", || echo(&mut port, &mut burst) == 1);
            all_home(&mut port);
        });
        wire.send(&udp(1, 2, 3));
        worker.join().unwrap();
    });
    assert_eq!(wire.receive().unwrap(), swapped(&udp(1, 2, 3)));
}
