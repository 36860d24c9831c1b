//! `gridway`: the operator's command line.
//!
//! Exit status: 0 done, 1 the answer is no (a check failed, nothing found), 2 usage, 3 the node
//! cannot be reached.

mod args;
mod config;
mod doctor;
mod error;
mod events;
mod filter;
mod interrupt;
mod link;
mod live;
mod packets;
mod pki;
mod reference;
mod show;
mod table;
mod top;
mod value;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::error::CliError;
use crate::table::printable_text;

fn main() -> ExitCode {
    let args = Args::parse();
    // Locked and buffered: a table of many flows is one write, not thousands.
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = run(args, &mut out);
    // What was written before an error is part of the answer.
    let written = out.flush().map_err(CliError::from);
    match done.and(written) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as `head` does.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // It may quote what a node sent.
            eprintln!("{}", printable_text(&error.to_string()));
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(args: Args, out: &mut impl Write) -> Result<(), CliError> {
    match args.command {
        Command::Pki(command) => pki::run(command, out),
        Command::Config(command) => config::run(command, out),
        Command::Doctor(args) => doctor::run(args, out),
        Command::Reference { folder } => reference::write(&folder),
        Command::Live(command) => live::run(command, out),
        Command::Events(args) => events::run(&args, out),
        Command::Packets(command) => packets::run(command, out),
        Command::Top(args) => top::run(&args),
    }
}
