//! The ordered access policy of a vnet: first match wins, no match means no.

use std::sync::Arc;

use gridway_config::{AclAction, AclRule};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;

use super::hits::Hits;

/// What the policy says of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Ruling<'a> {
    /// A rule allows it.
    Allow(&'a Arc<Hits>),
    /// A rule forbids it, silently.
    Deny(&'a Arc<Hits>),
    /// A rule forbids it, and the sender is told.
    Reject(&'a Arc<Hits>),
    /// No rule matches.
    NoMatch,
}

/// The rules of one vnet, by line.
#[derive(Debug, Default)]
pub struct Acl {
    rules: Vec<(AclRule, Arc<Hits>)>,
}

impl Acl {
    pub(super) fn new(rules: Vec<(AclRule, Arc<Hits>)>) -> Self {
        Self { rules }
    }

    /// Judges the flow that `tuple`, in virtual addresses, would begin.
    #[must_use]
    pub fn judge(&self, tuple: &FiveTuple) -> Ruling<'_> {
        match self.rules.iter().find(|(rule, _)| matches(rule, tuple)) {
            Some((rule, hits)) => match rule.action {
                AclAction::Allow => Ruling::Allow(hits),
                AclAction::Drop => Ruling::Deny(hits),
                AclAction::Reject => Ruling::Reject(hits),
            },
            None => Ruling::NoMatch,
        }
    }

    /// Rules in their order, with their hits.
    pub fn rules(&self) -> impl Iterator<Item = (&AclRule, &Arc<Hits>)> {
        self.rules.iter().map(|(rule, hits)| (rule, hits))
    }
}

fn matches(rule: &AclRule, tuple: &FiveTuple) -> bool {
    let protocol = match rule.protocol {
        None => true,
        // The rule `icmp` is meant for the family of the packet.
        Some(number) if Protocol(number) == Protocol::ICMP => tuple.protocol.is_icmp(),
        Some(number) => Protocol(number) == tuple.protocol,
    };
    protocol
        && rule.ports.as_ref().is_none_or(|ports| ports.contains(&tuple.destination_port))
        && rule.source.matches(tuple.source)
        && rule.destination.matches(tuple.destination)
}
