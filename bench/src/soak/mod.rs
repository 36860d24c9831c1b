//! A steady load for a long time: what was lost, and whether memory or latency grew.

mod verdict;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gridway_lab::{Lab, Side};
use serde::Serialize;

use crate::contender::flows::UDP_SECONDS;
use crate::contender::{Contender, Running};
use crate::load::pattern::Sizes;
use crate::load::trial::{Bench, Traffic, Trial};
use crate::load::turns::Turns;
use crate::machine::Machine;
use crate::memory::resident;
use crate::packets::{FLOWS, PARTIAL_DROP, bench_of, headroom};
use crate::plot::{Axis, Line, lines};
use crate::report;
use crate::search::search;
use verdict::Verdict;

/// One packet of so many begins a flow of its own.
const NEW_EVERY: u32 = 101;
/// Load, as a share of the partial-drop rate.
const LOAD: f64 = 0.5;
/// Minutes, unless told.
const MINUTES: u64 = 30;
/// A trial of the search for the rate.
const SEARCH: Duration = Duration::from_secs(1);
/// What is sent.
const TRAFFIC: Traffic =
    Traffic { sizes: Sizes::Imix, turns: Turns::Mixed { of: FLOWS, new_every: NEW_EVERY }, both: true };

/// How much is measured.
struct Extent {
    time: Duration,
    interval: Duration,
}

impl Extent {
    fn of(quick: bool, minutes: Option<u64>) -> Self {
        let time = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let (usual, interval) = if quick { (30, 5) } else { (MINUTES * 60, 10) };
        Self { time: time.unwrap_or(Duration::from_secs(usual)), interval: Duration::from_secs(interval) }
    }
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    interval_seconds: u64,
    /// Packets a second of both directions at most 0.5 % of which were lost.
    partial_drop: f64,
    load: f64,
    standing_flows: u32,
    new_flow_every: u32,
    udp_timeout_seconds: u32,
    samples: Vec<Sample>,
    verdict: Verdict,
}

/// What an interval of the load showed.
#[derive(Debug, Serialize)]
struct Sample {
    /// When it ended, since the load began.
    seconds: f64,
    offered: f64,
    sent: u64,
    lost: u64,
    reordered: u64,
    p50_us: f64,
    p99_us: f64,
    /// Bytes of the resident sets of both gateways.
    resident: [u64; 2],
    /// Flows of the gateway that has more.
    flows: u64,
}

/// Measures, prints, and keeps the figures.
///
/// # Errors
/// Also when memory grew or too much was lost, once all is written.
pub(crate) fn run(quick: bool, minutes: Option<u64>, results: &Path) -> Result<()> {
    let (extent, machine) = (Extent::of(quick, minutes), Machine::here());
    let highest = headroom(&[TRAFFIC], SEARCH)?[0].delivered;
    let lab = Lab::new().context("cannot build the laboratory")?;
    let partial_drop = with_gateways(&lab, |bench, _| {
        let found = search(highest, PARTIAL_DROP, |rate| bench.trial(TRAFFIC, Some(rate), SEARCH))?;
        found.best.map(|trial| trial.offered).context("nothing comes through without loss")
    })?;
    println!(
        "IMIX, both directions, 0.5 % lost: {partial_drop:.0} packets a second; half of that from now on"
    );
    let samples =
        with_gateways(&lab, |bench, running| sample_all(bench, running, partial_drop * LOAD, &extent))?;
    let verdict = Verdict::of(&samples).context("the time is too short for an interval")?;
    println!("\n{verdict}");
    let name = &report::name("soak", quick);
    let measured = Results {
        machine,
        interval_seconds: extent.interval.as_secs(),
        partial_drop,
        load: LOAD,
        standing_flows: FLOWS,
        new_flow_every: NEW_EVERY,
        udp_timeout_seconds: UDP_SECONDS,
        samples,
        verdict,
    };
    measured.draw(results, name)?;
    report::write(&results.join(format!("{name}.md")), &measured.page(name))?;
    report::write_json(&results.join(format!("{name}.json")), &measured)?;
    match measured.verdict.complaint() {
        Some(complaint) => bail!("{complaint}"),
        None => Ok(()),
    }
}

