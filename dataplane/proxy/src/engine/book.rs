//! The sessions of a node, and what was counted of its connectors and services: written by workers, read by operators.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridway_config::Layer4Protocol;
use gridway_tunnel::streams::CreditPool;
use gridway_wire::time::Nanos;

use crate::Refusal;

/// Memory that the windows of streams may take beyond their first 32 KiB, all streams of a node together.
const CREDIT: u64 = 256 * 1024 * 1024;

/// Which end of a session this node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client's.
    Connector,
    /// The target's.
    Service,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionState {
    /// The target is not reached yet.
    Connecting = 0,
    /// Both ends are there.
    Open = 1,
    /// One end has finished.
    Closing = 2,
}

/// What is known of a session.
#[derive(Debug)]
pub struct SessionInfo {
    /// Unique in this process.
    pub id: u64,
    /// Worker that owns it.
    pub worker: usize,
    /// Which end this node has.
    pub side: Side,
    /// Connector's name at the client's side.
    pub connector: Option<Arc<str>>,
    /// The node at the other end of the tunnel.
    pub peer: Arc<str>,
    /// Name of the service, or `host:port`.
    pub service: Arc<str>,
    /// Protocol of connector and service.
    pub protocol: Layer4Protocol,
    /// The client, as its node sees it.
    pub client: SocketAddr,
    /// The target, where it was resolved here.
    target: Mutex<Option<SocketAddr>>,
    /// When it began.
    pub began: Nanos,
    last: AtomicU64,
    /// From the client, to the client.
    bytes: [AtomicU64; 2],
    state: AtomicU8,
}

/// Of whom the bytes are that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    FromClient = 0,
    ToClient = 1,
}

impl SessionInfo {
    /// Whether a peer has named the target itself, within its ranges.
    #[must_use]
    pub fn is_by_range(&self) -> bool {
        // No name of a service holds a colon.
        self.side == Side::Service && self.service.contains(':')
    }

    /// Bytes from the client, and to the client.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|way| self.bytes[way].load(Ordering::Relaxed))
    }

    /// When bytes last came or went.
    #[must_use]
    pub fn last(&self) -> Nanos {
        Nanos(self.last.load(Ordering::Relaxed))
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> SessionState {
        match self.state.load(Ordering::Relaxed) {
            0 => SessionState::Connecting,
            1 => SessionState::Open,
            _ => SessionState::Closing,
        }
    }

    /// The target, where this node has resolved it.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    /// The target was reached.
    pub(crate) fn opened(&self) {
        self.go_on(SessionState::Connecting, SessionState::Open);
    }

    /// One end has finished. Before the target was reached that changes nothing.
    pub(crate) fn closing(&self) {
        self.go_on(SessionState::Open, SessionState::Closing);
    }

    fn go_on(&self, from: SessionState, to: SessionState) {
        // One worker writes.
        if self.state() == from {
            self.state.store(to as u8, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self, way: Way, bytes: usize, now: Nanos) {
        // One worker writes.
        let sum = &self.bytes[way as usize];
        sum.store(sum.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
        self.last.store(now.0, Ordering::Relaxed);
    }
}

/// What a session is begun with.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) worker: usize,
    pub(crate) side: Side,
    pub(crate) connector: Option<Arc<str>>,
    pub(crate) peer: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) protocol: Layer4Protocol,
    pub(crate) client: SocketAddr,
    pub(crate) now: Nanos,
}

/// Counters of a connector or a service. They outlive a reload.
#[derive(Debug, Default)]
pub struct Tally {
    live: AtomicU64,
    begun: AtomicU64,
    opened: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    bytes: [AtomicU64; 2],
    /// Datagrams for which there was no room.
    lost: AtomicU64,
    error: Mutex<Option<String>>,
}

impl Tally {
    /// Sessions that live.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Sessions that were begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Sessions whose target was reached, of a service.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Refusals by reason, those that have happened.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        let count = |refusal: Refusal| self.refused[refusal as usize].load(Ordering::Relaxed);
        let all = Refusal::ALL.into_iter().map(|refusal| (refusal.name(), count(refusal)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Bytes from clients and to clients, of sessions that have ended.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|way| self.bytes[way].load(Ordering::Relaxed))
    }

    /// Datagrams that were dropped for want of room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why a connector does not listen.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_error(&self, error: Option<String>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn open(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counters by side and name.
type Tallies = HashMap<(Side, Arc<str>), Arc<Tally>>;

/// All sessions of a node.
#[derive(Debug)]
pub struct SessionBook {
    limit: u64,
    live: AtomicU64,
    next: AtomicU64,
    sessions: Mutex<HashMap<u64, Arc<SessionInfo>>>,
    tallies: Mutex<Tallies>,
    credit: Arc<CreditPool>,
}

impl SessionBook {
    /// A book of at most `limit` sessions at once.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            live: AtomicU64::new(0),
            next: AtomicU64::new(1),
            sessions: Mutex::default(),
            tallies: Mutex::default(),
            credit: Arc::new(CreditPool::new(CREDIT)),
        }
    }

    /// Sessions that live, and how many there may be.
    #[must_use]
    pub fn used(&self) -> (u64, u64) {
        (self.live.load(Ordering::Relaxed), self.limit)
    }

    /// All sessions, in the order in which they began.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<SessionInfo>> {
        let mut all: Vec<_> = lock(&self.sessions).values().cloned().collect();
        all.sort_by_key(|session| session.id);
        all
    }

    /// The session with this id.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<SessionInfo>> {
        lock(&self.sessions).get(&id).cloned()
    }

    /// The counters of a connector or service; those of one that was not used yet are empty.
    #[must_use]
    pub fn tally(&self, side: Side, name: &str) -> Arc<Tally> {
        lock(&self.tallies).entry((side, name.into())).or_default().clone()
    }

    /// Sessions of all connectors and services that were refused for this reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        let count = |tally: &Arc<Tally>| tally.refused[refusal as usize].load(Ordering::Relaxed);
        lock(&self.tallies).values().map(count).sum()
    }

    /// What the windows of streams are taken from.
    pub(crate) fn credit(&self) -> Arc<CreditPool> {
        self.credit.clone()
    }

    /// Begins a session. `None`: there are as many as there may be.
    pub(crate) fn begin(&self, begin: Begin, tally: &Tally) -> Option<Arc<SessionInfo>> {
        if self.live.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.live.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let Begin { worker, side, connector, peer, service, protocol, client, now } = begin;
        let info = Arc::new(SessionInfo {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            worker,
            side,
            connector,
            peer,
            service,
            protocol,
            client,
            target: Mutex::default(),
            began: now,
            last: AtomicU64::new(now.0),
            bytes: Default::default(),
            state: AtomicU8::new(SessionState::Connecting as u8),
        });
        tally.live.fetch_add(1, Ordering::Relaxed);
        tally.begun.fetch_add(1, Ordering::Relaxed);
        lock(&self.sessions).insert(info.id, info.clone());
        Some(info)
    }

    pub(crate) fn end(&self, info: &SessionInfo, tally: &Tally) {
        if lock(&self.sessions).remove(&info.id).is_some() {
            self.live.fetch_sub(1, Ordering::Relaxed);
            tally.live.fetch_sub(1, Ordering::Relaxed);
            for (sum, bytes) in tally.bytes.iter().zip(info.bytes()) {
                sum.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Forgets the counters of connectors and services that `is_wanted` does not know.
    pub fn keep(&self, is_wanted: impl Fn(Side, &str) -> bool) {
        lock(&self.tallies).retain(|(side, name), _| is_wanted(*side, name));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every update is complete before anything that could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
