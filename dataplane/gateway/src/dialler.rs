//! When to dial whom: every configured connection that is not up, with back-off and jitter.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use gridway_config::{Config, HostPort, Peer};
use gridway_wire::frame::ConnectionKind;
use gridway_wire::time::Nanos;

use crate::link::Link;
use crate::node::Node;

/// How long an attempt may take, handshake included. Short, so that a path that comes back is found
/// soon: the first SYN on a dead path is repeated after a second only.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// First wait after a failure; doubled by every further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait while the failure is recent: most outages are short.
const SOON: Duration = Duration::from_secs(1);
/// Longest wait after [`PATIENT_AFTER`] failures in a row.
const LATER: Duration = Duration::from_secs(10);
const PATIENT_AFTER: u32 = 60;
/// How soon it is noticed that a connection has ended.
const LOOK: Duration = Duration::from_millis(100);

/// One attempt to dial.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) place: Place,
    pub(crate) address: SocketAddr,
}

/// A connection that this node means to hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) peer: String,
    pub(crate) kind: ConnectionKind,
    pub(crate) index: u8,
}

/// The answer of a resolver thread.
pub(crate) struct Resolved {
    place: Place,
    result: std::io::Result<Vec<SocketAddr>>,
}

#[derive(Debug)]
struct Progress {
    next: Nanos,
    failures: u32,
    state: State,
    target: usize,
}

#[derive(Debug)]
enum State {
    Waiting,
    Resolving,
    Dialling,
    /// Handed to a worker at this time: up, or about to be.
    Connected(Arc<Link>, Nanos),
}

/// Every connection that this node dials.
pub(crate) struct Dialler {
    node: Arc<Node>,
    places: HashMap<Place, Progress>,
    answers: Receiver<Resolved>,
    answer: Sender<Resolved>,
    waker: Arc<mio::Waker>,
    ready: Vec<Attempt>,
    /// The configuration that the places were made for.
    followed: Option<Arc<Config>>,
}

impl Dialler {
    /// `waker` interrupts the poll of the thread that calls [`Self::poll`].
    pub(crate) fn new(node: Arc<Node>, waker: Arc<mio::Waker>) -> Self {
        let (answer, answers) = unbounded();
        Self { node, places: HashMap::new(), answers, answer, waker, ready: Vec::new(), followed: None }
    }

    /// The next attempt that is due.
    pub(crate) fn poll(&mut self, now: Nanos) -> Option<Attempt> {
        if self.ready.is_empty() {
            self.look(now);
        }
        self.ready.pop()
    }

    /// When [`Self::poll`] should be called at the latest.
    pub(crate) fn next_attempt(&self, now: Nanos) -> Option<Nanos> {
        let due = |progress: &Progress| match progress.state {
            State::Waiting => Some(progress.next.max(now + Duration::from_millis(20))),
            State::Connected(..) => Some(now + LOOK),
            State::Resolving | State::Dialling => None,
        };
        self.places.values().filter_map(due).min()
    }

    fn look(&mut self, now: Nanos) {
        self.follow_configuration(now);
        while let Ok(answer) = self.answers.try_recv() {
            self.take_answer(answer, now);
        }
        let mut due = Vec::new();
        for (place, progress) in &mut self.places {
            if let State::Connected(link, since) = &progress.state
                && link.is_closed()
            {
                // A connection that held for a while was fine; one that ended at once was refused.
                let held = now.since(*since) > Duration::from_secs(5);
                progress.failures = if held { 0 } else { progress.failures + 1 };
                progress.next = now + wait(progress.failures);
                progress.state = State::Waiting;
            }
            if matches!(progress.state, State::Waiting) && progress.next <= now {
                if self.node.book.holds(place) {
                    // The peer has dialled; look again later.
                    progress.next = now + LOOK;
                } else {
                    due.push(place.clone());
                }
            }
        }
        due.into_iter().for_each(|place| self.begin(place));
    }

    /// One place for each connection that the configuration wants dialled.
    fn follow_configuration(&mut self, now: Nanos) {
        let config = self.node.config.load_full();
        if self.followed.as_ref().is_some_and(|followed| Arc::ptr_eq(followed, &config)) {
            return;
        }
        let wanted = config.peers.iter().filter(|peer| !peer.dial.is_empty()).flat_map(|peer| {
            // Connections for streams only where there are any.
            let streams = config.streams_with(&peer.name).then_some(ConnectionKind::Streams);
            let kinds = [Some(ConnectionKind::Packets), streams].into_iter().flatten();
            kinds.flat_map(move |kind| {
                let place = move |index| Place { peer: peer.name.to_string(), kind, index };
                (0..connections(peer, kind)).map(place)
            })
        });
        let wanted: std::collections::HashSet<_> = wanted.collect();
        self.places.retain(|place, _| wanted.contains(place));
        for place in wanted {
            self.places.entry(place).or_insert(Progress {
                next: now,
                failures: 0,
                state: State::Waiting,
                target: 0,
            });
        }
        self.followed = Some(config.clone());
    }

