//! Reading commands: asked once, or again and again.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use gridway_control::Request;

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::{Link, Target};
use crate::show;
use crate::table::printable_text;

/// Puts the cursor at the top of an empty screen.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Options of every command that reads from a node.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// JSON with stable keys.
    #[arg(long)]
    pub(crate) json: bool,
    /// Again every so many seconds, counters with what they grow by a second; Ctrl-C ends it [default: 2]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    watch: Option<u64>,
    #[command(flatten)]
    pub(crate) target: Target,
}

impl Reading {
    /// Asks the node and shows its answer, once or until Ctrl-C.
    pub(crate) fn run(&self, request: &Request, out: &mut impl Write) -> Result<(), CliError> {
        self.run_over(|| self.target.connect(), request, out)
    }

    /// The same, of whoever `connect` reaches.
    pub(crate) fn run_over(
        &self,
        connect: impl Fn() -> Result<Link, CliError>,
        request: &Request,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        match self.watch {
            None => show::show(&connect()?.ask(request)?, self.json, out),
            Some(seconds) => self.again(connect, request, Duration::from_secs(seconds), out),
        }
    }

    /// A node that cannot be reached at first is an error; one that goes away is waited for.
    fn again(
        &self,
        connect: impl Fn() -> Result<Link, CliError>,
        request: &Request,
        pause: Duration,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let interrupt = Interrupt::install()?;
        let clear = io::stdout().is_terminal() && !self.json;
        let mut link = connect()?;
        let mut earlier: Option<(show::Page, Instant)> = None;
        loop {
            let asked = Instant::now();
            match link.ask(request) {
                Ok(reply) if self.json => show::json(&reply, out)?,
                Ok(reply) => {
                    let page = show::page(&reply);
                    if clear {
                        out.write_all(CLEAR.as_bytes())?;
                    } else if earlier.is_some() {
                        writeln!(out)?;
                    }
                    let elapsed = earlier.as_ref().map_or(Duration::ZERO, |(_, then)| asked - *then);
                    page.with_rates(earlier.as_ref().map(|(page, _)| page), elapsed).write(out)?;
                    earlier = Some((page, asked));
                }
                Err(error) if error.exit_status() != 3 || earlier.is_none() => return Err(error.into()),
                Err(error) => {
                    eprintln!("{}", printable_text(&error.to_string()));
                    if let Ok(again) = connect() {
                        link = again;
                    }
                }
            }
            out.flush()?;
            if interrupt.sleep(pause) {
                return Ok(());
            }
        }
    }
}
