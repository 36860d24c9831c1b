//! Gridway beside what one would pick instead.
//!
//! In each round every contender has its turn, over the same links with the same iperf3 flags and the same generator; the
//! one that begins is another one each time. A figure is the median over the rounds; a ratio is the median of the rounds'
//! ratios.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{Lab, Ping, PingReport, Rate, Shape};
use serde::Serialize;

use crate::contender::{Contender, Tunnel};
use crate::lab::{LOADED_INTERVAL, STREAMS, WAN, beside_tcp, over_narrow_wan, tcp};
use crate::load::pattern::Sizes;
use crate::machine::Machine;
use crate::packets::{PARTIAL_DROP, headroom, headroom_in_words, one_way, with_bench};
use crate::plot::{Axis, Bar, Line, bars, lines};
use crate::report::{self, figure, figure_of, ratio};
use crate::rounds::rounds;
use crate::search::search;
use crate::statistics::median;

/// Echo requests while nothing else is sent, and the time between two of them.
const IDLE_PINGS: u32 = 200;
const IDLE_INTERVAL: Duration = Duration::from_millis(10);

/// How much is measured.
struct Extent {
    rounds: usize,
    tcp: Duration,
    trial: Duration,
    loaded: Duration,
}

impl Extent {
    fn of(quick: bool) -> Self {
        let seconds = Duration::from_secs;
        if quick {
            Self { rounds: 2, tcp: seconds(3), trial: seconds(1), loaded: seconds(6) }
        } else {
            Self { rounds: 5, tcp: seconds(4), trial: seconds(1), loaded: seconds(8) }
        }
    }
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    conditions: String,
    generator_packets: f64,
    contenders: Vec<Figures>,
}

/// What was measured of one contender.
#[derive(Debug, Serialize)]
struct Figures {
    contender: &'static str,
    version: String,
    /// Mbit/s of one TCP stream, a figure a round.
    tcp: Vec<f64>,
    /// Mbit/s of eight TCP streams together.
    tcp_streams: Vec<f64>,
    /// Packets of 64 bytes a second with at most 0.5 % lost.
    packets: Vec<f64>,
    /// More may have been borne in a round: generator or sink was the limit.
    packets_at_least: bool,
    /// Round trip while nothing else is sent.
    idle: Vec<RoundTrip>,
    loaded: Vec<Loaded>,
}

/// Round trips, milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct RoundTrip {
    mean: f64,
    p50: f64,
    p99: f64,
    /// Percent of requests that were not answered.
    lost: f64,
}

/// Round trips beside one TCP stream that fills a narrow WAN.
#[derive(Debug, Serialize)]
struct Loaded {
    mbps: f64,
    round_trip: RoundTrip,
    /// Each of them, to be drawn: seconds at which the request was sent, milliseconds that it took.
    #[serde(skip)]
    round_trips: Vec<(f64, f64)>,
}

/// Round trips of Gridway and kernel forwarding alone, printed only.
pub(crate) fn latency(quick: bool) -> Result<()> {
    let lab = Lab::new().context("cannot build the laboratory")?;
    lab.wan().set_shape(Some(Shape::new(Rate::mbit(WAN))))?;
    for streams in [1, STREAMS] {
        println!("round trips beside TCP, streams: {streams}, WAN of {WAN} Mbit/s");
        for contender in [Contender::Gridway, Contender::Kernel] {
            let running = contender.start(&lab)?;
            let Loaded { mbps, round_trip, .. } = loaded(contender, &lab, Extent::of(quick).loaded, streams)?;
            running.stop()?;
            println!("  {:<30} {mbps:>6.0} Mbit/s, ping {round_trip}", contender.name());
        }
    }
    Ok(())
}

