//! Tuple-space search: not linear in the rules.
//!
//! Rules with the same source and destination form a **group**, which knows its first match for every
//! protocol and port. Groups are entered in hash **tables** by their masked source and destination. A
//! table has one pair of mask lengths; a group is entered where its prefixes are at least as long, so a
//! few tables take all of them (after Srinivasan, Suri, Varghese 1999, and Daly and others, "TupleMerge",
//! 2019). Tables are asked in the order of the best rule in each, until no table left has a better one
//! than that found. What a hash finds is verified, so a key may be coarser than its rule.
//!
//! ```text
//!   rules --sides--> pieces (source, destination) --group--> what it says of protocol and port
//!                                 |
//!                                plan --> tables of mask lengths --> slots --> runs of entries
//! ```
//!
//! Rules are the operator's, tuples a stranger's: a stranger cannot lengthen a run, only look for one
//! that is long. Runs are bounded where the rules' prefixes differ. The hash is seeded at random, so
//! whose keys share a slot cannot be known.

mod bits;
mod group;
mod pieces;
mod plan;
mod space;

use std::net::IpAddr;

use gridway_config::AclRule;
use gridway_wire::tuple::FiveTuple;

use space::Space;

/// Stands for no rule: behind all of them.
const NO_RULE: u32 = u32::MAX;

/// A list of rules, compiled.
#[derive(Debug)]
pub struct TupleSpace {
    v4: Space<u32>,
    v6: Space<u128>,
}

impl TupleSpace {
    /// Compiles `rules`.
    ///
    /// # Panics
    /// With 2^32 - 1 rules or more.
    #[must_use]
    pub fn new(rules: &[AclRule]) -> Self {
        assert!(rules.len() < NO_RULE as usize, "lines are unique numbers of 32 bits");
        Self { v4: Space::new(rules), v6: Space::new(rules) }
    }

    /// Index of the first rule that matches. None does where the addresses are of two families.
    #[must_use]
    pub fn first_match(&self, tuple: &FiveTuple) -> Option<usize> {
        let (protocol, port) = (tuple.protocol, tuple.destination_port);
        let rule = match (tuple.source, tuple.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.v4.first_match(source.to_bits(), destination.to_bits(), protocol, port)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.v6.first_match(source.to_bits(), destination.to_bits(), protocol, port)
            }
            _ => NO_RULE,
        };
        (rule != NO_RULE).then_some(rule as usize)
    }

    /// Hash tables of each family, IPv4 first: how many a tuple that no rule matches has to ask.
    #[must_use]
    pub fn tables(&self) -> [usize; 2] {
        [self.v4.tables(), self.v6.tables()]
    }
}