    /// Starts an attempt: at once for an address, by way of a resolver thread for a name.
    fn begin(&mut self, place: Place) {
        let config = self.node.config.load();
        let Some(peer) = config.peer(&place.peer) else { return };
        let Some(state) = self.places.get_mut(&place) else { return };
        // The configuration may have changed since the place was made.
        let Some(target) = peer.dial.get(state.target % peer.dial.len().max(1)).cloned() else { return };
        state.target = state.target.wrapping_add(1);
        self.node.book.set_connecting(&place.peer, true);
        if let Ok(address) = target.host.parse::<IpAddr>() {
            state.state = State::Dialling;
            let address = SocketAddr::new(address, target.port);
            self.ready.push(Attempt { place, address });
            return;
        }
        state.state = State::Resolving;
        let (answer, waker) = (self.answer.clone(), self.waker.clone());
        let failed =
            Resolved { place: place.clone(), result: Err(std::io::Error::other("no thread to resolve it")) };
        // The system's resolver blocks, for as long as it likes.
        let spawned = std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let result = resolve(&target);
            drop(answer.send(Resolved { place, result }));
            drop(waker.wake());
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start a resolver thread");
            drop(self.answer.send(failed));
        }
    }

    fn take_answer(&mut self, answer: Resolved, now: Nanos) {
        let Resolved { place, result } = answer;
        let Some(progress) = self.places.get_mut(&place) else {
            self.node.book.set_connecting(&place.peer, false);
            return;
        };
        let first = result.and_then(|addresses| {
            // Addresses of a name take turns, as targets do.
            let turn = progress.failures as usize % addresses.len().max(1);
            addresses.get(turn).copied().ok_or_else(|| std::io::Error::other("the name has no address"))
        });
        match first {
            Ok(address) => {
                progress.state = State::Dialling;
                self.ready.push(Attempt { place, address });
            }
            Err(error) => {
                progress.failures += 1;
                progress.next = now + wait(progress.failures);
                progress.state = State::Waiting;
                self.node.book.set_connecting(&place.peer, false);
                self.node.book.refused((&place.peer, None), &format!("cannot resolve: {error}"), now);
            }
        }
    }

    /// The attempt has come to nothing.
    pub(crate) fn failed(&mut self, attempt: &Attempt, now: Nanos) {
        self.node.book.set_connecting(&attempt.place.peer, false);
        if let Some(progress) = self.places.get_mut(&attempt.place) {
            progress.failures = progress.failures.saturating_add(1);
            progress.next = now + wait(progress.failures);
            progress.state = State::Waiting;
        }
    }

    /// The attempt has become a connection.
    pub(crate) fn connected(&mut self, attempt: &Attempt, link: Arc<Link>, now: Nanos) {
        self.node.book.set_connecting(&attempt.place.peer, false);
        if let Some(progress) = self.places.get_mut(&attempt.place) {
            progress.state = State::Connected(link, now);
        }
    }
}

/// Connections of a kind that are held with a peer. For streams there are two at least: what is short need not wait behind
/// what is long.
pub(crate) fn connections(peer: &Peer, kind: ConnectionKind) -> u8 {
    match kind {
        ConnectionKind::Packets => peer.connections,
        ConnectionKind::Streams => peer.connections.max(2),
    }
}

fn resolve(target: &HostPort) -> std::io::Result<Vec<SocketAddr>> {
    Ok((target.host.as_str(), target.port).to_socket_addrs()?.collect())
}

/// The wait after `failures` failures in a row, between half and the whole of it at random, so that
/// many nodes that lost a gateway together do not come back together.
fn wait(failures: u32) -> Duration {
    let longest = if failures > PATIENT_AFTER { LATER } else { SOON };
    let wait = FIRST_WAIT.saturating_mul(1 << failures.min(8)).min(longest);
    wait.mul_f64(0.5 + 0.5 * random_fraction())
}

fn random_fraction() -> f64 {
    let mut byte = [0; 2];
    match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => f64::from(u16::from_be_bytes(byte)) / 65_536.0,
        Err(_) => 0.5,
    }
}
