//! The peers of this node: who is configured, which connections are up, and why others are not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use gridway_config::Peer;
use gridway_control::Severity;
use gridway_forwarding::ids::MAX_PEERS;
use gridway_forwarding::{PeerId, Peers};
use gridway_tunnel::arbiter::Claim;
use gridway_tunnel::{Arbiter, ConnectionId, PeerHello, Verdict};
use gridway_wire::frame::ConnectionKind;
use gridway_wire::time::Nanos;

use crate::dialler::Place;
use crate::events::{Events, Kind};
use crate::link::Link;
use crate::round_trips::smoothed;

/// Connections that a peer may dial whatever is configured here.
const CONNECTIONS: u8 = 8;
/// Refusals of strangers that are remembered for operators.
const REFUSALS: usize = 32;

/// All that is known of the peers.
#[derive(Debug)]
pub(crate) struct Book {
    links: Box<[ArcSwap<Vec<Arc<Link>>>]>,
    peers: Arc<Peers>,
    events: Arc<Events>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Of connections for packets and of those for streams.
    arbiters: [Arbiter; 2],
    entries: HashMap<String, Entry>,
    refusals: VecDeque<Refusal>,
    next_connection: u64,
}

/// A configured peer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: PeerId,
    pub(crate) config: Peer,
    /// Why it is not up, or why it last went down.
    pub(crate) reason: Option<String>,
    pub(crate) since: Nanos,
    pub(crate) connecting: u32,
    /// Smoothed.
    pub(crate) round_trip: Option<Duration>,
    pub(crate) instance: Option<[u8; 16]>,
    pub(crate) address: Option<String>,
    /// Connections whose handshake is complete and whose hello has not come.
    unclaimed: Vec<ConnectionId>,
    /// Packets and bytes sent, then received, on connections that have ended.
    pub(crate) past: [u64; 4],
}

/// A connection that was refused and belongs to no configured peer.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Who it claimed to be, or where it came from.
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) at: Nanos,
    pub(crate) count: u64,
}