/// Measures, prints, and keeps the figures.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let (extent, machine) = (Extent::of(quick), Machine::here());
    let contenders: Vec<Contender> = [Contender::Gridway, Contender::Kernel]
        .into_iter()
        .chain(Tunnel::ALL.map(Contender::Tunnel))
        .collect();
    let mut figures: Vec<Figures> = contenders.iter().map(|contender| Figures::none(*contender)).collect();
    let generator_packets = headroom(&[one_way(Sizes::Fixed(64))], extent.trial)?[0].delivered;
    let lab = Lab::new().context("cannot build the laboratory")?;
    rounds(extent.rounds, contenders.len(), |number| {
        figures[number].measure(contenders[number], &lab, &extent, generator_packets)
    })?;
    let name = &report::name("peers", quick);
    let conditions = format!(
        "{} rounds, TCP {} s, trials of {} s, under load {} s; the two ends are pinned to different cores",
        extent.rounds,
        extent.tcp.as_secs(),
        extent.trial.as_secs(),
        extent.loaded.as_secs()
    );
    let measured = Results { machine, conditions, generator_packets, contenders: figures };
    let table = measured.table();
    println!("\n{table}");
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name, &table))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)
}

impl Figures {
    fn none(contender: Contender) -> Self {
        Self {
            contender: contender.name(),
            version: contender.version(),
            tcp: Vec::new(),
            tcp_streams: Vec::new(),
            packets: Vec::new(),
            packets_at_least: false,
            idle: Vec::new(),
            loaded: Vec::new(),
        }
    }

    /// One round.
    fn measure(&mut self, contender: Contender, lab: &Lab, extent: &Extent, highest: f64) -> Result<()> {
        let running = contender.start(lab)?;
        // First, while no queue is left over from a transfer.
        let idle = Ping::new(contender.target()).count(IDLE_PINGS).interval(IDLE_INTERVAL).run(lab.h1())?;
        let tcp = |streams| tcp(lab, contender, extent.tcp, streams);
        let (one, many) = (tcp(1)?, tcp(STREAMS)?);
        // While it runs, the WAN becomes narrow.
        let loaded = over_narrow_wan(lab, || loaded(contender, lab, extent.loaded, 1))?;
        running.stop()?;
        let traffic = one_way(Sizes::Fixed(64));
        let (found, _) = with_bench(lab, contender, |bench| {
            search(highest, PARTIAL_DROP, |rate| bench.trial(traffic, Some(rate), extent.trial))
        })?;
        self.packets_at_least |= found.at_least;
        let packets = found.best.map_or(0.0, |trial| trial.offered);
        let idle = RoundTrip::of(&idle);
        println!(
            "  {:<30} {one:>6.0} Mbit/s, {STREAMS} streams {many:>6.0}, {packets:>8.0} packets/s, idle {:>6.2} ms, loaded {}",
            self.contender, idle.mean, loaded.round_trip
        );
        self.tcp.push(one);
        self.tcp_streams.push(many);
        self.packets.push(packets);
        self.idle.push(idle);
        self.loaded.push(loaded);
        Ok(())
    }
}

/// Echo requests beside TCP, through a contender at work.
fn loaded(contender: Contender, lab: &Lab, duration: Duration, streams: u32) -> Result<Loaded> {
    let count = (duration.as_secs_f64() / LOADED_INTERVAL.as_secs_f64()) as u32;
    let (mbps, pings) = beside_tcp(lab, contender, duration, streams, || {
        Ok(Ping::new(contender.target()).count(count).interval(LOADED_INTERVAL).run(lab.h1())?)
    })?;
    let sent_at =
        pings.sequences.iter().map(|n| f64::from(n.saturating_sub(1)) * LOADED_INTERVAL.as_secs_f64());
    let round_trips = sent_at.zip(pings.rtts.iter().map(milliseconds)).collect();
    Ok(Loaded { mbps, round_trip: RoundTrip::of(&pings), round_trips })
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl RoundTrip {
    fn of(report: &PingReport) -> Self {
        let quantile = |share| report.quantile(share).as_ref().map_or(f64::NAN, milliseconds);
        Self {
            mean: report.mean().as_ref().map_or(f64::NAN, milliseconds),
            p50: quantile(0.5),
            p99: quantile(0.99),
            lost: f64::from(report.sent - report.received) * 100.0 / f64::from(report.sent.max(1)),
        }
    }
}

impl std::fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "50 % {:.1} ms, 99 % {:.1} ms, {:.1} % lost", self.p50, self.p99, self.lost)
    }
}

