//! Who watches packets: traces and captures that operators have under way.
//!
//! A worker looks at one flag a turn. While nobody watches, that is all it costs.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use gridway_control::{CapturePoint, PacketFilter};
use gridway_forwarding::flow::Side;
use gridway_forwarding::{DropReason, Inbound, Outbound, PeerId, Step, VnetId};
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

/// Operators who watch at once: each makes every packet a little slower.
const MOST: usize = 8;
/// Packets that wait for an operator's connection to take them.
pub(crate) const QUEUE: usize = 4096;
/// Bytes of packets that wait, of one operator.
const QUEUED_BYTES: usize = 8 << 20;

/// All that is watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    any: AtomicBool,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
    /// Held by who changes the two above.
    changing: Mutex<()>,
}

/// What one operator watches.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) wants: Wants,
    pub(crate) filter: Filter,
    seen: ArrayQueue<Seen>,
    queued_bytes: AtomicUsize,
    /// Packets that are wanted still, of `count`.
    left: AtomicU64,
    count: u64,
    missed: AtomicU64,
}

/// What is wanted of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// The steps it takes.
    Steps,
    /// Its first `snap` bytes, there.
    Bytes { at: CapturePoint, snap: usize },
}

/// Which packets are wanted, in the numbers of this process.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) from: Option<Side>,
    pub(crate) vnet: Option<VnetId>,
    pub(crate) peer: Option<PeerId>,
    pub(crate) packet: PacketFilter,
}

/// A packet that was watched.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Nanos,
    pub(crate) worker: usize,
    pub(crate) from: Side,
    pub(crate) vnet: Option<VnetId>,
    /// The peer it came from or went to.
    pub(crate) peer: Option<PeerId>,
    /// The peer it went on to, of one that was relayed.
    pub(crate) onward: Option<PeerId>,
    pub(crate) length: usize,
    pub(crate) tuple: Option<FiveTuple>,
    pub(crate) translated: Option<FiveTuple>,
    pub(crate) verdict: Verdict,
    pub(crate) steps: Vec<Step>,
    pub(crate) bytes: Vec<u8>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forwarded,
    Delivered,
    Relayed,
    Answered,
    Consumed,
    Held,
    /// This node made it.
    Originated,
    Dropped(DropReason),
}

impl From<Outbound> for Verdict {
    fn from(verdict: Outbound) -> Self {
        match verdict {
            Outbound::Tunnel { .. } => Self::Forwarded,
            Outbound::Answer { .. } => Self::Answered,
            Outbound::Held => Self::Held,
            Outbound::Drop(reason) => Self::Dropped(reason),
        }
    }
}

impl From<Inbound> for Verdict {
    fn from(verdict: Inbound) -> Self {
        match verdict {
            Inbound::Deliver { .. } => Self::Delivered,
            Inbound::Relay { .. } => Self::Relayed,
            Inbound::Answer { .. } => Self::Answered,
            Inbound::Consumed => Self::Consumed,
            Inbound::Held => Self::Held,
            Inbound::Drop(reason) => Self::Dropped(reason),
        }
    }
}

