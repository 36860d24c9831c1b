//! `gridway config`.

mod apply;
mod check;
mod diff;
mod versions;

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use gridway_control::Request;

use crate::error::CliError;
use crate::watch::Reading;
use apply::{ApplyArgs, ConfirmArgs, RollbackArgs};
use diff::DiffArgs;
use versions::Management;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say every error of a file.
    #[command(after_help = "Examples:\n  gridway config check node.toml")]
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show the configuration that the node runs with.
    #[command(after_help = "Examples:\n  gridway config show\n  gridway config show --defaults --json")]
    Show {
        /// Values that equal their default, too.
        #[arg(long)]
        defaults: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Say which configuration is in force, since when, by whom, and what awaits confirmation.
    #[command(after_help = "Examples:\n  gridway config state")]
    State(Reading),
    /// Put a file into force; what somebody else changed meanwhile is not overwritten.
    #[command(
        after_help = "Shows what changes. Paths in the file are relative to the folder of the node's own file.\n\n\
                      Examples:\n  gridway config apply node.toml --confirm-within 60s\n  \
                      gridway config confirm"
    )]
    Apply(ApplyArgs),
    /// Keep the change that awaits confirmation.
    #[command(after_help = "Examples:\n  gridway config confirm")]
    Confirm(ConfirmArgs),
    /// Undo the change that awaits confirmation, or go back to an earlier version.
    #[command(
        after_help = "Examples:\n  gridway config rollback\n  gridway config rollback --to 12 --confirm-within 60s"
    )]
    Rollback(RollbackArgs),
    /// List the versions that were in force; the management process keeps them.
    #[command(after_help = "Examples:\n  gridway config history")]
    History {
        #[command(flatten)]
        management: Management,
        #[command(flatten)]
        reading: Reading,
    },
    /// Say what a file would change, or how versions differ.
    #[command(
        after_help = "With a file: what applying it would change. With --from: that version against another one, or \
                      against what is in force. With neither: what the last change was.\n\n\
                      Examples:\n  gridway config diff node.toml\n  gridway config diff --from 11 --to 12\n  \
                      gridway config diff"
    )]
    Diff(DiffArgs),
}

pub(crate) fn run(command: ConfigCommand, out: &mut impl Write) -> Result<(), CliError> {
    match command {
        ConfigCommand::Check { file } => check::check(&file, out),
        ConfigCommand::Show { defaults, reading } => reading.run(&Request::Config { defaults }, out),
        ConfigCommand::State(reading) => reading.run(&Request::ConfigState, out),
        ConfigCommand::Apply(args) => apply::apply(&args, out),
        ConfigCommand::Confirm(args) => apply::confirm(&args, out),
        ConfigCommand::Rollback(args) => apply::rollback(&args, out),
        ConfigCommand::History { management, reading } => {
            reading.run_over(|| management.connect(&reading.target), &Request::History, out)
        }
        ConfigCommand::Diff(args) => diff::diff(&args, out),
    }
}
