//! Reads memory at random places, as a yardstick for what look-ups in large tables can cost:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example random_read
//! random_read MIB READS
//! ```
//!
//! Reads do not depend on each other, so that as many are under way as the processor can have. Time a read is printed.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// A cache line.
const LINE: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [mib, reads] = arguments[..] else {
        eprintln!("usage: random_read MIB READS");
        return ExitCode::from(2);
    };
    let lines = (mib.max(1) << 20) / LINE;
    let memory: Vec<u64> = (0..(lines * LINE / 8) as u64).collect();
    let (mut state, mut sum) = (0x9e37_79b9_7f4a_7c15_u64, 0_u64);
    let start = Instant::now();
    for _ in 0..reads {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let line = (u128::from(state) * lines as u128) >> 64;
        sum = sum.wrapping_add(memory[line as usize * (LINE / 8)]);
    }
    let elapsed = start.elapsed();
    black_box(sum);
    println!("{mib} MiB: {:.1} ns a read", elapsed.as_secs_f64() * 1e9 / reads.max(1) as f64);
    ExitCode::SUCCESS
}
