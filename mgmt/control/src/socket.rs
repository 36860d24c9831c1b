//! Unix sockets that operators may use, and nobody else.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Group that may use the sockets.
const GROUP: &str = "gridway";

/// Why a socket cannot be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another process answers at it.
    #[error("another instance answers at {}; stop it first", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The socket, or its folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Binds a listening socket at `path`, for root and the group `gridway` where there is one (mode 0660). Its folder is
/// made if it is missing (mode 0750, same group). A dead socket is replaced, a live one means another instance.
///
/// # Errors
/// [`BindError`].
pub fn bind_socket(path: &Path) -> Result<UnixListener, BindError> {
    let refused = |what, path: &Path| {
        let path = path.to_owned();
        move |source| BindError::Refused { what, path, source }
    };
    if let Some(folder) = path.parent() {
        make_folder(folder).map_err(refused("create", folder))?;
    }
    match UnixStream::connect(path) {
        Ok(_) => return Err(BindError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused("replace the dead socket", path))?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(refused("bind", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o660))
        .and_then(|()| chown(path, None, group_id(GROUP)))
        .map_err(refused("hand over", path))?;
    Ok(listener)
}

/// Makes a folder, and those above it, for root and the group.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.exists() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    DirBuilder::new().mode(0o750).create(folder)?;
    // The umask may have taken bits that the group needs.
    fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    chown(folder, None, group_id(GROUP))
}

/// The number of a group of this machine, by name.
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mgmt/node.sock");
        let listener = bind_socket(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        assert!(matches!(bind_socket(&path), Err(BindError::InUse { .. })));
        drop(listener);
        bind_socket(&path).unwrap();
    }
}
