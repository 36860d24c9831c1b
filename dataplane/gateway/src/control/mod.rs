//! The control socket: what operators ask a running node.

mod answers;
mod attend;
mod follow;
mod pings;
mod simulate;
mod steps;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gridway_control::{Failure, FailureKind, Reply};

use self::attend::ConfigRoom;
use crate::node::Node;
pub(crate) use answers::{limits, peer_names};

/// Group that may talk to the node.
const GROUP: &str = "gridway";

/// Binds the socket at `path`. A dead one is replaced, a live one means another instance.
pub(crate) fn bind(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o750))?;
        std::os::unix::fs::chown(directory, None, group_id(GROUP))?;
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("another instance answers at {shown}; stop it first"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).with_context(|| format!("cannot replace the dead socket {shown}"))?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot bind {shown}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    std::os::unix::fs::chown(path, None, group_id(GROUP)).with_context(|| format!("cannot chown {shown}"))?;
    Ok(listener)
}

/// The number of a group of this machine, by name.
fn group_id(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// Serves clients until the process ends. One thread each, bounded in number.
pub(crate) fn serve(node: &Arc<Node>, listener: &UnixListener) {
    let clients = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(ConfigRoom::default());
    let limit = node.config.load().limits.control_clients as usize;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else {
            // Out of file descriptors, at worst: clients come again.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if clients.load(Ordering::Acquire) >= limit {
            let busy = Failure::new(FailureKind::Busy, format!("{limit} clients are connected already"));
            drop(attend::send(&mut stream, &Reply::Error(busy)));
            continue;
        }
        clients.fetch_add(1, Ordering::AcqRel);
        let (node, count, room) = (node.clone(), clients.clone(), room.clone());
        let spawned = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            if let Err(error) = attend::attend(&node, stream, &room) {
                tracing::debug!(%error, "control client");
            }
            count.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = spawned {
            clients.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(%error, "cannot start a thread for a control client");
        }
    }
}
