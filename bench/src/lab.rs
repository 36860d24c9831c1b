//! The laboratory's TCP ratio.
//!
//! ```text
//! h1 -- data -- gwa == wan == gwb -- data -- h2
//! ```
//!
//! Interleaved pairs: the kernel forwards with `ip_forward` alone, then Gridway with NAT, ACL, route
//! and mutual TLS, over the same links with the same iperf3 flags. The ratio is the median over the
//! pairs. The gateways are pinned to different cores.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::gateway::{NodeConfig, start_pair, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Side};
use serde::Serialize;

use crate::machine::Machine;
use crate::statistics::{median, spread};

/// Where results are kept, from the root of the repository.
const RESULTS: &str = "bench/results";

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
pub(crate) fn run(quick: bool) -> Result<()> {
    let (count, seconds) = if quick { (3, 4) } else { (7, 10) };
    let duration = Duration::from_secs(seconds);
    println!("TCP, one stream, h1 to h2: {count} interleaved pairs of {seconds} s");
    println!("{:>6} {:>16} {:>17} {:>7}", "pair", "kernel Mbit/s", "Gridway Mbit/s", "ratio");
    let lab = Lab::new().context("cannot build the laboratory")?;
    let mut pairs = Vec::new();
    for number in 1..=count {
        let kernel_mbps = through_kernel(&lab, duration)?;
        let gridway_mbps = through_gridway(&lab, duration)?;
        let ratio = gridway_mbps / kernel_mbps;
        println!("{number:>6} {kernel_mbps:>16.0} {gridway_mbps:>17.0} {ratio:>7.2}");
        pairs.push(Pair { kernel_mbps, gridway_mbps, ratio });
    }
    let ratios: Vec<f64> = pairs.iter().map(|pair| pair.ratio).collect();
    let (lowest_ratio, highest_ratio) = spread(&ratios);
    let median_ratio = median(&ratios);
    println!("\nmedian ratio {median_ratio:.2} (from {lowest_ratio:.2} to {highest_ratio:.2})");
    let results = Results {
        machine: Machine::here(),
        seconds,
        flags: "iperf3 --client, one TCP stream",
        pairs,
        median_ratio,
        lowest_ratio,
        highest_ratio,
    };
    let file = format!("{RESULTS}/{}.json", if quick { "lab-quick" } else { "lab" });
    std::fs::create_dir_all(RESULTS)?;
    std::fs::write(&file, serde_json::to_string_pretty(&results)? + "\n")?;
    println!("raw figures: {file}");
    Ok(())
}

fn through_kernel(lab: &Lab, duration: Duration) -> Result<f64> {
    lab.kernel_forwarding(true).context("cannot switch kernel forwarding on")?;
    let rate = tcp(lab, Side::B.host(0).into(), duration);
    lab.kernel_forwarding(false).context("cannot switch kernel forwarding off")?;
    rate
}

fn through_gridway(lab: &Lab, duration: Duration) -> Result<f64> {
    let [a, b] = NodeConfig::pair();
    let a = a.cpus(&[0]).log_level("info").with(&vnets::corp(Side::A));
    let b = b.cpus(&[1]).log_level("info").with(&vnets::corp(Side::B));
    let [mut a, mut b] = start_pair(lab, [a, b]).context("the nodes do not connect")?;
    let rate = tcp(lab, vnets::outside_host(Side::B, 0).into(), duration);
    a.stop()?;
    b.stop()?;
    rate
}

fn tcp(lab: &Lab, server: IpAddr, duration: Duration) -> Result<f64> {
    let _server = Iperf3Server::start(lab.h2(), 5201)?;
    Ok(Iperf3::tcp(server).duration(duration).run(lab.h1())?.mbps())
}