impl Results {
    fn table(&self) -> String {
        let ours = &self.contenders[0];
        let mut table = String::from(
            "| | TCP, one stream, Mbit/s | Gridway is | 8 streams | Gridway is | 64 B, packets/s, 0.5 % lost | Gridway is | idle round trip, ms, mean | loaded: Mbit/s | ms, 50 % | 99 % | lost, % |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.contenders {
            let idle: Vec<f64> = row.idle.iter().map(|idle| idle.mean).collect();
            let loaded = |of: fn(&Loaded) -> f64| median(&row.loaded.iter().map(of).collect::<Vec<_>>());
            let loaded = format!(
                "{:.0} | {:.1} | {:.1} | {:.1}",
                loaded(|loaded| loaded.mbps),
                loaded(|loaded| loaded.round_trip.p50),
                loaded(|loaded| loaded.round_trip.p99),
                loaded(|loaded| loaded.round_trip.lost)
            );
            table += &format!(
                "| {} | {} | {} | {} | {} | {} | {} | {:.2} | {loaded} |\n",
                row.contender,
                figure(&row.tcp),
                ratio(&ours.tcp, &row.tcp),
                figure(&row.tcp_streams),
                ratio(&ours.tcp_streams, &row.tcp_streams),
                figure_of(&row.packets, row.packets_at_least),
                ratio(&ours.packets, &row.packets),
                median(&idle),
            );
        }
        table
    }

    fn page(&self, name: &str, table: &str) -> String {
        let headroom =
            headroom_in_words(self.generator_packets, self.contenders.iter().map(|row| &row.packets[..]));
        let versions = report::versions(self.contenders.iter().map(|row| (row.contender, &*row.version)));
        format!(
            "# Gridway beside other tunnels\n\n`cargo xtask bench peers` on {}. {}. \"Gridway is\": Gridway's figure over the row's, median of the rounds' \
             ratios. {headroom} Loaded: one TCP stream and pings 20 ms \
             apart over a WAN of {WAN} Mbit/s (tbf, latency 5 ms).\n\n{table}\n![TCP, one stream]({name}-tcp.svg)\n\n![Packets of 64 bytes]({name}-packets.svg)\n\n\
             ![Round trips under load]({name}-ping.svg)\n\n{}",
            self.machine, self.conditions, versions
        )
    }

    fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        let plot = |file: &str, title: &str, of: fn(&Figures) -> &[f64]| {
            let shown: Vec<Bar<'_>> =
                self.contenders.iter().map(|row| Bar::of(row.contender, of(row))).collect();
            bars(&results.join(format!("{name}-{file}.svg")), title, &shown)
        };
        plot("tcp", "TCP, one stream, Mbit/s (median, least to most)", |row| &row.tcp)?;
        plot("packets", "Packets of 64 bytes a second, 0.5 % lost (median, least to most)", |row| {
            &row.packets
        })?;
        let line = |row: &'_ Figures| {
            let round_trips = row.loaded.last().map_or(&[][..], |loaded| &loaded.round_trips);
            (row.contender, round_trips.to_vec())
        };
        let shown: Vec<Line<'_>> =
            self.contenders.iter().map(line).map(|(name, points)| Line { name, points }).collect();
        let title = format!("Round trip beside a TCP stream, WAN of {WAN} Mbit/s, last round");
        lines(&results.join(format!("{name}-ping.svg")), &title, Axis::Linear("seconds"), "ms", &shown)
    }
}
