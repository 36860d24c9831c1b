//! Echo requests that an operator has this node send into a virtual network.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gridway_wire::icmp::{MAX_ECHO_REQUEST_LEN, QuotedPacket, echo_sequence, write_echo_request};
use gridway_wire::packet::{Packet, Transport};
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::ids::VnetId;
use crate::verdict::{Emissions, Target, Tunnel};

/// Identifiers are below those of route monitors.
const IDENTIFIERS: u16 = 49_152;
/// Operators who ping at once.
const MOST: usize = 64;
/// Requests of one of them that are waited for, and outcomes that are kept.
const OUTSTANDING: usize = 256;

/// All pings under way.
#[derive(Debug, Default)]
pub struct Pings {
    entries: Mutex<Vec<Entry>>,
    /// How many there are: packets to this node's own address are looked at only if there are any.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    identifier: u16,
    vnet: VnetId,
    source: IpAddr,
    target: IpAddr,
    /// Requests that are waited for, the oldest first.
    waiting: VecDeque<(u16, Nanos)>,
    /// What became of the others, until somebody asks.
    outcomes: VecDeque<(u16, Outcome)>,
}

/// What became of an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply came after this time.
    Replied(Duration),
    /// An ICMP error came from this address, of this type and code.
    Refused {
        /// Who says so.
        by: IpAddr,
        /// ICMP or ICMPv6 type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

impl Pings {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // Entries are complete at every step.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to ping: gives the identifier of its requests. `None`: too many do already.
    pub fn begin(&self, vnet: VnetId, source: IpAddr, target: IpAddr, seed: u16) -> Option<u16> {
        let mut entries = self.lock();
        if entries.len() >= MOST {
            return None;
        }
        let mut identifier = seed % IDENTIFIERS;
        while entries.iter().any(|entry| entry.identifier == identifier) {
            identifier = (identifier + 1) % IDENTIFIERS;
        }
        let (waiting, outcomes) = (VecDeque::new(), VecDeque::new());
        entries.push(Entry { identifier, vnet, source, target, waiting, outcomes });
        self.count.store(entries.len(), Ordering::Relaxed);
        Some(identifier)
    }

    /// Ends it.
    pub fn end(&self, identifier: u16) {
        let mut entries = self.lock();
        entries.retain(|entry| entry.identifier != identifier);
        self.count.store(entries.len(), Ordering::Relaxed);
    }

    /// What became of the request with `sequence`, once; `None`: nothing yet.
    #[must_use]
    pub fn take_outcome(&self, identifier: u16, sequence: u16) -> Option<Outcome> {
        let mut entries = self.lock();
        let outcomes = &mut entries.iter_mut().find(|entry| entry.identifier == identifier)?.outcomes;
        let place = outcomes.iter().position(|(of, _)| *of == sequence)?;
        outcomes.remove(place).map(|(_, outcome)| outcome)
    }

    /// Sends the next request, with `sequence`, to a peer.
    pub(crate) fn send(
        &self,
        identifier: u16,
        sequence: u16,
        to: Tunnel,
        emissions: &mut Emissions,
        now: Nanos,
    ) {
        let mut entries = self.lock();
        let Some(entry) = entries.iter_mut().find(|entry| entry.identifier == identifier) else { return };
        let (source, target) = (entry.source, entry.target);
        let sent = emissions.write(Target::Tunnel(to), MAX_ECHO_REQUEST_LEN, |out| {
            write_echo_request(source, target, identifier, sequence, out)
        });
        if sent {
            if entry.waiting.len() >= OUTSTANDING {
                entry.waiting.pop_front();
            }
            entry.waiting.push_back((sequence, now));
        }
    }

    /// A packet that is no echo request came to this node's own address. Whether a ping waited for it.
    pub(crate) fn handle_reply(&self, vnet: VnetId, bytes: &[u8], packet: &Packet, now: Nanos) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 || packet.transport != Transport::IcmpReply {
            return false;
        }
        let answered = echo_sequence(bytes, packet);
        let Some(answered) = answered else { return false };
        self.settle(vnet, &packet.tuple, answered, |sent| Outcome::Replied(now.since(sent)))
    }

    /// An ICMP error, in `bytes`, quotes a packet of this node's own. Whether it was a request that is waited for.
    pub(crate) fn handle_error(
        &self,
        vnet: VnetId,
        bytes: &[u8],
        packet: &Packet,
        quote: &QuotedPacket,
    ) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let quoted = bytes.get(quote.l4_offset..).and_then(<[u8]>::first_chunk::<8>);
        let Some([.., high, low]) = quoted else { return false };
        let quoted = u16::from_be_bytes([*high, *low]);
        let Some([kind, code]) = bytes.get(packet.l4_offset..).and_then(<[u8]>::first_chunk::<2>) else {
            return false;
        };
        let by = packet.tuple.source;
        let refused = |_| Outcome::Refused { by, kind: *kind, code: *code };
        self.settle(vnet, &quote.tuple.reversed(), quoted, refused)
    }

    /// Settles the request with `sequence` that a packet with this tuple answers, if it is waited for.
    fn settle(
        &self,
        vnet: VnetId,
        tuple: &FiveTuple,
        sequence: u16,
        outcome: impl FnOnce(Nanos) -> Outcome,
    ) -> bool {
        let mut entries = self.lock();
        let fits = |entry: &&mut Entry| {
            (entry.identifier, entry.vnet, entry.source, entry.target)
                == (tuple.destination_port, vnet, tuple.destination, tuple.source)
        };
        let Some(entry) = entries.iter_mut().find(fits) else { return false };
        let Some(place) = entry.waiting.iter().position(|(of, _)| *of == sequence) else { return false };
        let Some((_, sent)) = entry.waiting.remove(place) else { return false };
        if entry.outcomes.len() >= OUTSTANDING {
            entry.outcomes.pop_front();
        }
        entry.outcomes.push_back((sequence, outcome(sent)));
        true
    }
}
