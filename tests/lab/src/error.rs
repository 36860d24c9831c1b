//! The one error type of the laboratory.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why something in the laboratory did not work. Every variant carries what a reader of a failed test needs.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A system call or a file operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with its object.
        what: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A program ran and ended with a status other than 0.
    #[error("in {namespace}: `{command}` ended with {status}\nstderr: {stderr}\nstdout: {stdout}")]
    Failed {
        /// Namespace it ran in.
        namespace: String,
        /// Program and arguments.
        command: String,
        /// Exit code or signal.
        status: ExitStatus,
        /// Last part of its standard output.
        stdout: String,
        /// Last part of its standard error.
        stderr: String,
    },

    /// A condition did not come true in time.
    #[error("{what}: not so after {after:?}\n{detail}")]
    Timeout {
        /// The condition that was waited for.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What was seen instead; may be empty.
        detail: String,
    },

    /// A program's output did not have the expected shape.
    #[error("{tool}: cannot read its output ({expected}): {output}")]
    Parse {
        /// The program.
        tool: &'static str,
        /// What was looked for.
        expected: &'static str,
        /// What it printed.
        output: String,
    },

    /// The delay relay forwarded frames later than the caller can accept.
    #[error("the delay relay was late: p99 {p99:?}, worst {max:?}, allowed {bound:?} over {frames} frames")]
    RelayLate {
        /// 99th percentile of lateness.
        p99: Duration,
        /// Worst lateness.
        max: Duration,
        /// What was allowed.
        bound: Duration,
        /// Frames forwarded in both directions.
        frames: u64,
    },

    /// A binary of this project was not found.
    #[error("`{name}` is not built; looked in {looked:?} (set GRIDWAY_BIN_DIR to its directory)")]
    MissingBinary {
        /// File name.
        name: String,
        /// Directories that were searched.
        looked: Vec<PathBuf>,
    },

    /// The books of a node or a tunnel do not balance: packets vanished or were counted twice.
    #[error(
        "books of {side}: of {received} packets {missing} have no fate (negative: too many fates)\n{entries}"
    )]
    Books {
        /// Which books.
        side: String,
        /// Packets that went in.
        received: u64,
        /// Packets that went in less all fates.
        missing: i128,
        /// The counters, as JSON.
        entries: String,
    },

    /// A node did not answer a question, or answered another one.
    #[error("control socket: {0}")]
    Control(String),

    /// The laboratory's public-key infrastructure could not be made.
    #[error("pki: {0}")]
    Pki(String),

    /// A request that this laboratory cannot fulfil.
    #[error("{0}")]
    Unsupported(String),
}

impl LabError {
    /// Wraps an [`io::Error`] (or what converts into one) with what was being done.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { what: what.into(), source: source.into() }
    }
}

/// Shorthand used throughout the crate.
pub type Result<T> = std::result::Result<T, LabError>;
