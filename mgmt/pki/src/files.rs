//! Files that are there whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::PkiError;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: certificates and lists.
    Public,
    /// The owner: keys and the index.
    Private,
}

/// What happens to a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
}

/// Writes a temporary file beside `path` and renames it, so that nobody reads half of it.
pub(crate) fn write(path: &Path, text: &str, access: Access, existing: Existing) -> Result<(), PkiError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = if access == Access::Private { 0o600 } else { 0o644 };
    let mut file = tempfile::Builder::new()
        .prefix(".gridway-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(PkiError::file(path))?;
    file.write_all(text.as_bytes()).map_err(PkiError::file(path))?;
    // The umask may have taken bits that others need to read a certificate.
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(PkiError::file(path))?;
    file.as_file().sync_all().map_err(PkiError::file(path))?;
    let persisted = match existing {
        Existing::Refuse => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    match persisted {
        Ok(_) => {}
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(PkiError::Exists { path: path.to_owned() });
        }
        Err(error) => {
            return Err(PkiError::File { path: path.to_owned(), source: error.error });
        }
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(PkiError::file(folder))
}

pub(crate) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(PkiError::file(path))
}

pub(crate) fn refuse_existing(path: &Path) -> Result<(), PkiError> {
    // `symlink_metadata`: a dangling link is something, too.
    if path.symlink_metadata().is_ok() { Err(PkiError::Exists { path: path.to_owned() }) } else { Ok(()) }
}
