//! The node's file, replaced in one step.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gridway_control::FailureKind;
use thiserror::Error;

use crate::hex::hex;

/// Why the file was not replaced. What it held is still there.
#[derive(Debug, Error)]
pub(crate) enum SaveError {
    /// Somebody else has written to it.
    #[error(
        "{} was changed since the node read it, and that change would be lost: put it back, or roll back what awaits \
         confirmation and reload it (SIGHUP)",
        file.display()
    )]
    Changed {
        /// The node's file.
        file: PathBuf,
    },
    /// The operating system's reason.
    #[error("cannot replace {}: {source}", file.display())]
    Io {
        /// The node's file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SaveError {
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Changed { .. } => FailureKind::Conflict,
            Self::Io { .. } => FailureKind::Internal,
        }
    }
}

/// What tells whether a file was written to: its inode, size, and time of change.
pub(crate) type Stamp = (u64, u64, i64, i64);

/// The file as it is now; `None`: it is not there.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Whether the file is as it was.
pub(crate) fn is_untouched(file: &Path, then: Option<Stamp>) -> bool {
    then.is_some() && stamp(file) == then
}

/// SHA-256 of a text, hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

/// Replaces `file`, which holds the text with the digest `known`, by `text`: whoever reads it, also after a crash, finds
/// one or the other, with the same owner and mode.
pub(crate) fn replace(file: &Path, known: &str, text: &str) -> Result<(), SaveError> {
    let failed = |source| SaveError::Io { file: file.to_owned(), source };
    // A link stays one: what it leads to is replaced.
    let target = std::fs::canonicalize(file).map_err(failed)?;
    let held = std::fs::read_to_string(&target).map_err(failed)?;
    if digest(&held) != known {
        return Err(SaveError::Changed { file: file.to_owned() });
    }
    if held == text {
        return Ok(());
    }
    // A name that nobody else has: what stands beside the file is an operator's.
    let beside = target.with_added_extension(format!("{:016x}", rand::random::<u64>()));
    let written = write_beside(&target, &beside, text);
    if written.is_err() {
        // What is left of it helps nobody; the error says why.
        drop(std::fs::remove_file(&beside));
    }
    written.map_err(failed)?;
    // The name is on disk when its folder is. It is in place in any case.
    let folder = target.parent().unwrap_or(Path::new("/"));
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::warn!(%error, "{} may be lost if the machine fails now", file.display());
    }
    Ok(())
}

fn write_beside(target: &Path, beside: &Path, text: &str) -> io::Result<()> {
    let old = std::fs::metadata(target)?;
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let made = new.metadata()?;
    let mut mode = old.mode() & 0o7777;
    if (made.uid(), made.gid()) != (old.uid(), old.gid())
        && let Err(error) = std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))
    {
        // Without the capability the group cannot be kept: then no other group may read it in its place.
        if error.kind() != io::ErrorKind::PermissionDenied || made.uid() != old.uid() {
            return Err(error);
        }
        mode &= !0o070;
    }
    new.set_permissions(std::fs::Permissions::from_mode(mode))?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    std::fs::rename(beside, target)
}
