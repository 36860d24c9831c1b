//! The results as tables and plots.

use std::path::Path;

use anyhow::Result;

use super::ping_pong::RoundTrip;
use super::web::Requests;
use super::{CONNECTIONS, Figures, Results};
use crate::lab::WAN;
use crate::plot::{Bar, bars};
use crate::report::{self, figure, ratio};
use crate::statistics::median;

const RATES: &str = "\
| | TCP, one stream, Mbit/s | Gridway is | 8 streams | Gridway is | requests/s, 1,000 connections | Gridway is | errors | new connections/s | Gridway is | errors |
|---|---|---|---|---|---|---|---|---|---|---|
";
const COSTS: &str = "\
| | an idle session, KiB | Gridway is | idle round trip, ms, 50 % | 99 % | loaded: Mbit/s | ms, 50 % | 99 % |
|---|---|---|---|---|---|---|---|
";

impl Figures {
    fn requests(&self) -> Vec<f64> {
        per_second(&self.requests)
    }

    fn connections(&self) -> Vec<f64> {
        per_second(&self.connections)
    }
}

fn per_second(rounds: &[Requests]) -> Vec<f64> {
    rounds.iter().map(|requests| requests.per_second).collect()
}

fn errors(rounds: &[Requests]) -> u64 {
    rounds.iter().map(|requests| requests.errors).sum()
}

/// The median of what `of` finds in each round.
fn middle<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> f64 {
    median(&rounds.iter().map(of).collect::<Vec<_>>())
}

impl Results {
    /// Rates, then memory and round trips.
    pub(super) fn tables(&self) -> String {
        let ours = &self.contenders[0];
        let (mut rates, mut costs) = (RATES.to_owned(), COSTS.to_owned());
        for row in &self.contenders {
            let beside = |of: fn(&Figures) -> Vec<f64>| {
                let (ours, theirs) = (of(ours), of(row));
                format!("{} | {}", figure(&theirs), ratio(&ours, &theirs))
            };
            rates += &format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                row.contender,
                beside(|row| row.tcp.clone()),
                beside(|row| row.tcp_streams.clone()),
                beside(Figures::requests),
                errors(&row.requests),
                beside(Figures::connections),
                errors(&row.connections),
            );
            let idle = |of: fn(&RoundTrip) -> f64| middle(&row.idle, of);
            let loaded = |of: fn(&RoundTrip) -> f64| middle(&row.loaded, |loaded| of(&loaded.round_trip));
            costs += &format!(
                "| {} | {} | {:.2} | {:.2} | {:.0} | {:.1} | {:.1} |\n",
                row.contender,
                beside(|row| row.session_kib.clone()),
                idle(|round_trip| round_trip.p50),
                idle(|round_trip| round_trip.p99),
                middle(&row.loaded, |loaded| loaded.mbps),
                loaded(|round_trip| round_trip.p50),
                loaded(|round_trip| round_trip.p99),
            );
        }
        format!("{rates}\n{costs}")
    }

    pub(super) fn page(&self, name: &str) -> String {
        let versions = report::versions(self.contenders.iter().map(|row| (row.contender, &*row.version)));
        format!(
            "# Gridway beside other proxies\n\n`cargo xtask bench layer4` on {}. {}. \"Gridway is\": Gridway's figure over the row's, median of the \
             rounds' ratios; more is better, of memory less. Requests: `wrk` and nginx with one worker, a body of 3 bytes; new connections: one for each \
             request. Errors are of all rounds together. An idle session: resident set of both ends and memory of their sockets, of 1,000 more. Round \
             trips: a byte each way over one TCP connection, medians of the rounds' percentiles; loaded: beside one TCP stream over a WAN of {WAN} Mbit/s \
             (tbf, latency 5 ms).\n\n{}\n![TCP, one stream]({name}-tcp.svg)\n\n![Requests]({name}-requests.svg)\n\n\
             ![New connections]({name}-connections.svg)\n\n![Memory]({name}-memory.svg)\n\n{}",
            self.machine,
            self.conditions,
            self.tables(),
            versions
        )
    }

    pub(super) fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        let plot = |file: &str, title: &str, of: fn(&Figures) -> Vec<f64>| {
            let measured = self.contenders.iter().map(|row| (row.contender, of(row)));
            let shown: Vec<_> = measured.filter(|(_, samples)| !samples.is_empty()).collect();
            let shown: Vec<Bar<'_>> = shown.iter().map(|(name, samples)| Bar::of(name, samples)).collect();
            bars(
                &results.join(format!("{name}-{file}.svg")),
                &format!("{title} (median, least to most)"),
                &shown,
            )
        };
        plot("tcp", "TCP, one stream, Mbit/s", |row| row.tcp.clone())?;
        let requests = format!("Requests a second over {CONNECTIONS} connections");
        plot("requests", &requests, Figures::requests)?;
        plot("connections", "New connections a second", Figures::connections)?;
        plot("memory", "Memory of an idle session, both ends, KiB", |row| row.session_kib.clone())
    }
}
