//! Why a command did not do what was asked, and the exit status that says so.

use std::io;
use std::path::PathBuf;

use gridway_config::ConfigErrors;
use gridway_control::ClientError;
use gridway_pki::PkiError;
use thiserror::Error;

/// An error of the command line.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// No socket to choose.
    #[error("no node runs here: there is no socket in {}; name one with --socket PATH", folder.display())]
    NoSocket {
        /// Folder that was searched.
        folder: PathBuf,
    },
    /// More than one socket to choose from.
    #[error("several nodes run here; choose one with --socket PATH: {sockets}")]
    SeveralSockets {
        /// The sockets.
        sockets: String,
    },
    /// More than one configuration to choose from.
    #[error("several nodes are configured here; choose one with --config FILE: {files}")]
    SeveralNodes {
        /// The configurations.
        files: String,
    },
    /// Flows are to be ended, and none was named.
    #[error("which flows? Give at least one filter, or --all")]
    NoFilter,
    /// There is nothing that a command could have been done to.
    #[error("no flow matches")]
    NoFlow,
    /// As [`Self::NoFlow`], of sessions.
    #[error("there is no such session")]
    NoSession,
    /// The node did not answer, or refused.
    #[error("{0}")]
    Node(#[from] ClientError),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The check failed for another reason than the configuration itself.
    #[error("{0}")]
    Check(String),
    /// The configuration that the node sent is not TOML.
    #[error("the node sent a configuration that is not TOML: {0}")]
    NotToml(#[from] toml::de::Error),
    /// Certificates.
    #[error("{0}")]
    Pki(#[from] PkiError),
    /// Standard output.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// 1: the answer is no; 2: usage; 3: the node cannot be reached.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::NoSocket { .. }
            | Self::SeveralSockets { .. }
            | Self::SeveralNodes { .. }
            | Self::NoFilter => 2,
            Self::Node(ClientError::Refused(_)) => 1,
            Self::Node(_) => 3,
            Self::NoFlow | Self::NoSession => 1,
            Self::Config(_) | Self::Check(_) | Self::NotToml(_) | Self::Pki(_) | Self::Output(_) => 1,
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}