impl Verdict {
    /// The verdict as operators read it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Answered => "answered",
            Self::Consumed => "consumed",
            Self::Held => "held",
            Self::Originated => "originated",
            Self::Dropped(_) => "dropped",
        }
    }

    /// Why it was dropped.
    pub(crate) fn reason(self) -> Option<DropReason> {
        match self {
            Self::Dropped(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Filter {
    /// Whether a packet with this tuple and, on its other side, that of `other` can be meant. A side that is not known
    /// yet may be anything. What is not meant costs little: `other` is asked last.
    pub(crate) fn may_match(
        &self,
        from: Side,
        tuple: Option<&FiveTuple>,
        other: impl FnOnce() -> Option<FiveTuple>,
    ) -> bool {
        if self.from.is_some_and(|wanted| wanted != from) {
            return false;
        }
        let Some(tuple) = tuple else { return true };
        // Translation leaves the protocol as it is.
        if self.packet.proto.is_some_and(|wanted| wanted != tuple.protocol.0) {
            return false;
        }
        self.fits(tuple) || other().is_none_or(|other| self.fits(&other))
    }

    /// Whether a packet whose fate is known is meant.
    pub(crate) fn matches(&self, seen: &Seen) -> bool {
        let [came, went] =
            [&seen.tuple, &seen.translated].map(|tuple| tuple.as_ref().map(crate::flow_row::tuple));
        self.from.is_none_or(|from| from == seen.from)
            && self.vnet.is_none_or(|vnet| seen.vnet == Some(vnet))
            && self.peer.is_none_or(|peer| [seen.peer, seen.onward].contains(&Some(peer)))
            && self.packet.dropped.as_ref().is_none_or(|wanted| {
                seen.verdict
                    .reason()
                    .is_some_and(|reason| wanted == PacketFilter::ANY_REASON || wanted == reason.name())
            })
            && self.packet.matches(came.as_ref(), went.as_ref())
    }

    fn fits(&self, tuple: &FiveTuple) -> bool {
        self.packet.matches_tuple(&crate::flow_row::tuple(tuple))
    }
}

impl Watcher {
    /// Takes a packet that is meant, unless enough were taken. What finds no room is counted.
    pub(crate) fn take(&self, seen: impl FnOnce() -> Seen) {
        let claim = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_err() {
            return;
        }
        let has_room = !self.seen.is_full() && self.queued_bytes.load(Ordering::Relaxed) < QUEUED_BYTES;
        if has_room {
            let seen = seen();
            let bytes = seen.bytes.len();
            self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            if self.seen.push(seen).is_ok() {
                return;
            }
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.left.fetch_add(1, Ordering::Relaxed);
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it takes packets still.
    pub(crate) fn is_open(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Whether that many packets are all that were wanted.
    pub(crate) fn is_satisfied(&self, packets: u64) -> bool {
        packets >= self.count
    }

    /// The next packet that was taken.
    pub(crate) fn next(&self) -> Option<Seen> {
        let seen = self.seen.pop()?;
        self.queued_bytes.fetch_sub(seen.bytes.len(), Ordering::Relaxed);
        Some(seen)
    }

    /// Packets that found no room.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards an order, no state.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch; `None`: too many do already. It ends with the value.
    pub(crate) fn begin(&self, wants: Wants, filter: Filter, count: u64) -> Option<Watching<'_>> {
        let _changing = self.lock();
        let mut watchers = self.watchers.load().as_ref().clone();
        if watchers.len() >= MOST {
            return None;
        }
        let watcher = Arc::new(Watcher {
            wants,
            filter,
            seen: ArrayQueue::new(QUEUE),
            queued_bytes: AtomicUsize::new(0),
            left: AtomicU64::new(count),
            count,
            missed: AtomicU64::new(0),
        });
        watchers.push(watcher.clone());
        self.watchers.store(Arc::new(watchers));
        self.any.store(true, Ordering::Release);
        Some(Watching { watch: self, watcher })
    }

    /// What is watched, for a worker's next burst.
    pub(crate) fn look(&self, watchers: &mut Vec<Arc<Watcher>>) {
        if self.any.load(Ordering::Relaxed) {
            self.watchers.load().as_ref().clone_into(watchers);
        } else if !watchers.is_empty() {
            watchers.clear();
        }
    }
}

/// A watcher that is under way.
#[derive(Debug)]
pub(crate) struct Watching<'w> {
    watch: &'w Watch,
    pub(crate) watcher: Arc<Watcher>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let _changing = self.watch.lock();
        let mut watchers = self.watch.watchers.load().as_ref().clone();
        watchers.retain(|other| !Arc::ptr_eq(other, &self.watcher));
        self.watch.any.store(!watchers.is_empty(), Ordering::Release);
        self.watch.watchers.store(Arc::new(watchers));
    }
}

/// How often an operator's connection is given what was seen.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
