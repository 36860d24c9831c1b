//! Connections of the tunnels: their workers are asked.

use std::time::{Duration, Instant};

use gridway_control::{ConnectionRow, Failure, FailureKind};
use gridway_wire::frame::ConnectionKind;

use crate::node::{Control, Node};
use crate::round_trips::percentiles;
use crate::worker::survey::Surveyed;

/// How long all workers together may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn connections(node: &Node) -> Result<Vec<ConnectionRow>, Failure> {
    let asked: Vec<_> = node.workers.iter().filter(|worker| worker.has_tunnels).collect();
    let (answer, answers) = crossbeam::channel::bounded(asked.len());
    asked.iter().for_each(|worker| worker.tell(Control::Survey(answer.clone())));
    let (mut found, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    for _ in &asked {
        let answered: Vec<Surveyed> = answers.recv_deadline(deadline).map_err(|_| {
            Failure::new(FailureKind::Busy, format!("a worker has not answered within {PATIENCE:?}"))
        })?;
        found.extend(answered);
    }
    found.sort_by(|a, b| (&a.peer, a.carries as u8, a.id).cmp(&(&b.peer, b.carries as u8, b.id)));
    Ok(found.into_iter().map(row).collect())
}

fn row(found: Surveyed) -> ConnectionRow {
    ConnectionRow {
        peer: found.peer,
        carries: match found.carries {
            ConnectionKind::Packets => "packets".to_owned(),
            ConnectionKind::Streams => "streams".to_owned(),
        },
        worker: u32::try_from(found.worker).unwrap_or(u32::MAX),
        age_s: found.age.as_secs(),
        round_trip: percentiles(found.round_trips),
        queued_records: found.queued as u64,
        queue_wait_us: u64::try_from(found.wait.as_micros()).unwrap_or(u64::MAX),
        tcp: found.tcp,
    }
}
