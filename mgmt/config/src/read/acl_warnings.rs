//! Rules of `[[vnet.acl]]` that can never match.

use crate::address_set::{AddressSet, Family};
use crate::document::Section;
use crate::model::{AclRule, AddressMatch, Vnet};
use crate::prefixes::list;
use crate::read::acl::WrittenRule;
use crate::shadow::shadowed;
use crate::warning::{Concern, matches};

/// The rules; those that can never match are reported. `vnet` is the rest of the vnet.
pub(crate) fn warned(section: &Section<'_>, vnet: &Vnet, written: Vec<WrittenRule>) -> Vec<AclRule> {
    let (rules, places): (Vec<AclRule>, Vec<_>) =
        written.into_iter().map(|of| (of.rule, [of.place, of.source, of.destination])).unzip();
    for (later, earlier) in shadowed(&rules) {
        let (line, by) = (rules[later].line, rules[earlier].line);
        let concern = Concern::Shadowed { line, by, matches: matches(&rules[earlier]) };
        section.warn_at(places[later][0].clone(), concern);
    }
    if let Some(space) = space(vnet) {
        let outside = |side: &AddressMatch| {
            !side.is_any() && space.iter().all(|set| set.is_disjoint(&AddressSet::of(side, set.family())))
        };
        for (rule, [_, source, destination]) in rules.iter().zip(places) {
            for (side, place) in [(&rule.source, source), (&rule.destination, destination)] {
                if outside(side) {
                    let (line, found, cidr) = (rule.line, side.to_string(), list(&vnet.cidr));
                    section.warn_at(place, Concern::OutsideCidr { line, found, cidr });
                }
            }
        }
    }
    rules
}

/// All addresses that packets can have in the vnet, where that is known: with NAT they lie within its
/// cidr; those that are passed on from peer to peer are routed.
fn space(vnet: &Vnet) -> Option<[AddressSet; 2]> {
    let routed = vnet.routes.iter().map(|route| route.to).filter(|_| vnet.relay);
    let prefixes: Vec<_> = vnet.cidr.iter().copied().chain(routed).collect();
    // A cidr that is wrong was reported.
    (vnet.nat && !vnet.cidr.is_empty())
        .then(|| Family::ALL.map(|family| AddressSet::of_prefixes(&prefixes, family)))
}
