//! Names of targets: resolved by the system, away from the packets, and remembered for a moment.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use gridway_config::HostPort;
use gridway_wire::time::Nanos;

use super::handle::Handle;

/// How long an answer is good for: long enough that many clients ask once.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Names of services, and names that peers choose within ranges, that are resolved at once. The system's resolver blocks,
/// for as long as it likes.
const AT_ONCE: [usize; 2] = [16, 4];

/// Called from a resolver's thread when there is an answer.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The addresses of a target, or why there are none.
pub(crate) type Addresses = Result<Vec<SocketAddr>, Arc<io::Error>>;

enum Entry {
    /// Asked for by these.
    Pending(Vec<Handle>, bool),
    Known(Addresses, Nanos),
}

/// Resolves names for one worker.
pub(crate) struct Resolver {
    entries: HashMap<HostPort, Entry>,
    /// Of services, of ranges.
    pending: [usize; 2],
    answers: Receiver<(HostPort, io::Result<Vec<SocketAddr>>)>,
    answer: Sender<(HostPort, io::Result<Vec<SocketAddr>>)>,
    wake: Wake,
}

impl Resolver {
    pub(crate) fn new(wake: Wake) -> Self {
        let (answer, answers) = unbounded();
        Self { entries: HashMap::new(), pending: [0; 2], answers, answer, wake }
    }

    /// The addresses of `target`; `None`: `asker` is told later. `by_range`: a peer has chosen it.
    pub(crate) fn resolve(
        &mut self,
        target: &HostPort,
        by_range: bool,
        asker: Handle,
        now: Nanos,
    ) -> Option<Addresses> {
        if let Ok(address) = target.host.parse::<IpAddr>() {
            return Some(Ok(vec![SocketAddr::new(address, target.port)]));
        }
        match self.entries.get_mut(target) {
            Some(Entry::Pending(askers, _)) => {
                askers.push(asker);
                return None;
            }
            Some(Entry::Known(addresses, until)) if now < *until => return Some(addresses.clone()),
            Some(Entry::Known(..)) | None => {}
        }
        if self.pending[usize::from(by_range)] >= AT_ONCE[usize::from(by_range)] {
            return Some(Err(Arc::new(io::Error::other("too many names are being resolved"))));
        }
        // What is no longer good need not be kept for the next one who asks.
        self.entries.retain(|_, entry| !matches!(entry, Entry::Known(_, until) if *until <= now));
        let (question, answer, wake) = (target.clone(), self.answer.clone(), self.wake.clone());
        let spawned = std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let found = (question.host.as_str(), question.port).to_socket_addrs();
            let found = found.map(Iterator::collect);
            // A worker that has ended does not mind.
            drop(answer.send((question, found)));
            wake();
        });
        match spawned {
            Ok(_) => {
                self.pending[usize::from(by_range)] += 1;
                self.entries.insert(target.clone(), Entry::Pending(vec![asker], by_range));
                None
            }
            Err(error) => Some(Err(Arc::new(error))),
        }
    }

    /// Whether there is an answer.
    pub(crate) fn has_news(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The next answer, and who has asked for it.
    pub(crate) fn poll(&mut self, now: Nanos) -> Option<(Vec<Handle>, Addresses)> {
        let (target, found) = self.answers.try_recv().ok()?;
        let addresses = match found {
            Ok(addresses) if addresses.is_empty() => Err(io::Error::other("the name has no address")),
            found => found,
        };
        let addresses = addresses.map_err(Arc::new);
        let known = Entry::Known(addresses.clone(), now + REMEMBERED);
        match self.entries.insert(target, known) {
            Some(Entry::Pending(askers, by_range)) => {
                self.pending[usize::from(by_range)] -= 1;
                Some((askers, addresses))
            }
            Some(Entry::Known(..)) | None => Some((Vec::new(), addresses)),
        }
    }
}
