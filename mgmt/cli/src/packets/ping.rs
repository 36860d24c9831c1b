//! `gridway ping`.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use gridway_control::{Reply, Request};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::{Next, Target};
use crate::show;
use crate::table::printable;
use crate::value;

#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// Virtual address.
    address: IpAddr,
    /// Name of the vnet.
    #[arg(long)]
    vnet: String,
    /// How many requests.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Time between two.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = value::duration)]
    interval: Duration,
    /// JSON with stable keys, a request a line, without the summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: &PingArgs, out: &mut impl Write) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let request = Request::Ping {
        vnet: args.vnet.clone(),
        address: args.address,
        count: args.count,
        interval_ms: super::milliseconds(args.interval),
    };
    let mut rows = args.target.connect()?.rows(request);
    if !args.json {
        writeln!(out, "PING {} in {}", args.address, printable(&args.vnet))?;
    }
    let mut summary = Summary::default();
    loop {
        match rows.next(&interrupt)? {
            Next::Row(Reply::Ping(ping)) => {
                summary.add(ping.round_trip_us);
                if args.json {
                    show::write_json_line(&ping, out)?;
                } else {
                    out.write_all(show::packet::ping(&ping).as_bytes())?;
                }
            }
            Next::Row(_) => return Err(CliError::Unexpected),
            Next::Quiet => out.flush()?,
            Next::End(_) | Next::Interrupted => break,
        }
    }
    if !args.json {
        writeln!(out, "--- {} ping statistics ---", args.address)?;
        out.write_all(summary.text().as_bytes())?;
    }
    if summary.received == 0 { Err(CliError::NoReply) } else { Ok(()) }
}

/// Round trips in microseconds.
#[derive(Debug, Default)]
struct Summary {
    sent: u32,
    received: u32,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: u128,
}

impl Summary {
    fn add(&mut self, round_trip: Option<u64>) {
        self.sent += 1;
        let Some(time) = round_trip else { return };
        self.min = if self.received == 0 { time } else { self.min.min(time) };
        self.max = self.max.max(time);
        self.received += 1;
        self.sum = self.sum.saturating_add(time.into());
        self.sum_of_squares = self.sum_of_squares.saturating_add(u128::from(time) * u128::from(time));
    }

    /// In the words of ping(8), whose `mdev` is the standard deviation.
    fn text(&self) -> String {
        let lost = (u64::from(self.sent - self.received) * 100).checked_div(self.sent.into()).unwrap_or(0);
        let counts = format!("{} sent, {} received, {lost}% lost\n", self.sent, self.received);
        if self.received == 0 {
            return counts;
        }
        let count = u128::from(self.received);
        let mean = self.sum / count;
        let variance = (self.sum_of_squares / count).saturating_sub(mean * mean);
        let in_ms = |time: u128| format!("{}.{:03}", time / 1000, time % 1000);
        let figures = [self.min.into(), mean, self.max.into(), variance.isqrt()].map(in_ms).join("/");
        format!("{counts}rtt min/avg/max/mdev = {figures} ms\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(times: &[Option<u64>]) -> String {
        let mut summary = Summary::default();
        times.iter().for_each(|time| summary.add(*time));
        summary.text()
    }

    #[test]
    fn the_summary_counts_as_ping_does() {
        assert_eq!(
            summary(&[Some(1000), None, Some(3000), Some(2000)]),
            "4 sent, 3 received, 25% lost\nrtt min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms\n"
        );
        assert_eq!(summary(&[None]), "1 sent, 0 received, 100% lost\n");
        assert_eq!(summary(&[]), "0 sent, 0 received, 0% lost\n");
        assert!(summary(&[Some(u64::MAX), Some(u64::MAX)]).contains("2 received"));
    }
}
