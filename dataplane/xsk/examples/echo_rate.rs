//! Packets a second through a port, over a veth pair in a namespace of its own:
//!
//! ```text
//!   [ generator: a Port on wire0 ] ==== UDP packets ===> [ port0: receive, swap MACs, transmit ]
//!                                  <======= echo =======
//! ```
//!
//! Usage: `cargo run --release -p gridway-xsk --example echo_rate [seconds] [packet bytes]` as root. Generator
//! and echo run on one core each, if there are two; so does the kernel's share of both. The numbers are those
//! of copy mode between two virtual NICs: they compare settings on one machine, they say nothing of a NIC.

#[path = "../tests/port/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gridway_xsk::{BURST, Port, PortOptions};
use support::{Attach, PORT, WIRE, cable, connect, echo_burst, udp};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(3, |text| text.parse().expect("seconds: a number"));
    let bytes = arguments.next().map_or(60, |text| text.parse().expect("packet bytes: a number"));
    println!("{bytes}-byte packets, {seconds} s each");
    for attach in [Attach::Native, Attach::Generic] {
        for need_wakeup in [true, false] {
            // A thread each, because a namespace belongs to its thread.
            thread::spawn(move || measure(attach, need_wakeup, Duration::from_secs(seconds), bytes))
                .join()
                .expect("the measurement runs to its end");
        }
    }
}

fn measure(attach: Attach, need_wakeup: bool, time: Duration, bytes: usize) {
    cable(1);
    let options = |interface: &str| PortOptions { need_wakeup, ..PortOptions::new(interface, vec![0]) };
    let (mut port, _redirect) = connect(&options(PORT), attach);
    let (mut generator, _sink) = connect(&options(WIRE), attach);
    let packet = udp(4000, 1, bytes.saturating_sub(42));
    let done = AtomicBool::new(false);
    let (cost, (sent, returned)) = thread::scope(|scope| {
        let counts = scope.spawn(|| generate(&mut generator, &packet, &done));
        let cost = echo_until(&mut port, Instant::now() + time);
        done.store(true, Ordering::Relaxed);
        (cost, counts.join().expect("the generator runs to its end"))
    });
    let counters = port.counters();
    let rate = |count: u64| count as f64 / time.as_secs_f64() / 1e6;
    println!(
        "{attach:?}, need_wakeup {need_wakeup}, {:?}, {:?} pages: sent {:.3}, received {:.3}, echoed {:.3}, \
         returned {:.3} Mpps; {:.1} packets a wake-up; a packet costs {} ns in user space and {} ns in flush",
        port.mode(),
        port.pages(),
        rate(sent),
        rate(counters.received),
        rate(counters.completed),
        rate(returned),
        counters.completed as f64 / counters.tx_wakeups.max(1) as f64,
        median(cost.user),
        median(cost.flush),
    );
    assert!(port.accounting().balances() && generator.accounting().balances());
}

/// Wall times of full batches, in nanoseconds for each packet. Of these the median counts: whatever else the
/// machine does in between lengthens some of them, and shortens none.
#[derive(Default)]
struct Cost {
    /// Receive, edit, transmit: no system call among them.
    user: Vec<u128>,
    /// Where the kernel sends, and frames come home.
    flush: Vec<u128>,
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn echo_until(port: &mut Port, end: Instant) -> Cost {
    let mut burst = Vec::with_capacity(BURST);
    let mut cost = Cost::default();
    let mut start = Instant::now();
    while start < end {
        let count = echo_burst(port, 0, &mut burst);
        let taken = Instant::now();
        port.flush().expect("the interface is there");
        if count == BURST {
            cost.user.push((taken - start).as_nanos() / BURST as u128);
            cost.flush.push(taken.elapsed().as_nanos() / BURST as u128);
        }
        start = Instant::now();
    }
    cost
}

/// Sends copies of a packet and counts what comes back, with at most a ring of them on the way.
fn generate(port: &mut Port, packet: &[u8], done: &AtomicBool) -> (u64, u64) {
    let mut burst = Vec::with_capacity(BURST);
    let (mut sent, mut returned) = (0, 0);
    let mut patience = Instant::now();
    let mut on_the_way: u64 = 0;
    while !done.load(Ordering::Relaxed) {
        let back = port.receive(0, &mut burst) as u64;
        burst.drain(..).for_each(|frame| port.recycle(frame));
        returned += back;
        on_the_way = on_the_way.saturating_sub(back);
        if back > 0 {
            patience = Instant::now();
        } else if patience.elapsed() > Duration::from_millis(2) {
            // What has not come back by now was lost.
            on_the_way = 0;
        }
        if on_the_way > 1024 {
            continue;
        }
        for _ in 0..BURST {
            let Some(mut frame) = port.allocate() else { break };
            port.buffer_mut(&mut frame)[..packet.len()].copy_from_slice(packet);
            port.resize(&mut frame, packet.len()).expect("the packet fits a frame");
            match port.transmit(0, frame) {
                Ok(()) => {
                    sent += 1;
                    on_the_way += 1;
                }
                Err(rejected) => {
                    port.recycle(rejected.frame);
                    break;
                }
            }
        }
        port.flush().expect("the interface is there");
    }
    (sent, returned)
}
