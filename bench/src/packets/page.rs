//! The page and the plots.

use std::path::Path;

use anyhow::Result;

use super::{Contender, Headroom, Latency, Rates, Results};
use crate::percentiles::{self, Latencies};
use crate::plot::{Axis, Line, lines};
use crate::report::{figure_of, ratio};

/// Bits of a frame besides what its size says: preamble, start and gap (IEEE 802.3).
const BETWEEN_FRAMES: f64 = 20.0 * 8.0;

impl Results {
    fn rates_table(&self) -> String {
        let mut table = "| frames | | 0 % lost, packets/s | 0.5 % lost, packets/s | of kernel forwarding | generator over a cable |\n|---|---|---|---|---|---|\n".to_owned();
        for row in &self.rates {
            let first = self.rates.iter().find(|other| other.size == row.size).unwrap_or(row);
            let sent =
                self.headroom.iter().find(|sent| sent.size == row.size).map_or(0.0, |sent| sent.delivered);
            table += &format!(
                "| {} | {} | {} | {} | {} | {sent:.0} |\n",
                row.size,
                row.contender,
                figure_of(&row.no_drops, row.at_least[0]),
                figure_of(&row.partial_drops, row.at_least[1]),
                ratio(&row.partial_drops, &first.partial_drops),
            );
        }
        table
    }

    fn latency_table(&self) -> String {
        let mut table =
            "| frames | | load | lost, % | 50 % | 90 % | 99 % | 99.9 % | most |\n|---|---|---|---|---|---|---|---|---|\n"
                .to_owned();
        for row in &self.latencies {
            let quantiles = row.trial.latency_us.map(|us| format!(" {us:.0} |")).concat();
            table += &format!(
                "| {} | {} | {} | {:.2} |{quantiles}\n",
                row.size,
                row.contender,
                row.load_in_words(),
                row.trial.loss * 100.0
            );
        }
        table
    }

    pub(super) fn page(&self, name: &str) -> String {
        let plots: String = self
            .headroom
            .iter()
            .map(|Headroom { size, .. }| format!("![{size}]({name}-{size}.svg)\n\n"))
            .collect();
        format!(
            "# Packets\n\n`cargo xtask bench packets` on {}. Generator and sink: {}. Rounds: {}, trials of {} s, {} flows each way; sizes with the check sequence, `both`: \
             both hosts send, half of the packets each. A rate without loss is one at which no packet of one trial was lost; ≥: \
             generator or sink was the limit in a round. Kernel forwarding is done within the generator's sends, by its processor, and \
             holds it back where a device would drop. Medians over the rounds, least and most in brackets; ratios are taken within a round. \
             Latency from generator to sink, microseconds, at shares of the contender's own rate at 0.5 % lost; idle: 1,000 packets a second.\n\n{}\n\
             ![Rates by frame size]({name}.svg)\n\n## Latency\n\n{}\n{plots}",
            self.machine,
            self.interfaces,
            self.rounds,
            self.trial_seconds,
            super::FLOWS,
            self.rates_table(),
            self.latency_table(),
        )
    }

    /// Rates over frame sizes, and a plot of latency percentiles for each traffic, a line for each contender and load.
    pub(super) fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        self.draw_rates(&results.join(format!("{name}.svg")))?;
        for Headroom { size, .. } in &self.headroom {
            let rows = self.latencies.iter().filter(|row| row.size == *size);
            let line = |row: &'_ Latency| format!("{}, {}", row.contender, row.load_in_words());
            let lines: Vec<_> =
                rows.map(|row| Latencies { name: line(row), histogram: &row.trial.latency }).collect();
            let title = format!("Latency, frames {size}, at shares of the rate at which 0.5 % are lost");
            percentiles::draw(&results.join(format!("{name}-{size}.svg")), &title, &lines)?;
        }
        Ok(())
    }

    /// Mbit/s on the wire over the sizes of frames that have one.
    fn draw_rates(&self, file: &Path) -> Result<()> {
        let point = |row: &Rates| {
            let bytes: f64 = row.size.parse().ok()?;
            Some((bytes, row.partial_drop * (bytes * 8.0 + BETWEEN_FRAMES) / 1e6))
        };
        let line = |contender: Contender| {
            let rows = self.rates.iter().filter(|row| row.contender == contender.name());
            Line { name: contender.name(), points: rows.filter_map(point).collect() }
        };
        // The first line has our colour.
        let drawn = [Contender::Gridway, Contender::Kernel].map(line);
        lines(file, "Mbit/s on the wire, 0.5 % lost", Axis::Logarithmic("bytes of a frame"), "Mbit/s", &drawn)
    }
}

impl Latency {
    fn load_in_words(&self) -> String {
        if self.load > 0.0 { format!("{:.0} %", self.load * 100.0) } else { "idle".to_owned() }
    }
}
