//! When to dial whom: every configured connection that is not up, with back-off and jitter.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use gridway_config::{Config, DialTarget};
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
    pub(crate) peer: String,
    pub(crate) index: u8,
    pub(crate) address: SocketAddr,
}

/// The answer of a resolver thread.
pub(crate) struct Resolved {
    place: (String, u8),
    result: std::io::Result<Vec<SocketAddr>>,
}

#[derive(Debug)]
struct Place {
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
    places: HashMap<(String, u8), Place>,
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
        let due = |place: &Place| match place.state {
            State::Waiting => Some(place.next.max(now + Duration::from_millis(20))),
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
        for ((peer, index), place) in &mut self.places {
            if let State::Connected(link, since) = &place.state
                && link.is_closed()
            {
                // A connection that held for a while was fine; one that ended at once was refused.
                let held = now.since(*since) > Duration::from_secs(5);
                place.failures = if held { 0 } else { place.failures + 1 };
                place.next = now + wait(place.failures);
                place.state = State::Waiting;
            }
            if matches!(place.state, State::Waiting) && place.next <= now {
                if self.node.book.holds(peer, *index) {
                    // The peer has dialled; look again later.
                    place.next = now + LOOK;
                } else {
                    due.push((peer.clone(), *index));
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
        let wanted = config
            .peers
            .iter()
            .filter(|peer| !peer.dial.is_empty())
            .flat_map(|peer| (0..peer.connections).map(|index| (peer.name.as_str().to_owned(), index)));
        let wanted: std::collections::HashSet<_> = wanted.collect();
        self.places.retain(|place, _| wanted.contains(place));
        for place in wanted {
            self.places.entry(place).or_insert(Place {
                next: now,
                failures: 0,
                state: State::Waiting,
                target: 0,
            });
        }
        self.followed = Some(config.clone());
    }

    /// Starts an attempt: at once for an address, by way of a resolver thread for a name.
    fn begin(&mut self, place: (String, u8)) {
        let config = self.node.config.load();
        let Some(peer) = config.peer(&place.0) else { return };
        let Some(state) = self.places.get_mut(&place) else { return };
        // The configuration may have changed since the place was made.
        let Some(target) = peer.dial.get(state.target % peer.dial.len().max(1)).cloned() else { return };
        state.target = state.target.wrapping_add(1);
        self.node.book.set_connecting(&place.0, true);
        if let Ok(address) = target.host.parse::<IpAddr>() {
            state.state = State::Dialling;
            let address = SocketAddr::new(address, target.port);
            self.ready.push(Attempt { peer: place.0, index: place.1, address });
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
        let Some(place) = self.places.get_mut(&answer.place) else {
            self.node.book.set_connecting(&answer.place.0, false);
            return;
        };
        let (peer, index) = answer.place;
        let first = answer.result.and_then(|addresses| {
            // Addresses of a name take turns, as targets do.
            let turn = place.failures as usize % addresses.len().max(1);
            addresses.get(turn).copied().ok_or_else(|| std::io::Error::other("the name has no address"))
        });
        match first {
            Ok(address) => {
                place.state = State::Dialling;
                self.ready.push(Attempt { peer, index, address });
            }
            Err(error) => {
                place.failures += 1;
                place.next = now + wait(place.failures);
                place.state = State::Waiting;
                self.node.book.set_connecting(&peer, false);
                self.node.book.refused(&peer, &format!("cannot resolve: {error}"), now);
            }
        }
    }

    /// The attempt has come to nothing.
    pub(crate) fn failed(&mut self, attempt: &Attempt, now: Nanos) {
        self.node.book.set_connecting(&attempt.peer, false);
        if let Some(place) = self.places.get_mut(&(attempt.peer.clone(), attempt.index)) {
            place.failures = place.failures.saturating_add(1);
            place.next = now + wait(place.failures);
            place.state = State::Waiting;
        }
    }

    /// The attempt has become a connection.
    pub(crate) fn connected(&mut self, attempt: &Attempt, link: Arc<Link>, now: Nanos) {
        self.node.book.set_connecting(&attempt.peer, false);
        if let Some(place) = self.places.get_mut(&(attempt.peer.clone(), attempt.index)) {
            place.state = State::Connected(link, now);
        }
    }
}

fn resolve(target: &DialTarget) -> std::io::Result<Vec<SocketAddr>> {
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
