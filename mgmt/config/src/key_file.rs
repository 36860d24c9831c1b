//! The private key's file must be its owner's alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a private key's file is refused.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be looked at.
    #[error("private key {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A folder, device or the like.
    #[error("private key {}: not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Group or others may read or write the file.
    #[error("private key {}: mode {mode:04o} lets others at it, expected 0600 (chmod 600 {})", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Refuses a private key that group or others may read or write; links are followed.
///
/// # Errors
/// [`KeyFileError`], also when the file is missing.
pub fn check_private_key(path: &Path) -> Result<(), KeyFileError> {
    let path = path.to_owned();
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(source) => return Err(KeyFileError::Unreadable { path, source }),
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() {
        Err(KeyFileError::NotAFile { path })
    } else if mode & 0o066 != 0 {
        Err(KeyFileError::TooOpen { path, mode })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn refuses_a_key_that_others_may_read_or_write() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("node.key");
        fs::write(&key, "secret").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private_key(&key).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn refuses_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(check_private_key(folder.path()), Err(KeyFileError::NotAFile { .. })));
        assert!(matches!(
            check_private_key(&folder.path().join("none")),
            Err(KeyFileError::Unreadable { .. })
        ));
    }
}