/// Measures between two gateways that have just been started.
fn with_gateways<R>(lab: &Lab, measure: impl FnOnce(&mut Bench, &Running<'_>) -> Result<R>) -> Result<R> {
    let running = Contender::Flows.start(lab)?;
    let mut bench = bench_of(lab, Contender::Flows, 1)?;
    let measured = measure(&mut bench, &running)?;
    drop(bench);
    running.stop()?;
    Ok(measured)
}

fn sample_all(bench: &mut Bench, running: &Running<'_>, rate: f64, extent: &Extent) -> Result<Vec<Sample>> {
    println!(
        "{:>8} {:>10} {:>9} {:>6} {:>9} {:>9} {:>11} {:>11} {:>9}",
        "seconds", "packets/s", "lost %", "late", "50 % us", "99 % us", "gw-a MiB", "gw-b MiB", "flows"
    );
    let start = Instant::now();
    let mut samples = Vec::new();
    while start.elapsed() < extent.time {
        let trial = bench.trial(TRAFFIC, Some(rate), extent.interval)?;
        let sample = Sample::of(&trial, start.elapsed(), running)?;
        sample.show();
        samples.push(sample);
    }
    Ok(samples)
}

impl Sample {
    fn of(trial: &Trial, since_start: Duration, running: &Running<'_>) -> Result<Self> {
        let pids = running.pids();
        let [a, b] = pids[..] else { bail!("two gateways should run, there are {}", pids.len()) };
        let [p50_us, _, p99_us, ..] = trial.latency_us;
        Ok(Self {
            seconds: since_start.as_secs_f64(),
            offered: trial.offered,
            sent: trial.sent,
            lost: trial.lost,
            reordered: trial.reordered,
            p50_us,
            p99_us,
            resident: [resident(a)?, resident(b)?],
            flows: running.flows()?,
        })
    }

    fn show(&self) {
        let [a, b] = self.resident.map(mebibytes);
        println!(
            "{:>8.0} {:>10.0} {:>9.4} {:>6} {:>9.1} {:>9.1} {a:>11.1} {b:>11.1} {:>9}",
            self.seconds,
            self.offered,
            self.lost as f64 * 100.0 / self.sent.max(1) as f64,
            self.reordered,
            self.p50_us,
            self.p99_us,
            self.flows,
        );
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Results {
    fn page(&self, name: &str) -> String {
        let minutes = self.samples.last().map_or(0.0, |last| last.seconds / 60.0);
        format!(
            "# A steady load\n\n`cargo xtask bench soak` on {}. {minutes:.1} minutes of IMIX in both directions through two gateways (NAT, ACL, route, \
             mutual TLS), {:.0} packets a second together, half of the rate at which 0.5 % are lost ({:.0}). {} flows each way stay; of {} packets one is \
             the first and only one of another flow, which ends after {} s. A sample every {} s; between two of them nothing is sent for 0.3 s, until what is \
             on its way has come.\n\n{}\n![Latency]({name}-latency.svg)\n\n![Memory]({name}-memory.svg)\n",
            self.machine,
            self.partial_drop * self.load,
            self.partial_drop,
            self.standing_flows,
            self.new_flow_every,
            self.udp_timeout_seconds,
            self.interval_seconds,
            self.verdict
        )
    }

    fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        let line = |name, value: &dyn Fn(&Sample) -> f64| Line {
            name,
            points: self.samples.iter().map(|sample| (sample.seconds / 60.0, value(sample))).collect(),
        };
        let latency = [line("50 %", &|sample| sample.p50_us), line("99 %", &|sample| sample.p99_us)];
        let file = results.join(format!("{name}-latency.svg"));
        lines(&file, "Latency, half load, IMIX in both directions", Axis::Linear("minutes"), "us", &latency)?;
        let memory =
            Side::BOTH.map(|side| line(side.node(), &move |sample| mebibytes(sample.resident[side.index()])));
        let file = results.join(format!("{name}-memory.svg"));
        lines(&file, "Resident memory of the gateways", Axis::Linear("minutes"), "MiB", &memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_go_before_what_is_usual() {
        let seconds = |quick, minutes| Extent::of(quick, minutes).time.as_secs();
        assert_eq!([seconds(true, None), seconds(false, None), seconds(true, Some(2))], [30, 1800, 120]);
    }
}
