//! Datagrams in fragments: the later ones follow the first, which has the ports.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use gridway_wire::packet::{Packet, Part};
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::{FlowId, Key, Side};
use crate::ids::VnetId;
use crate::reason::DropReason;
use crate::verdict::Target;

/// How long a datagram is followed, and its early fragments wait (RFC 791, 3.2: at least 15 s).
const PATIENCE: Duration = Duration::from_secs(15);
/// Fragments of one datagram that wait for the first.
const HELD_EACH: usize = 16;

/// What tells datagrams apart (RFC 791, RFC 8200 4.5), in the space that they arrive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DatagramKey {
    key: Key,
    identification: u32,
}

impl DatagramKey {
    pub(crate) fn local(packet: &Packet) -> Self {
        Self { key: Key::local(&without_ports(packet)), identification: packet.identification }
    }

    pub(crate) fn overlay(vnet: VnetId, packet: &Packet) -> Self {
        Self { key: Key::overlay(vnet, &without_ports(packet)), identification: packet.identification }
    }

    /// Whether the datagram is a local host's.
    pub(crate) fn is_local(&self) -> bool {
        self.key.is_local()
    }
}

fn without_ports(packet: &Packet) -> FiveTuple {
    FiveTuple { source_port: 0, destination_port: 0, ..packet.tuple }
}

/// Where a packet goes after its translation, and the datagram's other fragments with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Onward {
    pub(crate) flow: Option<FlowId>,
    /// The side of the flow that the datagram is of.
    pub(crate) side: Side,
    pub(crate) to: Target,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Largest packet that fits there, in bytes.
    pub(crate) mtu: usize,
    /// From there it goes back to the overlay.
    pub(crate) hairpin: bool,
}

impl Onward {
    /// A packet that was turned into an answer, from `source` to the local host that asked.
    pub(crate) fn answer(destination: IpAddr, source: IpAddr) -> Self {
        Self {
            flow: None,
            side: Side::Local,
            to: Target::Local(destination),
            source,
            destination,
            mtu: usize::MAX,
            hairpin: false,
        }
    }
}

#[derive(Debug)]
enum State {
    /// The first fragment has not come yet.
    Waiting {
        side: Side,
        held: Vec<Vec<u8>>,
    },
    Known(Onward),
    Refused(DropReason),
}

#[derive(Debug)]
struct Datagram {
    state: State,
    since: Nanos,
    /// Bytes that have come, and how many there are in all once the last fragment has.
    seen: usize,
    total: Option<usize>,
}

impl Datagram {
    /// Counts a fragment. Gives whether all have come: nothing more is to be expected then.
    fn count(&mut self, part: Part) -> bool {
        self.seen += usize::from(part.len);
        if part.last {
            self.total = Some(usize::from(part.start) + usize::from(part.len));
        }
        self.total.is_some_and(|total| self.seen >= total)
    }
}

/// What is known of a later fragment's datagram.
pub(crate) enum Later {
    Follows(Onward),
    /// The fragment was copied.
    Held,
    Dropped(DropReason),
}

/// All datagrams that are followed, shared by the workers.
#[derive(Debug)]
pub struct Fragments {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    datagrams: HashMap<DatagramKey, Datagram, RandomState>,
    /// In the order in which they time out.
    order: VecDeque<(Nanos, DatagramKey)>,
    held: usize,
}

impl Fragments {
    /// Follows up to `limit` datagrams at once, and holds up to as many fragments.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code panics between two updates that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what became of the first fragment. Gives the fragments that waited for it, in their order.
    pub(crate) fn first(
        &self,
        key: &DatagramKey,
        part: Part,
        outcome: Result<Onward, DropReason>,
        now: Nanos,
    ) -> Vec<Vec<u8>> {
        let state = match outcome {
            Ok(onward) => State::Known(onward),
            Err(reason) => State::Refused(reason),
        };
        let mut guard = self.lock();
        let inner = &mut *guard;
        let Some(datagram) = inner.datagrams.get_mut(key) else {
            // Beyond the limit the later fragments are refused, counted.
            inner.follow(key, part, state, self.limit, now);
            return Vec::new();
        };
        let held = match std::mem::replace(&mut datagram.state, state) {
            State::Waiting { held, .. } => held,
            State::Known(_) | State::Refused(_) => {
                // The same identification again: another datagram, or the same fragment twice.
                (datagram.seen, datagram.total) = (0, None);
                Vec::new()
            }
        };
        inner.held -= held.len();
        if datagram.count(part) {
            inner.datagrams.remove(key);
        }
        held
    }

    /// Whether the first fragment has come.
    pub(crate) fn has_first(&self, key: &DatagramKey) -> bool {
        let inner = self.lock();
        inner.datagrams.get(key).is_some_and(|datagram| !matches!(datagram.state, State::Waiting { .. }))
    }

    /// What becomes of a later fragment.
    pub(crate) fn later(
        &self,
        key: &DatagramKey,
        part: Part,
        side: Side,
        bytes: &[u8],
        now: Nanos,
    ) -> Later {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let room = inner.held < self.limit;
        let Some(datagram) = inner.datagrams.get_mut(key) else {
            let state = State::Waiting { side, held: vec![bytes.to_vec()] };
            if !room || !inner.follow(key, part, state, self.limit, now) {
                return Later::Dropped(DropReason::FragmentLimit);
            }
            inner.held += 1;
            return Later::Held;
        };
        let known = match &mut datagram.state {
            State::Known(onward) => Later::Follows(*onward),
            State::Refused(reason) => Later::Dropped(*reason),
            State::Waiting { held, .. } if room && held.len() < HELD_EACH => {
                held.push(bytes.to_vec());
                datagram.count(part);
                inner.held += 1;
                return Later::Held;
            }
            State::Waiting { .. } => return Later::Dropped(DropReason::FragmentLimit),
        };
        if datagram.count(part) {
            inner.datagrams.remove(key);
        }
        known
    }

    /// Forgets datagrams whose time is up. Gives how many fragments from the local and from the overlay side
    /// waited in vain.
    pub fn expire(&self, now: Nanos) -> [u64; 2] {
        self.take(|since| now.since(since) >= PATIENCE)
    }

    /// Forgets all datagrams, as [`Self::expire`].
    pub fn clear(&self) -> [u64; 2] {
        self.take(|_| true)
    }

    fn take(&self, is_over: impl Fn(Nanos) -> bool) -> [u64; 2] {
        let mut inner = self.lock();
        let mut lost = [0; 2];
        while let Some((since, key)) = inner.order.front().copied()
            && is_over(since)
        {
            inner.order.pop_front();
            // It may be complete and gone, and its identification used again since.
            if inner.datagrams.get(&key).is_none_or(|datagram| datagram.since != since) {
                continue;
            }
            if let Some(Datagram { state: State::Waiting { side, held }, .. }) = inner.datagrams.remove(&key) {
                inner.held -= held.len();
                lost[side as usize] += held.len() as u64;
            }
        }
        lost
    }

    /// Datagrams that are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().datagrams.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn follow(&mut self, key: &DatagramKey, part: Part, state: State, limit: usize, now: Nanos) -> bool {
        if self.datagrams.len() >= limit {
            return false;
        }
        if self.order.len() >= 2 * limit {
            let datagrams = &self.datagrams;
            self.order.retain(|(since, key)| {
                datagrams.get(key).is_some_and(|datagram| datagram.since == *since)
            });
        }
        let mut datagram = Datagram { state, since: now, seen: 0, total: None };
        datagram.count(part);
        self.datagrams.insert(*key, datagram);
        self.order.push_back((now, *key));
        true
    }
}
