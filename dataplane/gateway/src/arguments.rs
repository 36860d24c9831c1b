//! Arguments of the program.
//!
//! Compiled into the packaging as well, which makes the manual page of them: nothing but clap and the standard
//! library is used here.

use std::path::PathBuf;

use clap::Parser;

/// The data plane of a Gridway node. Runs in the foreground and logs to standard error. SIGHUP
/// reloads the configuration, SIGTERM ends cleanly.
#[derive(Parser, Debug)]
#[command(name = "gridway-dataplane", version, about)]
pub(crate) struct Arguments {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}
