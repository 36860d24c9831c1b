//! What servers need that run as programs in a namespace: a directory, files, and a sign that they listen.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{User, chown};

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::try_wait_until;

/// Whom servers without privileges run as.
pub(crate) const UNPRIVILEGED: &str = "nobody";
/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// Waits until somebody listens there, or the server has ended without.
pub(crate) fn wait_until_listening(
    process: &mut Process,
    namespace: &Namespace,
    transport: Transport,
    address: SocketAddr,
) -> Result<()> {
    let sockets = match transport {
        Transport::Tcp => "-Hltn",
        Transport::Udp => "-Hlun",
    };
    let what = format!("`{}` listens at {address}", process.line());
    let there = try_wait_until(&what, START, || {
        // Asked before looking: who has ended listens no more.
        let ended = process.status()?.is_some();
        let listens = namespace.run("ss", [sockets])?.stdout.contains(&format!("{address} "));
        Ok((listens || ended).then_some(listens))
    });
    match there {
        Ok(true) => Ok(()),
        Ok(false) => Err(LabError::Timeout { what, after: Duration::ZERO, detail: process.last_words() }),
        Err(LabError::Timeout { what, after, .. }) => {
            Err(LabError::Timeout { what, after, detail: process.last_words() })
        }
        Err(error) => Err(error),
    }
}

/// A directory of a server that others may enter: its path has no secret in it.
pub(crate) fn open_dir() -> Result<LabDir> {
    let dir = LabDir::create()?;
    set_mode(dir.path(), 0o755)?;
    Ok(dir)
}

/// A sub-directory that belongs to a user.
pub(crate) fn dir_of(user: &str, dir: &LabDir, name: &str) -> Result<PathBuf> {
    let path = dir.subdir(name)?;
    let found = User::from_name(user).map_err(LabError::io(format!("look up the user {user}")))?;
    let user = found.ok_or_else(|| LabError::Unsupported(format!("there is no user {user}")))?;
    chown(&path, Some(user.uid), Some(user.gid)).map_err(LabError::io(format!("own {}", path.display())))?;
    Ok(path)
}

/// Writes a file and returns its path.
pub(crate) fn write_file(path: PathBuf, text: impl AsRef<[u8]>) -> Result<PathBuf> {
    std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
    Ok(path)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).map_err(LabError::io(format!("open {}", path.display())))
}
