//! Moves packets of flows that exist, to be measured from outside:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example fast_path
//! fast_path FLOWS PACKETS outbound|inbound
//! valgrind --tool=callgrind fast_path FLOWS PACKETS outbound|inbound
//! ```
//!
//! Packets come in bursts of 64. Instructions a packet are the difference of two runs with other numbers of
//! PACKETS. They include the copy of the packet's 64 bytes into the buffer where it is rewritten. Flows are met in
//! an order far from that of their creation. Time a packet is printed, without that copy: of a million packets kept apart
//! each would come from main memory, where a NIC's are in a cache.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gridway_forwarding::{Expectations, Inbound, Outbound, VnetId};
use gridway_wire::time::Nanos;
use support::{LENGTH, PEER};

const VNET: VnetId = VnetId(0);
/// Packets that are judged together, as a worker's burst is.
const BURST: usize = 64;
/// Coprime to every number of flows that has no factor this large: the order visits all.
const STEP: usize = 7_368_787;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flows, count, direction] = arguments.as_slice() else {
        eprintln!("usage: fast_path FLOWS PACKETS outbound|inbound");
        return ExitCode::from(2);
    };
    let (Ok(flows), Ok(count), true) = (
        flows.parse::<usize>(),
        count.parse::<usize>(),
        ["outbound", "inbound"].contains(&direction.as_str()),
    ) else {
        eprintln!("usage: fast_path FLOWS PACKETS outbound|inbound");
        return ExitCode::from(2);
    };
    let now = Nanos(1_000_000_000);
    let mut forwarder = support::forwarder_with(support::config(), support::table(1 << 21));
    let mut traffic = Vec::with_capacity(flows);
    let outbound = direction == "outbound";
    for n in 0..flows {
        let (mut local, overlay) = support::packets(n);
        traffic.push(if outbound { local } else { overlay });
        let verdict = forwarder.outbound(&mut local, now);
        assert!(matches!(verdict, Outbound::Tunnel { .. }), "{verdict:?}");
    }

    let mut burst = [[0; LENGTH]; BURST];
    let (mut passed, mut left, mut at) = (0, count, 0);
    let (mut expectations, mut elapsed) = (Expectations::default(), Duration::ZERO);
    while left > 0 {
        let burst = &mut burst[..left.min(BURST)];
        left -= burst.len();
        for buffer in &mut *burst {
            *buffer = traffic[at];
            at = (at + STEP) % flows;
        }
        let start = Instant::now();
        let packets = burst.iter().map(|buffer| &buffer[..]);
        if outbound {
            forwarder.expect_outbound(packets, &mut expectations);
        } else {
            forwarder.expect_inbound(VNET, packets, &mut expectations);
        }
        for (number, buffer) in burst.iter_mut().enumerate() {
            let expected = expectations.of(number);
            let passes = if outbound {
                matches!(forwarder.outbound_expected(buffer, expected, now), Outbound::Tunnel { .. })
            } else {
                let verdict = forwarder.inbound_expected(PEER, VNET, buffer, expected, now);
                matches!(verdict, Inbound::Deliver { .. })
            };
            passed += usize::from(passes);
        }
        elapsed += start.elapsed();
    }
    std::hint::black_box(burst);
    println!(
        "{direction}: {flows} flows, {passed} of {count} packets passed, {:.1} ns a packet",
        elapsed.as_secs_f64() * 1e9 / count.max(1) as f64
    );
    if passed == count { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
