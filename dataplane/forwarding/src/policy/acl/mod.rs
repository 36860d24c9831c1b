//! The ordered access policy of a vnet: first match wins, no match means no.

pub mod scan;
pub mod tuple_space;

use std::sync::Arc;

use gridway_config::{AclAction, AclRule};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;

use super::hits::Hits;
use tuple_space::TupleSpace;

/// Rules and prefixes in them up to which reading them all is the fastest.
const SCANNED: usize = 8;

/// The rule that decides.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// Its line.
    pub line: u32,
    /// How often it did.
    pub hits: &'a Arc<Hits>,
}

/// What the policy says of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Ruling<'a> {
    /// A rule allows it.
    Allow(Match<'a>),
    /// A rule forbids it, silently.
    Deny(Match<'a>),
    /// A rule forbids it, and the sender is told.
    Reject(Match<'a>),
    /// No rule matches.
    NoMatch,
}

/// The rules of one vnet, by line.
#[derive(Debug, Default)]
pub struct Acl {
    rules: Vec<AclRule>,
    hits: Vec<Arc<Hits>>,
    /// `None`: the list is short.
    space: Option<Box<TupleSpace>>,
}

impl Acl {
    pub(super) fn new(rules: Vec<(AclRule, Arc<Hits>)>) -> Self {
        let (rules, hits): (Vec<AclRule>, _) = rules.into_iter().unzip();
        let weight = |rule: &AclRule| rule.source.prefixes.len().max(rule.destination.prefixes.len()).max(1);
        let long = rules.iter().map(weight).sum::<usize>() > SCANNED;
        let space = long.then(|| Box::new(TupleSpace::new(&rules)));
        Self { rules, hits, space }
    }

    /// Judges the flow that `tuple`, in virtual addresses, would begin.
    #[must_use]
    pub fn judge(&self, tuple: &FiveTuple) -> Ruling<'_> {
        let first = match &self.space {
            None => scan::first_match(&self.rules, tuple),
            Some(space) => space.first_match(tuple),
        };
        let Some(index) = first else { return Ruling::NoMatch };
        let rule = &self.rules[index];
        let found = Match { line: rule.line, hits: &self.hits[index] };
        match rule.action {
            AclAction::Allow => Ruling::Allow(found),
            AclAction::Drop => Ruling::Deny(found),
            AclAction::Reject => Ruling::Reject(found),
        }
    }

    /// Rules in their order, with their hits.
    pub fn rules(&self) -> impl Iterator<Item = (&AclRule, &Arc<Hits>)> {
        self.rules.iter().zip(&self.hits)
    }

    /// The hits of a rule, if it is one of these.
    pub(super) fn hits_of(&self, rule: &AclRule) -> Option<&Arc<Hits>> {
        let index = self.rules.binary_search_by_key(&rule.line, |known| known.line).ok()?;
        (self.rules[index] == *rule).then(|| &self.hits[index])
    }
}

/// Whether a rule's protocol is that of a packet. The rule `icmp` is meant for the family of the packet.
fn protocol_matches(rule: Option<u8>, packet: Protocol) -> bool {
    rule.is_none_or(|number| {
        Protocol(number) == packet || (Protocol(number) == Protocol::ICMP && packet == Protocol::ICMPV6)
    })
}
