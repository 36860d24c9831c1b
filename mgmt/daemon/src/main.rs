//! `gridway-mgmt`: the management API of one node, and what is kept of its past. The data plane never waits for it.

mod api;
mod bucket;
mod feed;
mod local;
mod metrics;
mod node;
mod recorder;
mod run;
mod server;
mod store;
mod text;
mod time;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gridway_config::{Log, LogFormat, ManagementConfig};

/// The management process of a Gridway node. Runs in the foreground and logs to standard error. SIGHUP looks for
/// replaced certificates at once, SIGTERM ends cleanly.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    /// Its configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match ManagementConfig::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    log_to_stderr(config.log);
    match run::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(log: Log) {
    let level: tracing::Level =
        log.level.as_str().parse().expect("levels have the names that tracing gives them");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match log.format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
