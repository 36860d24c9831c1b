//! What can go wrong.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no certificate or list.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file that must not be replaced is there already.
    #[error("{}: exists already, not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The index is damaged.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Where it is damaged.
        source: serde_json::Error,
    },
    /// Nothing that could be revoked was issued to that name.
    #[error("no certificate of \"{name}\" is in force; there are: {known}")]
    NotIssued {
        /// The name.
        name: String,
        /// Names that have one.
        known: String,
    },
    /// The name has another meaning in the folder.
    #[error(
        "\"{name}\" cannot be a name here: its files would be those of the authority or of a management API"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// The certificate library refused.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl PkiError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
