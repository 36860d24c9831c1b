//! Rules that can never match, because one earlier rule matches all that they do.
//!
//! Not every pair of rules is compared. An earlier rule is entered under the prefixes of its sides; a
//! later one asks under the prefixes that hold its first addresses, and what it finds is compared in
//! full. So every pair reported is right. Where a side is made of more prefixes than are entered, an
//! earlier rule is found only by a rule with the very same side: some pairs of that kind are missed, and
//! so is every rule that only several others cover together.

mod sides;
mod stairs;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::address_set::{AddressSet, Family};
use crate::model::{AclRule, PROTOCOL_ICMP};
use sides::Sides;
use stairs::Stairs;

/// IANA protocol number of ICMPv6, which a rule for ICMP matches too.
const PROTOCOL_ICMPV6: u8 = 58;
/// Pairs of prefixes that one rule is entered under.
const PAIRS: usize = 64;
/// Pairs that all rules may take together, for each rule and beside that.
const PAIRS_EACH: usize = 8;
const PAIRS_BESIDE: usize = 1 << 12;

/// Pairs `(later, earlier)` of indices into `rules`, by the later one, each with the earliest rule found
/// that matches all of it.
pub(crate) fn shadowed(rules: &[AclRule]) -> Vec<(usize, usize)> {
    let reaches: Vec<Reach> = rules.iter().map(Reach::new).collect();
    let mut earlier = Earlier { room: rules.len() * PAIRS_EACH + PAIRS_BESIDE, ..Earlier::default() };
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let by = earlier.candidates(rule, &reaches[index]);
        let by = by.into_iter().filter(|by| covers((&rules[*by], &reaches[*by]), (rule, &reaches[index])));
        if let Some(by) = by.min() {
            found.push((index, by));
        }
        earlier.enter(index, rule, &reaches[index]);
    }
    found
}

/// The addresses that a rule matches, for each family; both sides are empty where one is.
struct Reach {
    sides: [[AddressSet; 2]; 2],
}

impl Reach {
    fn new(rule: &AclRule) -> Self {
        let sides = Family::ALL.map(|family| {
            let sides = [&rule.source, &rule.destination].map(|side| AddressSet::of(side, family));
            if sides.iter().any(AddressSet::is_empty) {
                sides.map(|_| AddressSet::empty(family))
            } else {
                sides
            }
        });
        Self { sides }
    }

    /// Source and destination for each family with addresses.
    fn families(&self) -> impl Iterator<Item = &[AddressSet; 2]> {
        self.sides.iter().filter(|[source, _]| !source.is_empty())
    }

    /// One bit for each family with addresses.
    fn bits(&self) -> u8 {
        self.families().map(|[source, _]| 1 << source.family() as u8).sum()
    }

    fn covers(&self, other: &Self) -> bool {
        self.sides
            .iter()
            .zip(&other.sides)
            .all(|(own, other)| own.iter().zip(other).all(|(own, other)| own.covers(other)))
    }
}

/// What of a rule is compared before its addresses are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    families: u8,
    protocol: Option<u8>,
}

impl Kind {
    fn covers(self, other: Self) -> bool {
        let protocol = match (self.protocol, other.protocol) {
            (None, _) => true,
            (Some(PROTOCOL_ICMP), Some(PROTOCOL_ICMPV6)) => true,
            (own, other) => own == other,
        };
        protocol && self.families & other.families == other.families
    }
}

fn kind(rule: &AclRule, reach: &Reach) -> Kind {
    Kind { families: reach.bits(), protocol: rule.protocol }
}

fn ports(rule: &AclRule) -> RangeInclusive<u16> {
    rule.ports.clone().unwrap_or(0..=u16::MAX)
}

/// Whether the first rule matches all that the second does, which is something.
fn covers(first: (&AclRule, &Reach), second: (&AclRule, &Reach)) -> bool {
    let (own, other) = (ports(first.0), ports(second.0));
    second.1.bits() != 0
        && kind(first.0, first.1).covers(kind(second.0, second.1))
        && own.start() <= other.start()
        && own.end() >= other.end()
        && first.1.covers(second.1)
}

/// The rules so far.
#[derive(Default)]
struct Earlier {
    sources: Sides,
    destinations: Sides,
    /// By the numbers of source and destination.
    pairs: HashMap<(u32, u32), Vec<(Kind, Stairs)>>,
    /// Pairs that may still be taken.
    room: usize,
}

impl Earlier {
    /// Rules that match the first addresses of `rule`, its protocol and its ports.
    fn candidates(&self, rule: &AclRule, reach: &Reach) -> Vec<usize> {
        let mut found = Vec::new();
        // Whatever covers the rule is entered for each of its families.
        let Some([source, destination]) = reach.families().next() else { return found };
        let (kind, ports) = (kind(rule, reach), ports(rule));
        let destinations = self.destinations.holders(destination);
        for source in self.sources.holders(source) {
            for destination in &destinations {
                let kinds = self.pairs.get(&(source, *destination)).into_iter().flatten();
                let covering = kinds.filter(|(of, _)| of.covers(kind));
                found.extend(covering.filter_map(|(_, stairs)| stairs.holder(&ports)));
            }
        }
        found
    }

    fn enter(&mut self, index: usize, rule: &AclRule, reach: &Reach) {
        let kind = kind(rule, reach);
        for [source, destination] in reach.families() {
            let (mut most_sources, mut most_destinations) = (PAIRS, PAIRS);
            let count = |set: &AddressSet| set.blocks(PAIRS).map_or(PAIRS + 1, |blocks| blocks.len());
            let (sources, destinations) = (count(source), count(destination));
            let most = PAIRS.min(self.room);
            if sources * destinations > most {
                // The side with more prefixes is entered as it is.
                *(if sources > destinations { &mut most_sources } else { &mut most_destinations }) = 1;
                if sources.min(destinations) > most {
                    (most_sources, most_destinations) = (1, 1);
                }
            }
            let sources = self.sources.enter(source, most_sources);
            let destinations = self.destinations.enter(destination, most_destinations);
            self.room = self.room.saturating_sub(sources.len() * destinations.len());
            for source in sources {
                for destination in &destinations {
                    let kinds = self.pairs.entry((source, *destination)).or_default();
                    let at = kinds.iter().position(|(of, _)| *of == kind).unwrap_or_else(|| {
                        kinds.push((kind, Stairs::default()));
                        kinds.len() - 1
                    });
                    kinds[at].1.enter(&ports(rule), index);
                }
            }
        }
    }
}
