//! New flows a second, apart from throughput (CSIT's connections per second): every packet is the first of its flow.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{HOST_INTERFACE, Lab, Side};
use serde::Serialize;

use crate::contender::Contender;
use crate::contender::flows::{ROOM, UDP_SECONDS};
use crate::load::pattern::Sizes;
use crate::load::trial::Traffic;
use crate::load::turns::Turns;
use crate::machine::Machine;
use crate::packets::{PARTIAL_DROP, bench_of, headroom, headroom_in_words, one_way};
use crate::plot::{Bar, bars};
use crate::report::{self, ratio};
use crate::rounds::{Extent, rounds};
use crate::search::search;

/// Addresses that packets come from, and go to.
const ADDRESSES: u32 = 64;
/// Bytes of a frame.
const SIZE: Sizes = Sizes::Fixed(64);
/// Until every pair of addresses has been seen in both directions, so that neighbours are known before anything counts:
/// packets a second, and how long.
const WARM_UP: (f64, Duration) = (8_192.0, Duration::from_millis(1_100));

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    rounds: usize,
    trial_seconds: f64,
    addresses: u32,
    flows_limit: u32,
    udp_timeout_seconds: u32,
    generator_packets: f64,
    contenders: Vec<Figures>,
}

#[derive(Debug, Serialize)]
struct Figures {
    contender: &'static str,
    /// New flows a second with at most 0.5 % of their packets lost, a figure a round.
    rates: Vec<f64>,
    /// Most flows of either end when a trial had ended.
    most_flows: u64,
    /// Flows that gave way to others or found no room, of all trials.
    displaced: u64,
    /// More may have been borne in a round: generator or sink was the limit.
    at_least: bool,
}

/// Measures, prints, and keeps the figures.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let (extent, machine) = (Extent::of(quick.then_some(2)), Machine::here());
    let contenders = [Contender::Flows, Contender::Tracking, Contender::Kernel];
    let mut figures: Vec<Figures> = contenders.iter().map(|contender| Figures::none(*contender)).collect();
    let generator_packets = headroom(&[one_way(SIZE)], extent.trial)?[0].delivered;
    let lab = Lab::new().context("cannot build the laboratory")?;
    add_addresses(&lab)?;
    rounds(extent.rounds, contenders.len(), |number| {
        let contender = contenders[number];
        figures[number]
            .measure(contender, &lab, extent.trial, generator_packets)
            .with_context(|| format!("cannot measure {}", contender.name()))
    })?;
    let name = &report::name("connections", quick);
    let measured = Results {
        machine,
        rounds: extent.rounds,
        trial_seconds: extent.trial.as_secs_f64(),
        addresses: ADDRESSES,
        flows_limit: ROOM,
        udp_timeout_seconds: UDP_SECONDS,
        generator_packets,
        contenders: figures,
    };
    let table = measured.table();
    println!("\n{table}");
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name, &table))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)
}

/// Gives both hosts as many addresses as packets have: their kernels answer for them.
fn add_addresses(lab: &Lab) -> Result<()> {
    for side in Side::BOTH {
        let add = |n: u32| format!("addr add {}/24 dev {HOST_INTERFACE}\n", side.host(n as usize));
        let lines: String = (1..ADDRESSES).map(add).collect();
        lab.host(side, 0).ip_batch(&lines)?;
    }
    Ok(())
}

impl Figures {
    fn none(contender: Contender) -> Self {
        let contender = contender.name();
        Self { contender, rates: Vec::new(), most_flows: 0, displaced: 0, at_least: false }
    }

    /// One round.
    fn measure(&mut self, contender: Contender, lab: &Lab, time: Duration, highest: f64) -> Result<()> {
        let running = contender.start(lab)?;
        let mut bench = bench_of(lab, contender, ADDRESSES)?;
        let traffic = |turns, both| Traffic { sizes: SIZE, turns, both };
        let (rate, warm_up) = WARM_UP;
        bench.trial(traffic(Turns::Of(ADDRESSES * ADDRESSES), true), Some(rate), warm_up)?;
        let found = search(highest, PARTIAL_DROP, |rate| {
            running.forget_flows()?;
            let trial = bench.trial(traffic(Turns::New, false), Some(rate), time)?;
            self.most_flows = self.most_flows.max(running.flows()?);
            Ok(trial)
        })?;
        drop(bench);
        self.displaced += running.displaced()?;
        running.stop()?;
        let rate = found.best.map_or(0.0, |trial| trial.offered);
        println!("  {:<44} {rate:>9.0} new flows/s", self.contender);
        self.rates.push(rate);
        self.at_least |= found.at_least;
        Ok(())
    }
}

impl Results {
    fn table(&self) -> String {
        let ours = &self.contenders[0];
        let mut table = String::from(
            "| | new flows/s, 0.5 % lost | Gridway is | flows at most | gave way or found no room |\n|---|---|---|---|---|\n",
        );
        for row in &self.contenders {
            table += &format!(
                "| {} | {} | {} | {} | {} |\n",
                row.contender,
                report::figure_of(&row.rates, row.at_least),
                ratio(&ours.rates, &row.rates),
                row.most_flows,
                row.displaced
            );
        }
        table
    }

    fn page(&self, name: &str, table: &str) -> String {
        let headroom =
            headroom_in_words(self.generator_packets, self.contenders.iter().map(|row| &row.rates[..]));
        format!(
            "# New flows\n\n`cargo xtask bench connections` on {}. {} rounds, trials of {} s. Packets of 64 bytes from {} addresses to {} \
             (UDP), of which each is the first of its flow. \"Gridway is\": Gridway's figure over the row's, median of the rounds' ratios. {headroom} Gridway: NAT, ACL, route, mutual TLS, `limits.flows` {}, \
             `flows.udp` {} s. Conntrack: `snat ip prefix` (nftables) at both gateways, which keeps ports as they are, like 1:1 NAT, `nf_conntrack_max` and `nf_conntrack_buckets` {}, both UDP time-outs \
             {} s. All flows are ended before each trial. Flows at most: of the end that had more, when a trial had ended.\n\n{table}\n\
             ![New flows]({name}.svg)\n",
            self.machine,
            self.rounds,
            self.trial_seconds,
            self.addresses,
            self.addresses,
            self.flows_limit,
            self.udp_timeout_seconds,
            self.flows_limit,
            self.udp_timeout_seconds
        )
    }

    fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        let shown: Vec<Bar<'_>> =
            self.contenders.iter().map(|row| Bar::of(row.contender, &row.rates)).collect();
        let title = "New flows a second, 0.5 % lost (median, least to most)";
        bars(&results.join(format!("{name}.svg")), title, &shown)
    }
}
