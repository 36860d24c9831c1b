//! Packets that wait for the kernel to resolve their neighbour.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use gridway_wire::time::Nanos;
use gridway_xsk::Frame;

/// How long a packet waits: the kernel gives a neighbour up after three probes, a second apart.
const PATIENCE: Duration = Duration::from_secs(3);
/// Packets that wait for one neighbour, so that one dead host cannot fill the place of all.
const PER_NEIGHBOUR: usize = 32;

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct HeldFrame {
    since: Nanos,
    pub(crate) frame: Frame,
    /// The node made it: it stands in no books.
    pub(crate) own: bool,
}

/// The waiting place of one data worker, bounded in total.
#[derive(Debug)]
pub(crate) struct Held {
    limit: usize,
    waiting: HashMap<IpAddr, Vec<HeldFrame>>,
    count: usize,
}

impl Held {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, waiting: HashMap::new(), count: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Takes a packet for `neighbour`; gives it back when there is no room.
    pub(crate) fn hold(
        &mut self,
        neighbour: IpAddr,
        frame: Frame,
        own: bool,
        since: Nanos,
    ) -> Result<(), Frame> {
        if self.count >= self.limit {
            return Err(frame);
        }
        let frames = self.waiting.entry(neighbour).or_default();
        if frames.len() >= PER_NEIGHBOUR {
            return Err(frame);
        }
        frames.push(HeldFrame { since, frame, own });
        self.count += 1;
        Ok(())
    }

    /// Takes out the packets whose neighbour `resolved` knows.
    pub(crate) fn take_resolved<T>(
        &mut self,
        resolved: impl Fn(IpAddr) -> Option<T>,
        mut send: impl FnMut(&T, HeldFrame),
    ) {
        let count = &mut self.count;
        self.waiting.retain(|neighbour, frames| {
            let Some(found) = resolved(*neighbour) else { return true };
            *count -= frames.len();
            frames.drain(..).for_each(|held| send(&found, held));
            false
        });
    }

    /// Takes out the packets that waited for too long.
    pub(crate) fn take_expired(&mut self, now: Nanos, mut give_up: impl FnMut(HeldFrame)) {
        let count = &mut self.count;
        self.waiting.retain(|_, frames| {
            for held in frames.extract_if(.., |held| now.since(held.since) >= PATIENCE) {
                *count -= 1;
                give_up(held);
            }
            !frames.is_empty()
        });
    }
}
