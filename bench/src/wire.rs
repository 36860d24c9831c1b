//! Generator and sink on interfaces of this machine: real NICs around a device under test.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use gridway_wire::mac::MacAddr;

use crate::load::endpoint::Endpoint;
use crate::load::flows::{Addresses, Ports, Space};
use crate::load::pattern::Sizes;
use crate::load::trial::{Bench, Traffic, Trial, Way};
use crate::load::turns::Turns;
use crate::report;
use crate::search::search;

/// Interfaces, addresses and what is sent.
#[derive(Args, Debug)]
pub(crate) struct Wire {
    /// Interface that sends. The kernel gets none of its IP packets meanwhile.
    #[arg(long, value_name = "INTERFACE")]
    from: String,
    /// Interface that receives: another one. The kernel gets none of its IP packets meanwhile.
    #[arg(long, value_name = "INTERFACE")]
    to: String,
    /// Receive queues that are read of every interface that receives, from 0.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    queues: u32,
    /// MAC address that is sent to: the device under test, or the receiving interface.
    #[arg(long, value_name = "MAC")]
    next_hop: MacAddr,
    /// Address that packets come from, or a range FIRST-LAST.
    #[arg(long, value_name = "ADDRESSES")]
    source: Addresses,
    /// Address that packets go to, or a range FIRST-LAST.
    #[arg(long, value_name = "ADDRESSES")]
    destination: Addresses,
    /// Ports that packets come from.
    #[arg(long, value_name = "PORTS", default_value_t = Space::SOURCE_PORTS)]
    source_ports: Ports,
    /// Ports that packets go to.
    #[arg(long, value_name = "PORTS", default_value_t = Space::DESTINATION_PORTS)]
    destination_ports: Ports,
    /// Both interfaces send, half of the packets each, and receive: from this address of the far side on.
    #[arg(long, value_name = "ADDRESSES", requires = "back_destination")]
    back_source: Option<Addresses>,
    /// Address that packets go to that the receiving interface sends, as the far side knows it.
    #[arg(long, value_name = "ADDRESSES", requires_all = ["back_source", "back_next_hop"])]
    back_destination: Option<Addresses>,
    /// MAC address that the receiving interface sends to.
    #[arg(long, value_name = "MAC", requires = "back_source")]
    back_next_hop: Option<MacAddr>,
    /// Bytes of a frame with its check sequence, 64 to 1518, or `imix`.
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: Sizes,
    /// Flows that take turns: of all combinations of addresses and ports the first.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    flows: u32,
    /// Every packet is the first one of a flow, until all combinations have had their turn: rates are new flows a
    /// second.
    #[arg(long, conflicts_with = "flows")]
    new_flows: bool,
    /// Trials as JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Sends at a rate for a time, and says each second what became of it.
    Run {
        /// Packets a second; without it as many as go.
        #[arg(long, value_name = "PACKETS")]
        rate: Option<f64>,
        /// Seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        time: u32,
    },
    /// Searches for the highest rate at which no more than a share of packets is lost (RFC 2544).
    Search {
        /// Loss that is accepted, in percent: 0 for the no-drop rate, 0.5 for the partial-drop rate.
        #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
        loss: f64,
        /// Highest rate that is tried, packets a second.
        #[arg(long, value_name = "PACKETS")]
        most: f64,
        /// Seconds of a trial.
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        time: u32,
    },
}

/// What the steering program dropped of what came, if anything.
fn show_dropped(interface: &str, endpoint: &Endpoint) -> Result<()> {
    for (fate, frames) in endpoint.dropped()? {
        eprintln!("{interface}: {frames} frames dropped before the sink, {fate}");
    }
    Ok(())
}

