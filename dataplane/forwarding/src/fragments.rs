//! Datagrams in fragments: the later ones follow the first, which has the ports.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use gridway_wire::packet::Packet;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::{FlowId, Key, Side};
use crate::ids::VnetId;
use crate::reason::DropReason;
use crate::refusal::Refusal;
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
    Refused(Refusal),
}

#[derive(Debug)]
struct Datagram {
    serial: u64,
    state: State,
}

/// A place in the order in which datagrams are forgotten; void once the datagram has another serial number.
#[derive(Clone, Copy, Debug)]
struct Turn {
    since: Nanos,
    serial: u64,
    key: DatagramKey,
}

/// What is known of a later fragment's datagram.
pub(crate) enum Later {
    Follows(Onward),
    /// The fragment was copied.
    Held,
    Dropped(Refusal),
}

/// All datagrams that are followed, shared by the workers.
///
/// One half of the room is for those that wait for their first fragment: it is refused to others when it is full.
/// In the other half the oldest datagram gives way to the newest: most have passed by then.
#[derive(Debug)]
pub struct Fragments {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    datagrams: HashMap<DatagramKey, Datagram, RandomState>,
    serial: u64,
    /// Those whose first fragment has come.
    known: VecDeque<Turn>,
    /// Those whose first fragment has not.
    waiting: VecDeque<Turn>,
    /// How many of them still wait.
    waiting_count: usize,
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
        outcome: Result<Onward, Refusal>,
        now: Nanos,
    ) -> Vec<Vec<u8>> {
        let state = match outcome {
            Ok(onward) => State::Known(onward),
            Err(refusal) => State::Refused(refusal),
        };
        let mut inner = self.lock();
        let waited = inner.take(key);
        while inner.known.len() >= self.limit - self.waiting_limit() {
            let Some(oldest) = inner.known.pop_front() else { break };
            if inner.is_due(&oldest) {
                inner.datagrams.remove(&oldest.key);
            }
        }
        let turn = inner.follow(key, state, now);
        inner.known.push_back(turn);
        waited
    }

    fn waiting_limit(&self) -> usize {
        self.limit / 2
    }

    /// Whether the first fragment has come.
    pub(crate) fn has_first(&self, key: &DatagramKey) -> bool {
        let inner = self.lock();
        inner.datagrams.get(key).is_some_and(|datagram| !matches!(datagram.state, State::Waiting { .. }))
    }

    /// What becomes of a later fragment.
    pub(crate) fn later(&self, key: &DatagramKey, side: Side, bytes: &[u8], now: Nanos) -> Later {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let room = inner.held < self.limit;
        match inner.datagrams.get_mut(key).map(|datagram| &mut datagram.state) {
            Some(State::Known(onward)) => return Later::Follows(*onward),
            Some(State::Refused(refusal)) => return Later::Dropped(*refusal),
            Some(State::Waiting { held, .. }) if room && held.len() < HELD_EACH => held.push(bytes.to_vec()),
            Some(State::Waiting { .. }) => return Later::Dropped(DropReason::FragmentLimit.into()),
            None if !room || inner.waiting_count >= self.waiting_limit() => {
                return Later::Dropped(DropReason::FragmentLimit.into());
            }
            None => {
                let turn = inner.follow(key, State::Waiting { side, held: vec![bytes.to_vec()] }, now);
                inner.waiting_count += 1;
                inner.waiting.push_back(turn);
                if inner.waiting.len() > 2 * self.limit {
                    // Most of them wait no more.
                    let datagrams = &inner.datagrams;
                    inner.waiting.retain(|turn| is_due(datagrams, turn));
                }
            }
        }
        inner.held += 1;
        Later::Held
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
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut lost = [0; 2];
        while let Some(turn) = inner.known.pop_front_if(|turn| is_over(turn.since)) {
            if inner.is_due(&turn) {
                inner.datagrams.remove(&turn.key);
            }
        }
        while let Some(turn) = inner.waiting.pop_front_if(|turn| is_over(turn.since)) {
            if inner.is_due(&turn)
                && let Some(Datagram { state: State::Waiting { side, .. }, .. }) =
                    inner.datagrams.get(&turn.key)
            {
                let side = *side;
                lost[side as usize] += inner.take(&turn.key).len() as u64;
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
    fn follow(&mut self, key: &DatagramKey, state: State, since: Nanos) -> Turn {
        self.serial += 1;
        let serial = self.serial;
        self.datagrams.insert(*key, Datagram { serial, state });
        Turn { since, serial, key: *key }
    }

    /// Forgets a datagram. Gives the fragments that waited.
    fn take(&mut self, key: &DatagramKey) -> Vec<Vec<u8>> {
        match self.datagrams.remove(key) {
            Some(Datagram { state: State::Waiting { held, .. }, .. }) => {
                self.held -= held.len();
                self.waiting_count -= 1;
                held
            }
            _ => Vec::new(),
        }
    }

    fn is_due(&self, turn: &Turn) -> bool {
        is_due(&self.datagrams, turn)
    }
}

fn is_due(datagrams: &HashMap<DatagramKey, Datagram, RandomState>, turn: &Turn) -> bool {
    datagrams.get(&turn.key).is_some_and(|datagram| datagram.serial == turn.serial)
}
