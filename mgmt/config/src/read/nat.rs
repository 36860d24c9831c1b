//! `[[vnet.inside_nat]]` and `[[vnet.outside_nat]]`.

use std::collections::HashSet;

use ipnet::IpNet;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::model::{InsideNat, OutsideNat, RemoteHosts};
use crate::prefixes::{list, outermost, overlaps, same_family, within};
use crate::read::object::{Objects, PrefixOrObject};

/// What the vnet around a NAT entry says.
pub(crate) struct Space<'a> {
    pub(crate) cidr: &'a [IpNet],
    pub(crate) nat: bool,
}

pub(crate) fn inside(vnet: &Section<'_>, space: &Space<'_>) -> Vec<InsideNat> {
    let mut entries = Vec::new();
    let (mut locals, mut virtuals) = (Vec::new(), Vec::new());
    for section in vnet.tables("inside_nat") {
        refuse_without_nat(&section, space);
        let local: Option<IpNet> = section.required("local");
        let virtual_prefix: Option<IpNet> = section.required("virtual");
        section.finish();
        locals.extend(local.map(|prefix| (section.place_of("local"), prefix)));
        virtuals.extend(virtual_prefix.map(|prefix| (section.place_of("virtual"), prefix)));
        check_cidr(&section, virtual_prefix.as_slice(), space);
        let (Some(local), Some(virtual_prefix)) = (local, virtual_prefix) else {
            continue;
        };
        if check_families(&section, local, virtual_prefix)
            && local.prefix_len() != virtual_prefix.prefix_len()
        {
            section.refuse_key("virtual", unequal(local, virtual_prefix));
        }
        entries.push(InsideNat { local, virtual_prefix });
    }
    refuse_overlaps(vnet, &locals);
    refuse_overlaps(vnet, &virtuals);
    entries
}

/// An outside NAT and where its sides stand.
pub(crate) struct Outside {
    pub(crate) local: Place,
    pub(crate) remote: Place,
    pub(crate) entry: OutsideNat,
}

pub(crate) fn outside(vnet: &Section<'_>, space: &Space<'_>, objects: &Objects) -> Vec<Outside> {
    let mut entries = Vec::new();
    let (mut locals, mut virtuals) = (Vec::new(), Vec::new());
    for section in vnet.tables("outside_nat") {
        refuse_without_nat(&section, space);
        let local: Option<IpNet> = section.required("local");
        let remote = remote_hosts(&section, objects);
        let proxy_arp = section.optional("proxy_arp").unwrap_or(true);
        section.finish();
        locals.extend(local.map(|prefix| (section.place_of("local"), prefix)));
        // Members of one object may overlap each other.
        let prefixes = outermost(remote.as_ref().map(RemoteHosts::prefixes).unwrap_or_default());
        check_cidr(&section, &prefixes, space);
        virtuals.extend(prefixes.into_iter().map(|prefix| (section.place_of("virtual"), prefix)));
        let (Some(local), Some(remote)) = (local, remote) else {
            continue;
        };
        let one_family = remote.prefixes().iter().all(|prefix| check_families(&section, local, *prefix));
        if one_family
            && let RemoteHosts::Prefix(prefix) = &remote
            && local.prefix_len() < prefix.prefix_len()
        {
            // A shorter prefix is the larger side.
            section.refuse_key("virtual", unequal(local, *prefix));
        }
        entries.push(Outside {
            local: section.place_of("local"),
            remote: section.place_of("virtual"),
            entry: OutsideNat { remote, local, proxy_arp },
        });
    }
    refuse_overlaps(vnet, &locals);
    refuse_overlaps(vnet, &virtuals);
    entries
}

/// The virtual side of an outside NAT.
fn remote_hosts(section: &Section<'_>, objects: &Objects) -> Option<RemoteHosts> {
    match section.required("virtual")? {
        PrefixOrObject::Prefix(prefix) => Some(RemoteHosts::Prefix(prefix)),
        PrefixOrObject::Object(name) => match objects.resolve(&name) {
            Ok(prefixes) => Some(RemoteHosts::Object { name, prefixes }),
            Err(problem) => {
                section.refuse_key("virtual", problem);
                None
            }
        },
    }
}

fn refuse_without_nat(section: &Section<'_>, space: &Space<'_>) {
    if !space.nat {
        let expected = "none, because the vnet has nat = false".to_owned();
        section.refuse(Problem::Invalid { found: "a NAT entry".to_owned(), expected });
    }
}

/// A cidr that could not be read was reported, and nothing is judged by it.
fn check_cidr(section: &Section<'_>, prefixes: &[IpNet], space: &Space<'_>) {
    if space.cidr.is_empty() {
        return;
    }
    let strangers: Vec<IpNet> =
        prefixes.iter().copied().filter(|prefix| !within(*prefix, space.cidr)).collect();
    if !strangers.is_empty() {
        let what = if strangers.len() == 1 { "a prefix" } else { "prefixes" };
        let (found, cidr) = (list(&strangers), list(space.cidr));
        section.refuse_key("virtual", Problem::OutsideCidr { found, what, cidr });
    }
}

/// Whether both sides are of one family; anything else is reported.
fn check_families(section: &Section<'_>, local: IpNet, virtual_prefix: IpNet) -> bool {
    let same = same_family(local, virtual_prefix);
    if !same {
        let (found, other) = (virtual_prefix.to_string(), local.to_string());
        section.refuse_key("virtual", Problem::MixedFamilies { found, other });
    }
    same
}

fn unequal(local: IpNet, virtual_prefix: IpNet) -> Problem {
    Problem::UnequalLengths { local: local.to_string(), virtual_prefix: virtual_prefix.to_string() }
}

/// Refuses prefixes that overlap an earlier one of the same list. Reported once for two fields that
/// hold several prefixes each.
pub(crate) fn refuse_overlaps(section: &Section<'_>, prefixes: &[(Place, IpNet)]) {
    let bare: Vec<IpNet> = prefixes.iter().map(|(_, prefix)| *prefix).collect();
    let mut reported = HashSet::new();
    for (later, earlier) in overlaps(&bare) {
        let (place, found) = &prefixes[later];
        let (other_place, other) = &prefixes[earlier];
        if reported.insert((&place.field, &other_place.field)) {
            section.refuse_at(place, overlap(*found, *other, other_place));
        }
    }
}

pub(crate) fn overlap(found: IpNet, other: IpNet, other_place: &Place) -> Problem {
    let (other_field, line) = (other_place.field.clone(), other_place.line);
    Problem::Overlap { found: found.to_string(), other: other.to_string(), other_field, line }
}
