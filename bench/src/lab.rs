//! The laboratory's TCP ratio.
//!
//! ```text
//! h1 -- data -- gwa == wan == gwb -- data -- h2
//! ```
//!
//! Interleaved pairs: the kernel forwards with `ip_forward` alone, then Gridway with NAT, ACL, route
//! and mutual TLS, over the same links with the same iperf3 flags. The ratio is the median over the
//! pairs. The gateways are pinned to different cores.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Rate, Shape};
use serde::Serialize;

use crate::contender::{BULK, Contender};
use crate::machine::Machine;
use crate::report;
use crate::statistics::{median, spread};

/// Streams of a measurement with several.
pub(crate) const STREAMS: u32 = 8;
/// The WAN under load, Mbit/s.
pub(crate) const WAN: u64 = 200;
/// Time between two round trips under load.
pub(crate) const LOADED_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    seconds: u64,
    flags: &'static str,
    pairs: Vec<Pair>,
    median_ratio: f64,
    lowest_ratio: f64,
    highest_ratio: f64,
}

#[derive(Debug, Serialize)]
struct Pair {
    kernel_mbps: f64,
    gridway_mbps: f64,
    ratio: f64,
}

/// Measures, prints, and keeps the raw figures.
pub(crate) fn run(quick: bool, kept: &Path) -> Result<()> {
    let (count, seconds) = if quick { (3, 4) } else { (7, 10) };
    let (duration, machine) = (Duration::from_secs(seconds), Machine::here());
    println!("TCP, one stream, h1 to h2: {count} interleaved pairs of {seconds} s");
    println!("{:>6} {:>16} {:>17} {:>7}", "pair", "kernel Mbit/s", "Gridway Mbit/s", "ratio");
    let lab = Lab::new().context("cannot build the laboratory")?;
    let mut pairs = Vec::new();
    for number in 1..=count {
        let kernel_mbps = through(Contender::Kernel, &lab, duration)?;
        let gridway_mbps = through(Contender::Gridway, &lab, duration)?;
        let ratio = gridway_mbps / kernel_mbps;
        println!("{number:>6} {kernel_mbps:>16.0} {gridway_mbps:>17.0} {ratio:>7.2}");
        pairs.push(Pair { kernel_mbps, gridway_mbps, ratio });
    }
    let ratios: Vec<f64> = pairs.iter().map(|pair| pair.ratio).collect();
    let (lowest_ratio, highest_ratio) = spread(&ratios);
    let median_ratio = median(&ratios);
    println!("\nmedian ratio {median_ratio:.2} (from {lowest_ratio:.2} to {highest_ratio:.2})");
    let results = Results {
        machine,
        seconds,
        flags: "iperf3 --client, one TCP stream",
        pairs,
        median_ratio,
        lowest_ratio,
        highest_ratio,
    };
    let file = format!("{}.json", report::name("lab", quick));
    report::write_json(&kept.join(file), &results)
}

fn through(contender: Contender, lab: &Lab, duration: Duration) -> Result<f64> {
    let running = contender.start(lab)?;
    let rate = tcp(lab, contender, duration, 1);
    running.stop()?;
    rate
}

/// Mbit/s of so many TCP streams together, from h1 to h2.
pub(crate) fn tcp(lab: &Lab, contender: Contender, duration: Duration, streams: u32) -> Result<f64> {
    let _server = Iperf3Server::start(lab.h2(), BULK)?;
    let client = Iperf3::tcp(contender.target()).port(BULK).duration(duration);
    Ok(client.parallel(streams).run(lab.h1())?.mbps())
}

/// As [`tcp`], while `probe` looks at something else; what both found.
pub(crate) fn beside_tcp<R>(
    lab: &Lab,
    contender: Contender,
    duration: Duration,
    streams: u32,
    probe: impl FnOnce() -> Result<R>,
) -> Result<(f64, R)> {
    let (mbps, probed) = std::thread::scope(|scope| {
        let stream = scope.spawn(|| tcp(lab, contender, duration, streams));
        let probed = probe();
        (stream.join().expect("iperf3's thread does not panic"), probed)
    });
    Ok((mbps?, probed?))
}

/// Measures while the WAN is limited to [`WAN`].
pub(crate) fn over_narrow_wan<R>(lab: &Lab, measure: impl FnOnce() -> Result<R>) -> Result<R> {
    lab.wan().set_shape(Some(Shape::new(Rate::mbit(WAN))))?;
    let measured = measure();
    lab.wan().set_shape(None)?;
    measured
}