impl Book {
    pub(crate) fn new(peers: Arc<Peers>, events: Arc<Events>) -> Self {
        let none: Arc<Vec<Arc<Link>>> = Arc::default();
        let links = (0..MAX_PEERS).map(|_| ArcSwap::new(none.clone())).collect();
        Self { links, peers, events, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every update is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the configured peers; returns the ids of those that are gone.
    pub(crate) fn configure(&self, configured: Vec<(PeerId, Peer)>, now: Nanos) -> Vec<PeerId> {
        let mut inner = self.lock();
        let mut old = std::mem::take(&mut inner.entries);
        for (id, config) in configured {
            let mut entry = old.remove(config.name.as_str()).unwrap_or_else(|| Entry {
                id,
                config: config.clone(),
                reason: None,
                since: now,
                connecting: 0,
                round_trip: None,
                instance: None,
                address: None,
                unclaimed: Vec::new(),
                past: [0; 4],
            });
            entry.config = config;
            inner.entries.insert(entry.config.name.as_str().to_owned(), entry);
        }
        old.into_values().map(|entry| entry.id).collect()
    }

    /// The configured peer of that name.
    pub(crate) fn find(&self, name: &str) -> Option<(PeerId, Peer)> {
        self.lock().entries.get(name).map(|entry| (entry.id, entry.config.clone()))
    }

    /// All configured peers, by name.
    pub(crate) fn entries(&self) -> Vec<(String, Entry)> {
        let mut entries: Vec<_> =
            self.lock().entries.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    /// Strangers that were refused lately.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.lock().refusals.iter().cloned().collect()
    }

    /// Connections of a peer that are up.
    pub(crate) fn links(&self, peer: PeerId) -> Arc<Vec<Arc<Link>>> {
        self.links[peer.index()].load_full()
    }

    /// A number for a new connection of `peer`. `None`: it is not configured, or has too many already that have not
    /// said hello.
    pub(crate) fn admit(&self, peer: &str) -> Option<ConnectionId> {
        let mut inner = self.lock();
        let Inner { entries, next_connection, .. } = &mut *inner;
        let Entry { config, unclaimed, .. } = entries.get_mut(peer)?;
        // Twice as many as it may hold: it may begin all anew before the old ones are given up.
        if unclaimed.len() >= 2 * usize::from(config.connections.max(CONNECTIONS)) {
            return None;
        }
        *next_connection += 1;
        let id = ConnectionId(*next_connection);
        unclaimed.push(id);
        Some(id)
    }

    /// Whether a connection is up, so that dialling it is pointless.
    pub(crate) fn holds(&self, place: &Place) -> bool {
        self.lock().arbiters[place.kind as usize].holds(&place.peer, place.index)
    }

    /// Whether a connection that was up has its place still.
    pub(crate) fn has(&self, peer: &str, kind: ConnectionKind, id: ConnectionId) -> bool {
        self.lock().arbiters[kind as usize].has(peer, id)
    }

    /// Connections for streams with `peer` that are up.
    pub(crate) fn stream_connections(&self, peer: &str) -> usize {
        self.lock().arbiters[ConnectionKind::Streams as usize].count(peer)
    }

    /// A dial attempt begins or ends.
    pub(crate) fn set_connecting(&self, peer: &str, begins: bool) {
        if let Some(entry) = self.lock().entries.get_mut(peer) {
            entry.connecting = if begins { entry.connecting + 1 } else { entry.connecting.saturating_sub(1) };
        }
    }

    /// Judges a connection whose hello fits its certificate; when it stays it is up from now on.
    pub(crate) fn claim(
        &self,
        peer: &str,
        hello: &PeerHello,
        claim: Claim,
        address: &str,
        link: &Arc<Link>,
        now: Nanos,
    ) -> Option<Verdict> {
        let mut inner = self.lock();
        let Inner { arbiters, entries, .. } = &mut *inner;
        let entry = entries.get_mut(peer)?;
        entry.unclaimed.retain(|id| *id != link.id);
        // The ends may differ in how many connections they mean to have, within reason.
        if claim.index >= entry.config.connections.max(CONNECTIONS) {
            return Some(Verdict::Refuse);
        }
        let verdict = arbiters[hello.kind as usize].claim(peer, link.id, claim);
        if let (ConnectionKind::Packets, Verdict::Keep { close }) = (hello.kind, &verdict) {
            let slot = &self.links[entry.id.index()];
            let mut links = slot.load().as_ref().clone();
            links.retain(|other| !close.contains(&other.id));
            let was_down = links.is_empty();
            let down_for = now.since(entry.since);
            if was_down {
                entry.since = now;
            }
            links.push(link.clone());
            links.sort_by_key(|link| link.id);
            slot.store(links.into());
            entry.reason = None;
            entry.instance = Some(claim.instance);
            entry.address = Some(address.to_owned());
            self.peers.set_mtu(entry.id, hello.data_mtu);
            self.peers.set_up(entry.id, true);
            self.peers.start_epoch();
            // The log may be slow: nobody waits for the book meanwhile.
            drop(inner);
            if was_down {
                let message = format!("tunnel up, with {address}; it was down for {}", shown(down_for));
                self.events.record(Severity::Info, Kind::TunnelUp, peer, message);
            }
        }
        Some(verdict)
    }

    /// A connection has ended for `reason`, which is so bad if it was the last one.
    pub(crate) fn ended(
        &self,
        (peer, kind): (&str, ConnectionKind),
        link: &Arc<Link>,
        (severity, reason): (Severity, &str),
        now: Nanos,
    ) {
        link.mark_closed();
        let mut inner = self.lock();
        inner.arbiters[kind as usize].forget(peer, link.id);
        if kind == ConnectionKind::Streams {
            if let Some(entry) = inner.entries.get_mut(peer) {
                entry.unclaimed.retain(|id| *id != link.id);
            }
            return;
        }
        let slot = &self.links[link.peer.index()];
        let mut links = slot.load().as_ref().clone();
        let before = links.len();
        links.retain(|other| other.id != link.id);
        let was_up = before != links.len();
        let last = links.is_empty();
        slot.store(links.into());
        let mut up_for = None;
        if let Some(entry) = inner.entries.get_mut(peer) {
            entry.unclaimed.retain(|id| *id != link.id);
            let traffic = &link.traffic;
            let counters = [&traffic.tx_packets, &traffic.tx_bytes, &traffic.rx_packets, &traffic.rx_bytes];
            for (sum, counter) in entry.past.iter_mut().zip(counters) {
                *sum += counter.get();
            }
            if last {
                entry.reason = Some(reason.to_owned());
                entry.round_trip = None;
                if was_up {
                    up_for = Some(now.since(std::mem::replace(&mut entry.since, now)));
                }
            }
        }
        if was_up && last {
            self.peers.set_up(link.peer, false);
        }
        self.peers.start_epoch();
        drop(inner);
        if was_up && last {
            let up_for = up_for.map_or_else(String::new, |time| format!("; it was up for {}", shown(time)));
            self.events.record(severity, Kind::TunnelDown, peer, format!("tunnel down: {reason}{up_for}"));
        }
    }

    /// Records why `peer`, which is not up, cannot be reached or was refused. A name that is not
    /// configured goes to the list of strangers. `at` is where it came from or was looked for.
    pub(crate) fn refused(&self, (peer, at): (&str, Option<&str>), reason: &str, now: Nanos) {
        let configured = self.note_refusal(peer, reason, now);
        let kind = if configured { Kind::TunnelRefused } else { Kind::StrangerRefused };
        let with = at.map_or_else(String::new, |at| format!(" with {at}"));
        self.events.record(Severity::Warning, kind, peer, format!("no connection{with}: {reason}"));
    }

    /// Returns whether the peer is configured.
    fn note_refusal(&self, peer: &str, reason: &str, now: Nanos) -> bool {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(peer) {
            if self.links[entry.id.index()].load().is_empty() {
                entry.reason = Some(reason.to_owned());
            }
            return true;
        }
        let refusals = &mut inner.refusals;
        if let Some(known) = refusals.iter_mut().find(|known| known.name == peer && known.reason == reason) {
            known.at = now;
            known.count += 1;
            return false;
        }
        if refusals.len() >= REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(Refusal { name: peer.to_owned(), reason: reason.to_owned(), at: now, count: 1 });
        false
    }

    /// A ping was answered.
    pub(crate) fn round_trip(&self, peer: &str, time: Duration) {
        if let Some(entry) = self.lock().entries.get_mut(peer) {
            entry.round_trip = Some(smoothed(entry.round_trip, time));
        }
    }
}

/// A time in words.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const NOW: Nanos = Nanos(1);

    fn book() -> Book {
        let book = Book::new(Arc::default(), Arc::new(Events::new(Clock::start(), [0; 16])));
        let peer = Peer { name: "gw-b".parse().expect("a name"), dial: Vec::new(), connections: 1 };
        assert!(book.configure(vec![(PeerId(0), peer)], NOW).is_empty());
        book
    }

    #[test]
    fn connections_without_a_hello_are_bounded() {
        let book = book();
        let admitted: Vec<_> = (0..16).map(|_| book.admit("gw-b").expect("there is room")).collect();
        assert_eq!(book.admit("gw-b"), None);
        assert_eq!(book.admit("gw-z"), None, "nobody knows it");
        let link = |id| Arc::new(Link::new(id, PeerId(0), 0, 0, 1));
        let claim = Claim { instance: [0; 16], index: 0, dialled_by_smaller: true };
        let hello = PeerHello {
            node: "gw-b".to_owned(),
            instance: [0; 16],
            index: 0,
            kind: ConnectionKind::Packets,
            data_mtu: 1500,
        };
        book.claim("gw-b", &hello, claim, "", &link(admitted[0]), NOW);
        book.ended(("gw-b", ConnectionKind::Packets), &link(admitted[1]), (Severity::Error, "no hello"), NOW);
        assert!(book.admit("gw-b").is_some(), "one said hello");
        assert!(book.admit("gw-b").is_some(), "one ended");
        assert_eq!(book.admit("gw-b"), None);
    }
}
