//! The table, the page and the plot.

use std::path::Path;

use anyhow::Result;

use super::Results;
use crate::packets::headroom_in_words;
use crate::plot::{Bar, bars};
use crate::report::{figure, figure_of, ratio};
use crate::statistics::{median, spread};

/// What an idle tunnel may take, KiB.
const GOAL_KIB: f64 = 128.0;

impl Results {
    pub(super) fn tables(&self) -> String {
        let kib: Vec<f64> = self
            .resident_kib
            .iter()
            .zip(&self.socket_kib)
            .map(|(resident, sockets)| resident + sockets)
            .collect();
        let (least, most) = spread(&kib);
        let mut tables = format!(
            "| | |\n|---|---|\n| memory of an idle tunnel, KiB (goal: at most {GOAL_KIB:.0}) | {:.1} ({least:.1} to {most:.1}), {:.1} of it in sockets |\n\
             | of each of all, with what the first ones leave behind, KiB | {:.1} |\n\
             | tunnels that come up a second | {} |\n\n| peers | 64 B, packets/s, 0.5 % lost | of one peer's |\n|---|---|---|\n",
            median(&kib),
            median(&self.socket_kib),
            median(&self.with_first_kib),
            figure(&self.handshakes)
        );
        for row in &self.spread {
            let first = &self.spread[0];
            tables += &format!(
                "| {} | {} | {} |\n",
                row.peers,
                figure_of(&row.rates, row.at_least),
                ratio(&row.rates, &first.rates)
            );
        }
        tables
    }

    pub(super) fn page(&self, name: &str) -> String {
        let headroom =
            headroom_in_words(self.generator_packets, self.spread.iter().map(|row| &row.rates[..]));
        format!(
            "# Many tunnels\n\n`cargo xtask bench tunnels` on {}. Rounds: {}, trials of {} s. One gateway (NAT, ACL, a route to each peer, mutual TLS; one \
             worker, pings every {}, dead after {}); its peers are ends of tunnels that share one thread and the machine with it. An idle tunnel: resident \
             set of the gateway and memory of its sockets (`ss`), of {} more than {}, divided by their number. Tunnels a second: TCP, handshake and hello of \
             those {}, eight at a time, the peers' part of the work included. Packets go from one host to the first so many peers in 1,000 flows, while all {} \
             tunnels are up; what peers received counts. {headroom}\n\n{}\n![Packets]({name}-packets.svg)\n",
            self.machine,
            self.rounds,
            self.trial_seconds,
            self.ping_interval,
            self.dead_after,
            self.more,
            self.before,
            self.more,
            self.before + self.more,
            self.tables()
        )
    }

    pub(super) fn draw(&self, results: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(results)?;
        let named: Vec<(String, &[f64])> = self
            .spread
            .iter()
            .map(|row| {
                (format!("{} {}", row.peers, if row.peers == 1 { "peer" } else { "peers" }), &row.rates[..])
            })
            .collect();
        let shown: Vec<Bar<'_>> = named.iter().map(|(name, rates)| Bar::of(name, rates)).collect();
        let title = "Packets of 64 bytes a second, 0.5 % lost (median, least to most)";
        bars(&results.join(format!("{name}-packets.svg")), title, &shown)
    }
}
