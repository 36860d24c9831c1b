//! Routes of a vnet: longest prefix, then lowest metric, then who is up.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

use foldhash::quality::FixedState;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;

use crate::ids::{MonitorId, PeerId};
use crate::prefix::PrefixTable;

/// One route: a peer that a prefix can be reached through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The peer.
    pub peer: PeerId,
    /// From 1 (best) to 200.
    pub metric: u8,
    /// Its monitor, if it has one.
    pub monitor: Option<MonitorId>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To this peer.
    Peer(PeerId),
    /// Routes exist, but no peer of theirs is up.
    AllDown,
    /// No route contains the destination.
    NoRoute,
}

/// All routes of a vnet.
#[derive(Debug, Default)]
pub struct Routes {
    table: PrefixTable<Vec<Candidate>>,
    list: Vec<(IpNet, Candidate)>,
}

impl Routes {
    pub(super) fn new(list: Vec<(IpNet, Candidate)>) -> Self {
        let mut table: PrefixTable<Vec<Candidate>> = PrefixTable::default();
        for (prefix, candidate) in &list {
            match table.get_mut(*prefix) {
                Some(candidates) => candidates.push(*candidate),
                None => {
                    table.insert(*prefix, vec![*candidate]);
                }
            }
        }
        let mut routes = Self { table, list };
        for (prefix, _) in &routes.list {
            if let Some(candidates) = routes.table.get_mut(*prefix) {
                candidates.sort_by_key(|candidate| candidate.metric);
            }
        }
        routes
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
        let destination = tuple.destination;
        let Some(longest) = self.table.longest(destination) else {
            return Choice::NoRoute;
        };
        let mut best = best_of(longest, &available);
        if best.is_none() {
            self.table.for_each_containing(destination, |shorter| {
                best = best_of(shorter, &available).or(best);
            });
        }
        let Some((candidates, metric)) = best else {
            return Choice::AllDown;
        };
        let equals = || {
            candidates
                .iter()
                .filter(|candidate| candidate.metric == metric && available(candidate))
                .map(|candidate| candidate.peer)
        };
        let chosen = match current.filter(|current| equals().any(|peer| peer == *current)) {
            Some(current) => Some(current),
            None if equals().nth(1).is_none() => equals().next(),
            None => equals().max_by_key(|peer| weight(tuple, *peer)),
        };
        chosen.map_or(Choice::AllDown, Choice::Peer)
    }

    /// Whether a packet with this virtual source may come from `peer` (feasible path, RFC 3704): of
    /// the prefixes that contain the source the longest must list the peer; a shorter one counts
    /// while no longer one has an available route.
    #[must_use]
    pub fn is_feasible(&self, source: IpAddr, peer: PeerId, available: impl Fn(&Candidate) -> bool) -> bool {
        let mut feasible = false;
        self.table.for_each_containing(source, |candidates| {
            let lists = candidates.iter().any(|candidate| candidate.peer == peer);
            let available = candidates.iter().any(|candidate| available(candidate));
            // Longer prefixes come later: one that lists the peer allows it, one that has an
            // available route without it takes back what shorter ones allowed.
            feasible = lists || (feasible && !available);
        });
        feasible
    }

    /// Length of the longest prefix with a route that contains `address`.
    #[must_use]
    pub fn longest_prefix_len(&self, address: IpAddr) -> Option<u8> {
        self.table.longest_with_length(address).map(|(length, _)| length)
    }

    /// Routes as configured.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, Candidate)> + '_ {
        self.list.iter().copied()
    }

    /// Whether `candidate` would be used for new flows to `prefix`.
    #[must_use]
    pub fn is_chosen(
        &self,
        prefix: IpNet,
        candidate: Candidate,
        available: impl Fn(&Candidate) -> bool,
    ) -> bool {
        let mut own = self.list.iter().filter(|(other, _)| *other == prefix).map(|(_, candidate)| candidate);
        let best = own.clone().filter(|other| available(other)).map(|other| other.metric).min();
        available(&candidate) && best == Some(candidate.metric) && own.any(|other| *other == candidate)
    }
}

fn best_of<'a>(
    candidates: &'a [Candidate],
    available: &impl Fn(&Candidate) -> bool,
) -> Option<(&'a [Candidate], u8)> {
    // Sorted by metric: the first that is up is among the best.
    candidates.iter().find(|candidate| available(candidate)).map(|best| (candidates, best.metric))
}

/// Rendezvous weight: stable across restarts, and a peer that leaves moves only its own flows.
fn weight(tuple: &FiveTuple, peer: PeerId) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    tuple.hash(&mut hasher);
    peer.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridway_wire::protocol::Protocol;

    const A: PeerId = PeerId(0);
    const B: PeerId = PeerId(1);
    const C: PeerId = PeerId(2);

    fn routes(list: &[(&str, PeerId, u8)]) -> Routes {
        let route = |(prefix, peer, metric): &(&str, PeerId, u8)| {
            (prefix.parse().unwrap(), Candidate { peer: *peer, metric: *metric })
        };
        Routes::new(list.iter().map(route).collect())
    }

    fn to(destination: &str, source_port: u16) -> FiveTuple {
        FiveTuple {
            source: "10.200.1.1".parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: Protocol::UDP,
            source_port,
            destination_port: 9,
        }
    }

    fn all(_: PeerId) -> bool {
        true
    }

    #[test]
    fn the_longest_prefix_wins_then_the_lowest_metric() {
        let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50), ("10.2.0.0/16", C, 20)]);
        assert_eq!(routes.choose(&to("10.2.3.4", 1), None, all), Choice::Peer(C));
        assert_eq!(routes.choose(&to("10.9.3.4", 1), None, all), Choice::Peer(A));
        assert_eq!(routes.choose(&to("192.0.2.1", 1), None, all), Choice::NoRoute);
    }

    #[test]
    fn a_dead_route_gives_way_to_the_next_metric_then_to_a_shorter_prefix() {
        let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50), ("10.2.0.0/16", C, 20)]);
        let tuple = to("10.2.3.4", 1);
        assert_eq!(routes.choose(&tuple, None, |peer| peer != C), Choice::Peer(B));
        assert_eq!(routes.choose(&tuple, None, |peer| peer == A), Choice::Peer(A));
        assert_eq!(routes.choose(&tuple, None, |_| false), Choice::AllDown);
    }

    #[test]
    fn equal_routes_share_the_flows_and_a_flow_stays_with_its_route() {
        let routes = routes(&[("10.2.0.0/16", B, 20), ("10.2.0.0/16", C, 20)]);
        let via_b = (0..1000)
            .filter(|port| routes.choose(&to("10.2.3.4", *port), None, all) == Choice::Peer(B))
            .count();
        assert!((400..600).contains(&via_b), "{via_b}");
        for port in 0..100 {
            let tuple = to("10.2.3.4", port);
            assert_eq!(routes.choose(&tuple, Some(C), all), Choice::Peer(C));
        }
    }

    #[test]
    fn a_source_is_feasible_only_from_the_peers_of_its_longest_prefix() {
        let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50)]);
        let source = "10.2.3.4".parse().unwrap();
        assert!(routes.is_feasible(source, B, all));
        assert!(!routes.is_feasible(source, A, all), "a longer prefix belongs to another peer");
        assert!(routes.is_feasible(source, A, |peer| peer != B), "its peer is down: the shorter one counts");
        assert!(routes.is_feasible(source, B, |_| false), "availability of the sender does not matter");
        assert!(!routes.is_feasible(source, C, all));
        assert!(!routes.is_feasible("192.0.2.1".parse().unwrap(), A, all));
    }
}
