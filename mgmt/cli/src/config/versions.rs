//! Versions of the configuration, which the management process keeps.

use std::path::PathBuf;

use clap::Args;
use gridway_control::{FailureKind, Reply, Request, VersionRow};

use crate::error::CliError;
use crate::link::{Link, Target};

/// Options of commands that ask the management process.
#[derive(Debug, Args)]
pub(crate) struct Management {
    /// Socket of the management process [default: the only one in /run/gridway/mgmt]
    #[arg(long, value_name = "PATH", conflicts_with = "api", help_heading = "Which node")]
    mgmt_socket: Option<PathBuf>,
}

impl Management {
    pub(super) fn connect(&self, target: &Target) -> Result<Link, CliError> {
        target.connect_management(self.mgmt_socket.as_deref())
    }
}

/// Versions, the newest first.
pub(super) fn list(link: &mut Link) -> Result<Vec<VersionRow>, CliError> {
    match link.ask(&Request::History)? {
        Reply::History(rows) => Ok(rows),
        _ => Err(CliError::Unexpected),
    }
}

/// The text of a version.
pub(super) fn text(link: &mut Link, version: u64) -> Result<String, CliError> {
    match link.ask(&Request::Version { version }) {
        Ok(Reply::Version(config)) => Ok(config.toml),
        Ok(_) => Err(CliError::Unexpected),
        Err(error) => match error.failure() {
            Some(failure) if failure.kind == FailureKind::NotFound => {
                Err(CliError::NoVersion(format!("there is no version {version}: {failure}")))
            }
            _ => Err(error.into()),
        },
    }
}
