//! Packet rates and latencies in the laboratory, by the AF_XDP generator.
//!
//! ```text
//! h1 generator -- data -- gwa == wan == gwb -- data -- h2 sink
//! ```

mod page;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gridway_lab::{DATA_INTERFACE, End, HOST_INTERFACE, Lab, LinkSpec, Namespace, RawSender, Side, connect};
use gridway_wire::mac::MacAddr;
use serde::Serialize;

use crate::contender::Contender;
use crate::load::endpoint::Endpoint;
use crate::load::flows::{Addresses, Space};
use crate::load::pattern::Sizes;
use crate::load::trial::{Bench, Traffic, Trial, Way};
use crate::load::turns::Turns;
use crate::machine::Machine;
use crate::report;
use crate::search::{Found, search, search_above};
use crate::statistics::median;

/// Loss that the partial-drop rate accepts: 0.5 % (CSIT's PDR).
pub(crate) const PARTIAL_DROP: f64 = 0.005;
/// How many times what a device takes the generator must be able to send.
const HEADROOM: f64 = 2.0;
/// Packets a second of an idle device: each is by itself.
const IDLE: f64 = 1_000.0;
/// Flows that take turns, in each direction.
pub(crate) const FLOWS: u32 = 100;
/// Who carries the packets; ratios are to the first.
const CONTENDERS: [Contender; 2] = [Contender::Kernel, Contender::Gridway];
/// Loads at which latency is measured, as shares of the partial-drop rate.
const LOADS: [f64; 3] = [0.1, 0.5, 0.9];

/// How much is measured.
struct Extent {
    /// What is sent, in turn.
    traffics: Vec<Traffic>,
    rounds: usize,
    trial: Duration,
    latency: Duration,
}

impl Extent {
    fn of(quick: bool) -> Self {
        let seconds = Duration::from_secs_f64;
        // Both directions where what is smallest and what is usual is sent.
        let both = [Sizes::Fixed(64), Sizes::Imix].map(|sizes| Traffic { both: true, ..one_way(sizes) });
        if quick {
            let traffics = [Sizes::Fixed(64), Sizes::Imix].map(one_way).into_iter().chain(both).collect();
            return Self { traffics, rounds: 2, trial: seconds(0.5), latency: seconds(2.0) };
        }
        let sizes = [64, 128, 256, 512, 1024, 1280, 1518].map(Sizes::Fixed);
        Self {
            traffics: sizes.into_iter().chain([Sizes::Imix]).map(one_way).chain(both).collect(),
            rounds: 5,
            trial: seconds(1.0),
            latency: seconds(5.0),
        }
    }
}

/// Packets of so many flows from h1 to h2.
pub(crate) fn one_way(sizes: Sizes) -> Traffic {
    Traffic { sizes, turns: Turns::Of(FLOWS), both: false }
}

/// Size and, where both ends send, the word `both`: what tells a traffic from others here.
fn label(traffic: Traffic) -> String {
    format!("{}{}", traffic.sizes, if traffic.both { "-both" } else { "" })
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    interfaces: String,
    rounds: usize,
    trial_seconds: f64,
    headroom: Vec<Headroom>,
    rates: Vec<Rates>,
    latencies: Vec<Latency>,
}

/// What the generator sends and the sink takes with nothing but a cable between them.
#[derive(Debug, Serialize)]
pub(crate) struct Headroom {
    /// Size, with `-both` where both ends send: half of the packets each.
    size: String,
    offered: f64,
    pub(crate) delivered: f64,
}

/// Rates of one contender at one size, packets a second, each a median over the rounds.
#[derive(Debug, Serialize)]
struct Rates {
    contender: &'static str,
    size: String,
    flows: u32,
    /// Highest rate without a lost packet.
    no_drop: f64,
    /// Highest rate with at most 0.5 % lost.
    partial_drop: f64,
    partial_drops: Vec<f64>,
    no_drops: Vec<f64>,
    /// Partial-drop rate over that of the first contender, median over the rounds.
    ratio: f64,
    /// More may be borne, without loss and with little: generator or sink was the limit in a round.
    at_least: [bool; 2],
    reordered: u64,
    duplicates: u64,
}

