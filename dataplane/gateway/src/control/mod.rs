//! The control socket: what operators ask a running node.

mod answers;
mod attend;
mod follow;
mod pings;
mod simulate;
mod steps;

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gridway_control::{Failure, FailureKind, Reply};

use self::attend::ConfigRoom;
use crate::node::Node;
pub(crate) use answers::{limits, peer_names};

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
