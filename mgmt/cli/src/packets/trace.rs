//! `gridway trace`.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use gridway_control::{Reply, Request};

use super::filter::Filter;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::{Next, Target};
use crate::show;
use crate::value;

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// How many packets.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// For how long at most.
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = value::duration)]
    time: Duration,
    /// JSON with stable keys, a packet a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    target: Target,
}

/// Shows packets as they pass; what was missed is told at the end. Ctrl-C is an end like any other.
pub(super) fn run(args: TraceArgs, out: &mut impl Write) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let wait_ms = super::milliseconds(args.time);
    let request = Request::Trace { filter: args.filter.into(), count: args.count, wait_ms };
    let mut rows = args.target.connect()?.rows(request);
    let mut shown = 0_u64;
    loop {
        match rows.next(&interrupt)? {
            Next::Row(Reply::Trace(trace)) => {
                shown += 1;
                if args.json {
                    show::write_json_line(&trace, out)?;
                } else {
                    out.write_all(show::packet::trace(&trace).as_bytes())?;
                }
            }
            Next::Row(_) => return Err(CliError::Unexpected),
            Next::Quiet => out.flush()?,
            Next::End(end) => {
                eprintln!("{shown} packet(s) traced, {} missed", end.missed);
                return Ok(());
            }
            Next::Interrupted => {
                eprintln!("{shown} packet(s) traced; interrupted");
                return Ok(());
            }
        }
    }
}
