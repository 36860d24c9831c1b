//! Why a command did not do what was asked, and the exit status that says so.

use std::io;
use std::path::PathBuf;

use gridway_config::ConfigErrors;
use gridway_control::ClientError;
use gridway_pki::PkiError;
use pcap_file::PcapError;
use thiserror::Error;

use crate::link::LinkError;

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
    /// No management process to ask for versions of the configuration.
    #[error(
        "the management process does not run here: there is no socket in {}. Versions of the configuration are \
         kept by gridway-mgmt; ask it with --mgmt-socket PATH or --api HOST:PORT",
        folder.display()
    )]
    NoManagementSocket {
        /// Folder that was searched.
        folder: PathBuf,
    },
    /// More than one management process.
    #[error("several management processes run here; choose one with --mgmt-socket PATH: {sockets}")]
    SeveralManagementSockets {
        /// The sockets.
        sockets: String,
    },
    /// Its socket is dead.
    #[error("the management process does not run, which keeps the versions of the configuration: {source}")]
    NoManagement {
        /// Why it was not reached.
        source: ClientError,
    },
    /// Options of the API without its address.
    #[error("--ca, --cert, --key and --api-name belong to --api HOST:PORT")]
    NoApi,
    /// The API needs three files.
    #[error("the management API needs {name} FILE, or {variable} in the environment")]
    MissingApiFile {
        /// Its option.
        name: &'static str,
        /// Its variable.
        variable: &'static str,
    },
    /// Flows are to be ended, and none was named.
    #[error("which flows? Give at least one filter, or --all")]
    NoFilter,
    /// Options that do not fit each other.
    #[error("{0}")]
    Usage(String),
    /// There is nothing that a command could have been done to.
    #[error("no flow matches")]
    NoFlow,
    /// As [`Self::NoFlow`], of sessions.
    #[error("there is no such session")]
    NoSession,
    /// As [`Self::NoFlow`], of versions of the configuration.
    #[error("{0}")]
    NoVersion(String),
    /// The node did not answer, or refused.
    #[error("{0}")]
    Node(#[from] LinkError),
    /// The node answered with something that was not asked for.
    #[error("the node answered with another kind of reply than was asked for")]
    Unexpected,
    /// Somebody else changed the configuration meanwhile.
    #[error("not applied: {0}")]
    Conflict(String),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The node found errors in a configuration.
    #[error("{0}")]
    Judged(String),
    /// The check failed for another reason than the configuration itself.
    #[error("{0}")]
    Check(String),
    /// The configuration that the node sent is not TOML.
    #[error("the node sent a configuration that is not TOML: {0}")]
    NotToml(#[from] toml::de::Error),
    /// The packet would be dropped.
    #[error("the packet would be dropped")]
    WouldDrop,
    /// No echo request was answered.
    #[error("no reply")]
    NoReply,
    /// A packet that the node sent is not hexadecimal.
    #[error("the node sent a packet that is not hexadecimal")]
    NotHexadecimal,
    /// Certificates.
    #[error("{0}")]
    Pki(#[from] PkiError),
    /// Standard output, or the terminal.
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
            | Self::SeveralManagementSockets { .. }
            | Self::NoApi
            | Self::MissingApiFile { .. }
            | Self::NoFilter
            | Self::Usage(_) => 2,
            Self::Node(error) => error.exit_status(),
            Self::NoManagementSocket { .. } | Self::NoManagement { .. } | Self::Unexpected => 3,
            Self::NotHexadecimal | Self::NotToml(_) => 3,
            Self::NoFlow | Self::NoSession | Self::NoVersion(_) | Self::Conflict(_) => 1,
            Self::File { .. } | Self::Config(_) | Self::Judged(_) | Self::Check(_) => 1,
            Self::WouldDrop | Self::NoReply | Self::Pki(_) | Self::Output(_) => 1,
        }
    }

    /// The same about the folder of management processes.
    pub(crate) fn in_management(self) -> Self {
        match self {
            Self::NoSocket { folder } => Self::NoManagementSocket { folder },
            Self::SeveralSockets { sockets } => Self::SeveralManagementSockets { sockets },
            other => other,
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl From<PcapError> for CliError {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IoError(error) => Self::Output(error),
            other => Self::Output(io::Error::other(other)),
        }
    }
}
