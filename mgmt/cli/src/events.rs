//! `gridway events`.

use std::io::Write;

use clap::Args;
use gridway_control::{Events, Reply, Request};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::show;
use crate::watch::Reading;

/// How long one question waits for an event while they are followed: as long as Ctrl-C may take to be noticed.
const PATIENCE_MS: u64 = 500;

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Show events as they come, one a line, until Ctrl-C.
    #[arg(long, conflicts_with = "watch")]
    follow: bool,
    /// Only events with numbers above this one.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    reading: Reading,
}

pub(crate) fn run(args: &EventsArgs, out: &mut impl Write) -> Result<(), CliError> {
    match args.follow {
        true => follow(args, &mut args.reading.target.connect()?, out),
        false => args.reading.run(&Request::Events { after: args.after, wait_ms: 0 }, out),
    }
}

fn follow(args: &EventsArgs, link: &mut Link, out: &mut impl Write) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let mut after = args.after;
    let mut instance = None;
    while !interrupt.asked() {
        let events = ask(link, after)?;
        // A node that was restarted counts from 1 again.
        if instance.as_ref().is_some_and(|instance| *instance != events.instance) && after > 0 {
            eprintln!("the node was restarted");
            (after, instance) = (0, Some(events.instance));
            continue;
        }
        if events.missed > 0 {
            eprintln!("{} event(s) were forgotten before they were asked for", events.missed);
        }
        for row in &events.rows {
            if args.reading.json {
                show::write_json_line(row, out)?;
            } else {
                writeln!(out, "{}", show::events::line(row))?;
            }
        }
        out.flush()?;
        (after, instance) = (events.last, Some(events.instance));
    }
    Ok(())
}

fn ask(link: &mut Link, after: u64) -> Result<Events, CliError> {
    match link.ask(&Request::Events { after, wait_ms: PATIENCE_MS })? {
        Reply::Events(events) => Ok(events),
        _ => Err(CliError::Unexpected),
    }
}
