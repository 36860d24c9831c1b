//! The plain way: rule by rule. The fastest for a short list, and the judge of the other way.

use gridway_config::AclRule;
use gridway_wire::tuple::FiveTuple;

use super::protocol_matches;

/// Index of the first of `rules` that matches.
#[must_use]
pub fn first_match(rules: &[AclRule], tuple: &FiveTuple) -> Option<usize> {
    rules.iter().position(|rule| matches(rule, tuple))
}

fn matches(rule: &AclRule, tuple: &FiveTuple) -> bool {
    protocol_matches(rule.protocol, tuple.protocol)
        && rule.ports.as_ref().is_none_or(|ports| ports.contains(&tuple.destination_port))
        && rule.source.matches(tuple.source)
        && rule.destination.matches(tuple.destination)
}
