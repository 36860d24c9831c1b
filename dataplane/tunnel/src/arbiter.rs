//! Which of several connections to a peer stays.
//!
//! Both ends may dial, links may die silently and nodes restart, so two connections can claim the
//! same place. Both ends apply the same rule to the same facts and reach the same answer.

use std::collections::HashMap;

/// A connection, unique within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the hello of a connection says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The peer process' random instance id.
    pub instance: [u8; 16],
    /// Index of the connection among those between the two nodes.
    pub index: u8,
    /// Whether the node with the lexically smaller name dialled it.
    pub dialled_by_smaller: bool,
}

/// What happens to a connection whose hello arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays; the listed ones have lost their place and must be closed.
    Keep {
        /// Connections to close, with the reason `duplicate`.
        close: Vec<ConnectionId>,
    },
    /// It must be closed: a better one has its place.
    Refuse,
}

#[derive(Debug, Default)]
struct Peer {
    instance: Option<[u8; 16]>,
    connections: HashMap<u8, (ConnectionId, bool)>,
}

/// The connections that are up, by peer and index.
#[derive(Debug, Default)]
pub struct Arbiter {
    peers: HashMap<String, Peer>,
}

impl Arbiter {
    /// Judges a connection to `peer` whose hello was accepted.
    pub fn claim(&mut self, peer: &str, id: ConnectionId, claim: Claim) -> Verdict {
        let entry = self.peers.entry(peer.to_owned()).or_default();
        let mut close = Vec::new();
        if entry.instance != Some(claim.instance) {
            // The peer restarted: whatever its former process held is dead, known or not.
            close.extend(entry.connections.drain().map(|(_, (old, _))| old));
            entry.instance = Some(claim.instance);
        }
        match entry.connections.get(&claim.index) {
            Some(&(_, old_by_smaller)) if old_by_smaller && !claim.dialled_by_smaller => {
                return Verdict::Refuse;
            }
            // Same dialler, so the newer one: it dials again only when it has given the old one up.
            Some(&(old, _)) => close.push(old),
            None => {}
        }
        entry.connections.insert(claim.index, (id, claim.dialled_by_smaller));
        Verdict::Keep { close }
    }

    /// Forgets a connection that has ended.
    pub fn forget(&mut self, peer: &str, id: ConnectionId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.connections.retain(|_, (held, _)| *held != id);
            if entry.connections.is_empty() {
                self.peers.remove(peer);
            }
        }
    }

    /// Whether the connection `id` has a place of `peer`.
    #[must_use]
    pub fn has(&self, peer: &str, id: ConnectionId) -> bool {
        let has = |entry: &Peer| entry.connections.values().any(|(held, _)| *held == id);
        self.peers.get(peer).is_some_and(has)
    }

    /// Connections that `peer` holds.
    #[must_use]
    pub fn count(&self, peer: &str) -> usize {
        self.peers.get(peer).map_or(0, |entry| entry.connections.len())
    }

    /// Whether the place `index` of `peer` is taken, so that dialling it is pointless.
    #[must_use]
    pub fn holds(&self, peer: &str, index: u8) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.connections.contains_key(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(instance: u8, index: u8, dialled_by_smaller: bool) -> Claim {
        Claim { instance: [instance; 16], index, dialled_by_smaller }
    }

    fn keep(close: &[u64]) -> Verdict {
        Verdict::Keep { close: close.iter().copied().map(ConnectionId).collect() }
    }

    #[test]
    fn the_smaller_names_connection_stays_whichever_comes_first() {
        let mut first = Arbiter::default();
        assert_eq!(first.claim("b", ConnectionId(1), claim(7, 0, true)), keep(&[]));
        assert_eq!(first.claim("b", ConnectionId(2), claim(7, 0, false)), Verdict::Refuse);
        let mut second = Arbiter::default();
        assert_eq!(second.claim("b", ConnectionId(2), claim(7, 0, false)), keep(&[]));
        assert_eq!(second.claim("b", ConnectionId(1), claim(7, 0, true)), keep(&[2]));
    }

    #[test]
    fn a_new_instance_replaces_every_connection_of_the_old_one() {
        let mut arbiter = Arbiter::default();
        arbiter.claim("b", ConnectionId(1), claim(7, 0, true));
        arbiter.claim("b", ConnectionId(2), claim(7, 1, true));
        let Verdict::Keep { mut close } = arbiter.claim("b", ConnectionId(3), claim(8, 1, false)) else {
            panic!("a restarted peer must be kept");
        };
        close.sort();
        assert_eq!(close, [ConnectionId(1), ConnectionId(2)]);
        assert!(!arbiter.holds("b", 0));
        assert!(arbiter.holds("b", 1));
    }

    #[test]
    fn a_redial_replaces_the_half_dead_connection() {
        let mut arbiter = Arbiter::default();
        arbiter.claim("b", ConnectionId(1), claim(7, 0, false));
        assert_eq!(arbiter.claim("b", ConnectionId(2), claim(7, 0, false)), keep(&[1]));
        arbiter.forget("b", ConnectionId(1));
        assert!(arbiter.holds("b", 0), "forgetting the old one must not free the new one's place");
        arbiter.forget("b", ConnectionId(2));
        assert!(!arbiter.holds("b", 0));
    }
}