/// Runs it.
pub(crate) fn run(wire: &Wire) -> Result<()> {
    if wire.from == wire.to {
        bail!("--from and --to are the same interface: the sink would not tell sent from received");
    }
    let (there, back) = (wire.there(), wire.back());
    let turns = if wire.new_flows { Turns::New } else { Turns::Of(wire.flows) };
    for way in std::iter::once(&there).chain(&back) {
        turns.within(&way.space, 0)?;
    }
    let traffic = Traffic { sizes: wire.size, turns, both: back.is_some() };
    let to = Endpoint::open(&wire.to, wire.queues)?;
    // One that only sends needs no more than one queue.
    let from = Endpoint::open(&wire.from, if traffic.both { wire.queues } else { 1 })?;
    eprintln!("{}: {}\n{}: {}", wire.from, from.modes(), wire.to, to.modes());
    for (interface, receives) in [(&wire.to, true), (&wire.from, traffic.both)] {
        let queues = gridway_checks::receive_queues(interface);
        if receives && queues > wire.queues {
            eprintln!(
                "{interface} has {queues} receive queues, {} are read: what the NIC puts on others is lost (--queues, ethtool -L)",
                wire.queues
            );
        }
    }
    let mut bench = Bench::new(from, to, there, back);
    if !wire.json {
        report::show_trial_head();
    }
    let show = |trial: &Trial| -> Result<()> {
        match wire.json {
            true => println!("{}", serde_json::to_string(trial)?),
            false => report::show_trial(trial),
        }
        Ok(())
    };
    match wire.what {
        What::Run { rate, time } => {
            for _ in 0..time {
                show(&bench.trial(traffic, positive(rate)?, Duration::from_secs(1))?)?;
            }
        }
        What::Search { loss, most, time } => {
            if !(0.0..100.0).contains(&loss) {
                bail!("--loss is a share in percent, 0 to below 100");
            }
            let most = positive(Some(most))?.context("a rate was given")?;
            let time = Duration::from_secs(u64::from(time.max(1)));
            let mut trial = |rate| -> Result<Trial> {
                let trial = bench.trial(traffic, Some(rate), time)?;
                show(&trial)?;
                Ok(trial)
            };
            let found = search(most, loss / 100.0, &mut trial)?;
            match found.best {
                None => eprintln!("no rate passed with at most {loss} % lost"),
                Some(best) => eprintln!("{:.0} packets a second with at most {loss} % lost", best.offered),
            }
            if found.at_least {
                eprintln!(
                    "the device under test may be faster: the generator sends no more, the sink takes no more, or --most is \
                     reached"
                );
            }
        }
    }
    show_dropped(&wire.from, &bench.from)?;
    show_dropped(&wire.to, &bench.to)
}

impl Wire {
    fn there(&self) -> Way {
        let Self { source: sources, destination: destinations, source_ports, destination_ports, .. } = *self;
        let space = Space { sources, destinations, source_ports, destination_ports };
        Way { next_hop: self.next_hop, space }
    }

    fn back(&self) -> Option<Way> {
        let Self { source_ports, destination_ports, .. } = *self;
        let (sources, destinations) = self.back_source.zip(self.back_destination)?;
        let space = Space { sources, destinations, source_ports, destination_ports };
        Some(Way { next_hop: self.back_next_hop?, space })
    }
}

fn positive(rate: Option<f64>) -> Result<Option<f64>> {
    match rate {
        Some(rate) if !rate.is_finite() || rate <= 0.0 => bail!("a rate is a number above 0"),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wire: Wire,
    }

    fn next_hop(text: &str) -> Option<MacAddr> {
        let line =
            ["wire", "--from", "a", "--to", "b", "--source", "192.0.2.1", "--destination", "192.0.2.2"];
        let line = line.into_iter().chain(["--next-hop", text, "run"]);
        Line::try_parse_from(line).ok().map(|line| line.wire.next_hop)
    }

    #[test]
    fn both_ways_takes_all_that_the_way_back_needs() {
        let line = |more: &str| {
            let line = "wire --from a --to b --source 192.0.2.1 --destination 192.0.2.2 --next-hop 02:00:00:00:00:01";
            Line::try_parse_from(line.split(' ').chain(more.split_whitespace()).chain(["run"]))
        };
        assert!(line("").unwrap().wire.back().is_none());
        let whole = "--back-source 192.0.2.2 --back-destination 192.0.2.1 --back-next-hop 02:00:00:00:00:02";
        assert!(line(whole).unwrap().wire.back().is_some());
        for part in [&whole[..23], &whole[..52], &whole[24..]] {
            assert!(line(part).is_err(), "{part}");
        }
        assert!(line("--new-flows --flows 7").is_err());
    }

    #[test]
    fn mac_addresses_are_read_strictly() {
        assert_eq!(next_hop("02:00:00:00:00:1f"), Some(MacAddr([2, 0, 0, 0, 0, 0x1f])));
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:1", "02:00:00:00:00:zz", "02:00:00:00:00:01:02"] {
            assert!(next_hop(wrong).is_none(), "{wrong}");
        }
    }
}
