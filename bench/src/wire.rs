//! Generator and sink on interfaces of this machine: real NICs around a device under test.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use gridway_wire::mac::MacAddr;

use crate::load::endpoint::Endpoint;
use crate::load::frame::Route;
use crate::load::pattern::Sizes;
use crate::load::trial::{Bench, Traffic, Trial};
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
    /// Receive queues of it that are read, from 0.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    queues: u32,
    /// MAC address that is sent to: the device under test, or the receiving interface.
    #[arg(long, value_name = "MAC")]
    next_hop: MacAddr,
    /// Address that packets come from.
    #[arg(long, value_name = "ADDRESS")]
    source: Ipv4Addr,
    /// Address that packets go to.
    #[arg(long, value_name = "ADDRESS")]
    destination: Ipv4Addr,
    /// Bytes of a frame with its check sequence, 64 to 1518, or `imix`.
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: Sizes,
    /// Flows that take turns; they differ by their ports.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flows: u32,
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

/// Runs it.
pub(crate) fn run(wire: &Wire) -> Result<()> {
    if wire.from == wire.to {
        bail!("--from and --to are the same interface: the sink would not tell sent from received");
    }
    let to = Endpoint::open(&wire.to, wire.queues)?;
    let from = Endpoint::open(&wire.from, 1)?;
    eprintln!("{}: {}\n{}: {}", wire.from, from.modes(), wire.to, to.modes());
    let route = Route { macs: [from.mac(), wire.next_hop], addresses: [wire.source, wire.destination] };
    let mut bench = Bench::new(from, to, route);
    let traffic = Traffic { sizes: wire.size, flows: wire.flows };
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
            if found.limited_by_generator {
                eprintln!("the generator cannot send more: the device under test may be faster");
            }
        }
    }
    Ok(())
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
    fn mac_addresses_are_read_strictly() {
        assert_eq!(next_hop("02:00:00:00:00:1f"), Some(MacAddr([2, 0, 0, 0, 0, 0x1f])));
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:1", "02:00:00:00:00:zz", "02:00:00:00:00:01:02"] {
            assert!(next_hop(wrong).is_none(), "{wrong}");
        }
    }
}
