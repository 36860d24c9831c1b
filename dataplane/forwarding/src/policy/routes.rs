//! Routes of a vnet: longest prefix, then lowest metric, then availability.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use foldhash::quality::FixedState;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;

use crate::ids::{MonitorId, PeerId};
use crate::prefix::PrefixTable;

/// One route: a peer that a prefix can be reached through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The peer.
    pub peer: PeerId,
    /// From 1 (best) to 200.
    pub metric: u8,
    /// What must pass, beside the peer being up, for the route to be available.
    pub monitor: Option<MonitorId>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To this peer.
    Peer(PeerId),
    /// Routes exist, but none is available.
    AllDown,
    /// No route contains the destination.
    NoRoute,
}

/// All routes of a vnet.
///
/// Few peers serve many prefixes, so prefixes with the same candidates share one set of them.
#[derive(Debug, Default)]
pub struct Routes {
    /// Prefixes to numbers of sets.
    table: PrefixTable<u32>,
    /// Where each set ends in `candidates`; it begins where the one before ends.
    set_ends: Vec<u32>,
    /// Set after set, each by metric.
    candidates: Vec<Candidate>,
    /// Number of routes.
    len: usize,
}

impl Routes {
    pub(super) fn new(mut list: Vec<(IpNet, Candidate)>) -> Self {
        for (prefix, _) in &mut list {
            *prefix = prefix.trunc();
        }
        list.sort_by_key(|(prefix, candidate)| (*prefix, candidate.metric));
        let mut routes = Self { len: list.len(), ..Self::default() };
        let mut known: HashMap<Vec<Candidate>, u32, RandomState> = HashMap::default();
        let mut set = Vec::new();
        let with_set = |group: &[(IpNet, Candidate)]| {
            set.clear();
            set.extend(group.iter().map(|(_, candidate)| *candidate));
            let number = match known.get(&set) {
                Some(number) => *number,
                None => {
                    let number = routes.add(&set);
                    known.insert(set.clone(), number);
                    number
                }
            };
            (group[0].0, number)
        };
        routes.table = list.chunk_by(|one, next| one.0 == next.0).map(with_set).collect();
        routes
    }

    fn add(&mut self, set: &[Candidate]) -> u32 {
        let number = self.set_ends.len();
        self.candidates.extend(set);
        self.set_ends.push(u32::try_from(self.candidates.len()).expect("memory ends before 2^32 routes"));
        number as u32
    }

    fn set(&self, number: u32) -> &[Candidate] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.set_ends[before]);
        &self.candidates[start as usize..self.set_ends[number] as usize]
    }

    /// The candidates of the prefixes that contain `address`, from the longest prefix to the shortest.
    fn containing(&self, address: IpAddr) -> impl Iterator<Item = &[Candidate]> {
        self.table.containing(address).map(|(_, set)| self.set(*set))
    }

    /// The routes that contain `address`, from the longest prefix to the shortest, each by metric.
    pub fn towards(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, &Candidate)> {
        let routes_of = move |(length, set): (u8, &u32)| {
            let prefix = IpNet::new(address, length).expect("the table has lengths of the family").trunc();
            self.set(*set).iter().map(move |candidate| (prefix, candidate))
        };
        self.table.containing(address).flat_map(routes_of)
    }

    /// Chooses the peer for `tuple`, in virtual addresses. `current` is the peer the flow has, which
    /// it keeps while that is among the best; others are spread by rendezvous hashing.
    #[must_use]
    pub fn choose(
        &self,
        tuple: &FiveTuple,
        current: Option<PeerId>,
        available: impl Fn(&Candidate) -> bool,
    ) -> Choice {
        let mut nothing = Choice::NoRoute;
        for candidates in self.containing(tuple.destination) {
            let mut best = best_of(candidates, &available).map(|candidate| candidate.peer);
            let Some(first) = best.next() else {
                nothing = Choice::AllDown;
                continue;
            };
            let Some(second) = best.next() else {
                return Choice::Peer(first);
            };
            let equals = || [first, second].into_iter().chain(best.clone());
            let kept = current.filter(|current| equals().any(|peer| peer == *current));
            let spread = || equals().max_by_key(|peer| weight(tuple, *peer));
            return Choice::Peer(kept.or_else(spread).unwrap_or(first));
        }
        nothing
    }

    /// Whether a packet with this virtual source may come from `peer` (feasible path, RFC 3704): of
    /// the prefixes that contain the source the longest must list the peer, whatever its metric or
    /// availability; a shorter one counts while no longer one has an available route.
    #[must_use]
    pub fn is_feasible(&self, source: IpAddr, peer: PeerId, available: impl Fn(&Candidate) -> bool) -> bool {
        for candidates in self.containing(source) {
            if candidates.iter().any(|candidate| candidate.peer == peer) {
                return true;
            }
            if candidates.iter().any(&available) {
                return false;
            }
        }
        false
    }

    /// Length of the longest prefix with a route that contains `address`.
    #[must_use]
    pub fn longest_prefix_len(&self, address: IpAddr) -> Option<u8> {
        self.table.longest_with_length(address).map(|(length, _)| length)
    }

    /// Number of routes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no route at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All routes: by prefix as in [`PrefixTable::iter`], then by metric, equals as configured.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, Candidate)> + '_ {
        let routes_of =
            |(prefix, set): (IpNet, &u32)| self.set(*set).iter().map(move |candidate| (prefix, *candidate));
        self.table.iter().flat_map(routes_of)
    }

    /// Whether `candidate` would be used for new flows to `prefix`.
    #[must_use]
    pub fn is_chosen(
        &self,
        prefix: IpNet,
        candidate: Candidate,
        available: impl Fn(&Candidate) -> bool,
    ) -> bool {
        let set = self.table.get(prefix).map_or(&[][..], |set| self.set(*set));
        best_of(set, &available).any(|best| *best == candidate)
    }
}

/// Available candidates of the lowest metric that has any; the candidates are sorted by metric.
fn best_of<'a>(
    candidates: &'a [Candidate],
    available: &impl Fn(&Candidate) -> bool,
) -> impl Iterator<Item = &'a Candidate> + Clone {
    let mut best = candidates.iter().filter(|candidate| available(candidate)).peekable();
    let metric = best.peek().map(|candidate| candidate.metric);
    best.take_while(move |candidate| Some(candidate.metric) == metric)
}

/// Rendezvous weight: stable across restarts, and a peer that leaves moves only its own flows.
fn weight(tuple: &FiveTuple, peer: PeerId) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    tuple.hash(&mut hasher);
    peer.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