/// Latency of one contender at one size and load.
#[derive(Debug, Serialize)]
struct Latency {
    contender: &'static str,
    size: String,
    /// Share of the contender's own partial-drop rate; 0: idle, [`IDLE`].
    load: f64,
    trial: Trial,
}

/// Measures, prints, and keeps the figures.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let (extent, machine) = (Extent::of(quick), Machine::here());
    let headroom = headroom(&extent.traffics, extent.trial)?;
    let lab = Lab::new().context("cannot build the laboratory")?;
    let (mut rates, mut latencies, mut interfaces) = (Vec::new(), Vec::new(), String::new());
    println!("{:<30} {:>9} {:>12} {:>12} {:>7}", "", "bytes", "0 % lost", "0.5 % lost", "ratio");
    for (index, traffic) in extent.traffics.iter().copied().enumerate() {
        let highest = headroom[index].delivered;
        let mut rounds: Vec<Vec<[Found; 2]>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
        crate::rounds::rounds(extent.rounds, CONTENDERS.len(), |number| {
            let (found, modes) = with_bench(&lab, CONTENDERS[number], |bench| {
                let mut trial = |rate| bench.trial(traffic, Some(rate), extent.trial);
                let none = search(highest, 0.0, &mut trial)?;
                // A rate without loss is one with little of it.
                let partial = search_above(none.best.clone(), highest, PARTIAL_DROP, &mut trial)?;
                Ok([none, partial])
            })?;
            interfaces = modes;
            rounds[number].push(found);
            Ok(())
        })?;
        let first = partial_drops(&rounds[0]);
        for (contender, rounds) in CONTENDERS.iter().zip(&rounds) {
            let row = rates_of(*contender, traffic, rounds, &first);
            report::show_rates(row.contender, &row.size, [row.no_drop, row.partial_drop], row.ratio);
            if row.partial_drop * HEADROOM > headroom[index].delivered {
                println!(
                    "  (the generator sends less than twice that: {:.0} a second)",
                    headroom[index].delivered
                );
            }
            for (load, rate) in loads(row.partial_drop) {
                let (trial, _) =
                    with_bench(&lab, *contender, |bench| bench.trial(traffic, Some(rate), extent.latency))?;
                latencies.push(Latency { contender: contender.name(), size: label(traffic), load, trial });
            }
            rates.push(row);
        }
    }
    report::show_latencies(
        latencies.iter().map(|row| (row.contender, row.size.as_str(), row.load, &row.trial)),
    );
    let name = &report::name("packets", quick);
    for row in &latencies {
        let file =
            format!("{name}-{}-{}-{:.0}.hgrm", report::slug(row.contender), row.size, row.load * 100.0);
        report::write_percentiles(&results.join(file), &row.trial.latency)?;
    }
    let measured = Results {
        machine,
        interfaces,
        rounds: extent.rounds,
        trial_seconds: extent.trial.as_secs_f64(),
        headroom,
        rates,
        latencies,
    };
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)
}

fn loads(partial_drop: f64) -> impl Iterator<Item = (f64, f64)> {
    let loaded = LOADS.map(|load| (load, partial_drop * load)).into_iter().filter(|(_, rate)| *rate > 0.0);
    std::iter::once((0.0, IDLE)).chain(loaded)
}

fn partial_drops(rounds: &[[Found; 2]]) -> Vec<f64> {
    rounds.iter().map(|[_, partial]| rate_of(partial)).collect()
}

fn rate_of(found: &Found) -> f64 {
    found.best.as_ref().map_or(0.0, |trial| trial.offered)
}

fn rates_of(contender: Contender, traffic: Traffic, rounds: &[[Found; 2]], first: &[f64]) -> Rates {
    let partial_drops = partial_drops(rounds);
    let no_drops: Vec<f64> = rounds.iter().map(|[none, _]| rate_of(none)).collect();
    let ratios: Vec<f64> = partial_drops.iter().zip(first).map(|(rate, first)| rate / first).collect();
    let best = rounds.iter().filter_map(|[_, partial]| partial.best.as_ref());
    Rates {
        contender: contender.name(),
        size: label(traffic),
        flows: FLOWS,
        no_drop: median(&no_drops),
        partial_drop: median(&partial_drops),
        ratio: median(&ratios),
        at_least: [0, 1].map(|which| rounds.iter().any(|found| found[which].at_least)),
        reordered: best.clone().map(|trial| trial.reordered).sum(),
        duplicates: best.map(|trial| trial.duplicates).sum(),
        partial_drops,
        no_drops,
    }
}

