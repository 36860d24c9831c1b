//! A private network namespace with a veth pair:
//!
//! ```text
//!   [ Port, XDP program ] port0 ---------- wire0 [ Wire: an AF_PACKET socket ]
//! ```
//!
//! The namespace belongs to the calling thread, and goes with its last socket: nothing is left to clean up.

#![expect(clippy::unwrap_used, reason = "a failure to set up the test is a failure of the test")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

pub(crate) mod redirect;
pub(crate) mod wire;

use std::process::Command;
use std::time::{Duration, Instant};

use gridway_xsk::{Frame, Port, PortOptions};
use nix::sched::{CloneFlags, unshare};

pub(crate) use redirect::{Attach, Redirect};

/// Interface of the port under test.
pub(crate) const PORT: &str = "port0";
/// Interface at the other end of the cable.
pub(crate) const WIRE: &str = "wire0";
/// MAC address of the sender of [`udp`] packets.
pub(crate) const SENDER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// MAC address of the receiver of [`udp`] packets.
pub(crate) const RECEIVER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// Runs `ip` in the namespace of this thread.
pub(crate) fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Whether the kernel has an interface ready to send (`operstate`, RFC 2863).
pub(crate) fn operational(interface: &str) -> bool {
    let shown = Command::new("ip").args(["-oneline", "link", "show", interface]).output().unwrap();
    String::from_utf8_lossy(&shown.stdout).contains("state UP")
}

/// Puts this thread into a namespace of its own with a veth pair of `queues` queues, both ends up and silent.
pub(crate) fn cable(queues: usize) {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    let count = format!("numrxqueues {queues} numtxqueues {queues}");
    ip(&format!("link add {PORT} {count} type veth peer name {WIRE} {count}"));
    ip(&format!("link set {PORT} up"));
    ip(&format!("link set {WIRE} up"));
    until("the cable is ready", || operational(PORT) && operational(WIRE));
}

/// Options of a small port on the first `queues` queues.
pub(crate) fn options(queues: u32) -> PortOptions {
    let mut options = PortOptions::new(PORT, (0..queues).collect());
    options.frames = 1024;
    options.ring_size = 256;
    options
}

/// An open port that gets all packets of its queues.
pub(crate) fn connect(options: &PortOptions, attach: Attach) -> (Port, Redirect) {
    let port = Port::open(options).unwrap();
    let redirect = Redirect::attach(&options.interface, attach);
    for queue in port.queues() {
        redirect.register(queue.id, &queue);
    }
    (port, redirect)
}

/// A UDP packet with a payload of `len` bytes that depends on `seed`. Flows differ by their source port.
pub(crate) fn udp(source_port: u16, seed: u32, len: usize) -> Vec<u8> {
    let payload: Vec<u8> =
        (0..len).map(|i| (seed as usize).wrapping_mul(31).wrapping_add(i * 7) as u8).collect();
    let builder = etherparse::PacketBuilder::ethernet2(SENDER, RECEIVER)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(source_port, 9);
    let mut packet = Vec::with_capacity(builder.size(len));
    builder.write(&mut packet, &payload).unwrap();
    packet
}

/// The packet that [`echo`] answers with: source and destination MAC exchanged.
pub(crate) fn swapped(packet: &[u8]) -> Vec<u8> {
    [&packet[6..12], &packet[0..6], &packet[12..]].concat()
}

/// Receives a burst on each queue and sends it back with MACs exchanged. Returns the number of packets
/// received.
pub(crate) fn echo(port: &mut Port, burst: &mut Vec<Frame>) -> usize {
    let queues = port.queues().len();
    let count = (0..queues).map(|queue| echo_burst(port, queue, burst)).sum();
    port.flush().unwrap();
    count
}

/// As [`echo`], for one queue and without the flush. Packets that the tx ring has no room for are recycled.
pub(crate) fn echo_burst(port: &mut Port, queue: usize, burst: &mut Vec<Frame>) -> usize {
    let count = port.receive(queue, burst);
    for mut frame in burst.drain(..) {
        let (destination, rest) = port.packet_mut(&mut frame).split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
        if let Err(rejected) = port.transmit(queue, frame) {
            port.recycle(rejected.frame);
        }
    }
    count
}

/// Calls `step` until it says so, for at most five seconds.
#[track_caller]
pub(crate) fn until(what: &str, mut step: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !step() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Flushes until nothing is being sent, then checks that every frame is home.
#[track_caller]
pub(crate) fn all_home(port: &mut Port) {
    until("frames come home", || {
        port.flush().unwrap();
        port.accounting().all_home()
    });
}
