//! `gridway events`.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use gridway_control::{Events, Reply, Request};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::show;
use crate::table::printable_text;
use crate::watch::Reading;

/// How long one question waits for an event while they are followed: as long as Ctrl-C may take to be noticed.
const PATIENCE_MS: u64 = 500;

/// How long to wait for a node that went away.
const PAUSE: Duration = Duration::from_millis(500);

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
        true => follow(args, out),
        false => args.reading.run(&Request::Events { after: args.after, wait_ms: 0 }, out),
    }
}

/// A node that cannot be reached at first is an error; one that goes away is waited for.
fn follow(args: &EventsArgs, out: &mut impl Write) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let mut link = Some(args.reading.target.connect()?);
    let mut is_said = false;
    let mut after = args.after;
    let mut instance = None;
    while !interrupt.asked() {
        let asked = match &mut link {
            Some(link) => ask(link, after),
            None => args.reading.target.connect().and_then(|again| ask(link.insert(again), after)),
        };
        let events = match asked {
            Ok(events) => events,
            Err(error) if is_gone(&error) => {
                link = None;
                if !is_said {
                    eprintln!("{}; trying again", printable_text(&error.to_string()));
                    is_said = true;
                }
                interrupt.sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        is_said = false;
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

/// Whether the node may come back: the socket is away, or nobody answers there.
fn is_gone(error: &CliError) -> bool {
    matches!(error, CliError::NoSocket { .. }) || error.exit_status() == 3
}

fn ask(link: &mut Link, after: u64) -> Result<Events, CliError> {
    match link.ask(&Request::Events { after, wait_ms: PATIENCE_MS })? {
        Reply::Events(events) => Ok(events),
        _ => Err(CliError::Unexpected),
    }
}