/// Runs a measurement while a contender carries the packets between h1 and h2. Gives the interfaces' modes too.
pub(crate) fn with_bench<R>(
    lab: &Lab,
    contender: Contender,
    measure: impl FnOnce(&mut Bench) -> Result<R>,
) -> Result<(R, String)> {
    let running = contender.start(lab)?;
    let mut bench = bench_of(lab, contender, 1)?;
    // Flows and neighbours are known before anything counts.
    let known = Traffic { sizes: Sizes::Fixed(64), turns: Turns::Of(FLOWS), both: true };
    let known = bench.trial(known, Some(2_000.0), Duration::from_millis(500));
    let measured = known.and_then(|_| measure(&mut bench));
    let modes = bench.to.modes();
    drop(bench);
    running.stop()?;
    Ok((measured?, modes))
}

/// Generator and sink on h1 and h2, around a contender at work; with so many addresses each, from the hosts' own on.
pub(crate) fn bench_of(lab: &Lab, contender: Contender, addresses: u32) -> Result<Bench> {
    let gateway = |side| anyhow::Ok(MacAddr(RawSender::open(lab.gateway(side), DATA_INTERFACE)?.mac()));
    let endpoint = |host: &Namespace| host.enter(|| Endpoint::open(HOST_INTERFACE, 1))?;
    let way = |side: Side| {
        let [source, destination] = [side.host(0), contender.host_of(side.other())];
        let space = Space {
            sources: Addresses::from(source, addresses),
            destinations: Addresses::from(destination, addresses),
            ..Space::between(source, destination)
        };
        anyhow::Ok(Way { next_hop: gateway(side)?, space })
    };
    let [there, back] = [way(Side::A)?, way(Side::B)?];
    Ok(Bench::new(endpoint(lab.h1())?, endpoint(lab.h2())?, there, Some(back)))
}

/// Whether what the generator sends over a cable was enough for the fastest of these rates, each a figure a round.
pub(crate) fn headroom_in_words<'a>(sent: f64, rates: impl Iterator<Item = &'a [f64]>) -> String {
    let fastest = rates.map(median).fold(0.0, f64::max);
    let times = if fastest * HEADROOM > sent { "less than twice" } else { "twice or more" };
    format!("The generator sends {sent:.0} packets a second over a cable, {times} what the fastest takes.")
}

/// Measures generator and sink with nothing but a cable between them.
pub(crate) fn headroom(traffics: &[Traffic], time: Duration) -> Result<Vec<Headroom>> {
    let lab = Lab::new().context("cannot build the laboratory")?;
    let end = |namespace| End { namespace, interface: "cable" };
    connect(end(lab.h1()), end(lab.h2()), LinkSpec::default())?;
    let endpoint = |host: &Namespace| host.enter(|| Endpoint::open("cable", 1))?;
    let (from, to) = (endpoint(lab.h1())?, endpoint(lab.h2())?);
    let way = |side: Side, next_hop| {
        let space = Space::between(side.host(0), side.other().host(0));
        Way { next_hop, space }
    };
    let (there, back) = (way(Side::A, to.mac()), way(Side::B, from.mac()));
    let mut bench = Bench::new(from, to, there, Some(back));
    let measure = |traffic: &Traffic| {
        let size = label(*traffic);
        let trial = bench.trial(*traffic, None, time)?;
        if trial.delivered < 1.0 {
            bail!("nothing comes through a cable: {trial:?}");
        }
        println!("generator to sink, {size}: {:.0} packets a second", trial.delivered);
        Ok(Headroom { size, offered: trial.offered, delivered: trial.delivered })
    };
    traffics.iter().map(measure).collect()
}
