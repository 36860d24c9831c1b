//! The file of a capture: there when packets come, and not before.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use crate::error::CliError;

/// A file that is removed again unless it is kept.
pub(super) struct CaptureFile {
    path: PathBuf,
    /// Where it is written: beside one that it takes the place of.
    written: PathBuf,
    kept: bool,
}

impl CaptureFile {
    /// A file for its owner alone: it holds what hosts say to each other. One that exists is replaced with `overwrite`,
    /// when the new one is kept: by a file of its own, since modes and readers of the other are not ours.
    pub(super) fn create(path: &Path, overwrite: bool) -> Result<(Self, File), CliError> {
        let at = |source: io::Error| CliError::File { path: path.to_owned(), source };
        let written = match fs::symlink_metadata(path) {
            Ok(_) if !overwrite => {
                let reason = "exists already; --overwrite replaces it";
                return Err(at(io::Error::new(io::ErrorKind::AlreadyExists, reason)));
            }
            Ok(metadata) if !metadata.is_file() => return Err(at(io::Error::other("not a regular file"))),
            Ok(_) => {
                let mut name = path.as_os_str().to_owned();
                name.push(format!(".{}.part", process::id()));
                name.into()
            }
            Err(_) => path.to_owned(),
        };
        let file = OpenOptions::new().write(true).mode(0o600).create_new(true).open(&written).map_err(at)?;
        Ok((Self { path: path.to_owned(), written, kept: false }, file))
    }

    /// Puts it in its place.
    pub(super) fn keep(&mut self) -> Result<(), CliError> {
        if self.written != self.path {
            fs::rename(&self.written, &self.path)
                .map_err(|source| CliError::File { path: self.path.clone(), source })?;
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        if !self.kept {
            // Whoever removed it first did the same.
            drop(fs::remove_file(&self.written));
        }
    }
}
