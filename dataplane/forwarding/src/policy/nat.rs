//! Translation between local and virtual addresses: 1:1, or many remote hosts behind few local addresses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gridway_config::RemoteHosts;
use ipnet::IpNet;

use super::hits::Hits;
use super::npt::Npt;
use crate::prefix::PrefixTable;

/// Both translations of a vnet.
#[derive(Debug)]
pub struct Nat {
    /// Identity of local hosts.
    pub inside: Translation,
    /// Identity of remote hosts.
    pub outside: Translation,
}

/// One direction's rules.
#[derive(Debug)]
pub enum Translation {
    /// `nat = false`: every address stands for itself.
    Off,
    /// An empty list: addresses within the vnet's `cidr` stand for themselves, others have no place.
    IdentityWithin(Vec<IpNet>),
    /// Pairs of prefixes, and pools.
    Rules(Box<Rules>),
}

/// Rules, found from either side.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<NatRule>,
    by_local: PrefixTable<usize>,
    by_virtual: PrefixTable<usize>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct NatRule {
    /// Addresses on the data link; of a many-to-one rule the pool.
    pub local: IpNet,
    /// The hosts in the vnet.
    pub remote: RemoteHosts,
    /// Flows the rule translated.
    pub hits: Arc<Hits>,
    /// Flows the rule had no port for.
    pub exhausted: Arc<AtomicU64>,
    kind: Kind,
}

/// How a rule translates.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The prefix changes, the host stays.
    Netmap { virtual_prefix: IpNet },
    /// RFC 6296, both ways.
    Npt { to_virtual: Npt, to_local: Npt },
    /// Port translation.
    ManyToOne,
}

/// What stands for an address on the other side.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// This address, by this rule (none for identity).
    Address(IpAddr, Option<&'a NatRule>),
    /// An address and a port of this rule's pool, as its mappings say.
    Shared(&'a NatRule),
    /// The rule has no counterpart for the address.
    Untranslatable,
    /// No rule is about the address.
    Nothing,
}

impl NatRule {
    pub(super) fn new(local: IpNet, remote: RemoteHosts, many_to_one: bool) -> Self {
        let virtual_prefix = remote.prefixes()[0];
        let kind = match (local, virtual_prefix) {
            _ if many_to_one => Kind::ManyToOne,
            (IpNet::V6(local), IpNet::V6(virtual_prefix)) => Kind::Npt {
                to_virtual: Npt::new(local, virtual_prefix),
                to_local: Npt::new(virtual_prefix, local),
            },
            _ => Kind::Netmap { virtual_prefix },
        };
        Self { local, remote, hits: Arc::default(), exhausted: Arc::default(), kind }
    }

    /// Whether remote hosts share the local addresses.
    #[must_use]
    pub fn is_many_to_one(&self) -> bool {
        matches!(self.kind, Kind::ManyToOne)
    }

    /// The kind of translation in one word, for operators.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Netmap { .. } => "1:1",
            Kind::Npt { .. } => "prefix",
            Kind::ManyToOne => "many-to-one",
        }
    }

    /// Counts a flow that no port was free for.
    pub(crate) fn count_exhausted(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    fn to_virtual(&self, local: IpAddr) -> Found<'_> {
        match (&self.kind, local) {
            (Kind::ManyToOne, _) => Found::Shared(self),
            (Kind::Npt { to_virtual, .. }, IpAddr::V6(address)) => self.found(to_virtual.translate(address)),
            (Kind::Netmap { virtual_prefix }, address) => {
                Found::Address(with_prefix(*virtual_prefix, address), Some(self))
            }
            (Kind::Npt { .. }, IpAddr::V4(_)) => Found::Nothing,
        }
    }

    fn to_local(&self, virtual_address: IpAddr) -> Found<'_> {
        match (&self.kind, virtual_address) {
            (Kind::ManyToOne, _) => Found::Shared(self),
            (Kind::Npt { to_local, .. }, IpAddr::V6(address)) => self.found(to_local.translate(address)),
            (Kind::Netmap { .. }, address) => Found::Address(with_prefix(self.local, address), Some(self)),
            (Kind::Npt { .. }, IpAddr::V4(_)) => Found::Nothing,
        }
    }

    fn found(&self, address: Option<std::net::Ipv6Addr>) -> Found<'_> {
        match address {
            Some(address) => Found::Address(address.into(), Some(self)),
            None => Found::Untranslatable,
        }
    }
}

impl Translation {
    /// Rules as configured; none at all is identity within `cidr`.
    pub(super) fn new(rules: Vec<NatRule>, cidr: &[IpNet]) -> Self {
        if rules.is_empty() {
            return Self::IdentityWithin(cidr.to_vec());
        }
        let by_local = rules.iter().enumerate().map(|(index, rule)| (rule.local, index)).collect();
        let virtuals = rules.iter().enumerate();
        let virtuals = virtuals
            .flat_map(|(index, rule)| rule.remote.prefixes().iter().map(move |prefix| (*prefix, index)));
        let by_virtual = virtuals.collect();
        Self::Rules(Box::new(Rules { rules, by_local, by_virtual }))
    }

    /// What stands for a local address in the vnet.
    #[must_use]
    pub fn to_virtual(&self, local: IpAddr) -> Found<'_> {
        self.look_up(local, |rules| &rules.by_local, NatRule::to_virtual)
    }

    /// What stands for a virtual address on the data link.
    #[must_use]
    pub fn to_local(&self, virtual_address: IpAddr) -> Found<'_> {
        self.look_up(virtual_address, |rules| &rules.by_virtual, NatRule::to_local)
    }

    fn look_up<'a>(
        &'a self,
        address: IpAddr,
        table: impl Fn(&Rules) -> &PrefixTable<usize>,
        translate: impl Fn(&'a NatRule, IpAddr) -> Found<'a>,
    ) -> Found<'a> {
        match self {
            Self::Off => Found::Address(address, None),
            Self::IdentityWithin(cidr) if cidr.iter().any(|prefix| prefix.contains(&address)) => {
                Found::Address(address, None)
            }
            Self::IdentityWithin(_) => Found::Nothing,
            Self::Rules(rules) => match table(rules).longest(address) {
                Some(index) => translate(&rules.rules[*index], address),
                None => Found::Nothing,
            },
        }
    }

    /// Length of the virtual prefix of the rule that an address belongs to.
    pub(super) fn virtual_prefix_len(&self, virtual_address: IpAddr) -> Option<u8> {
        match self {
            Self::Off | Self::IdentityWithin(_) => None,
            Self::Rules(rules) => {
                rules.by_virtual.longest_with_length(virtual_address).map(|(length, _)| length)
            }
        }
    }

    /// The rules, if there are any.
    #[must_use]
    pub fn rules(&self) -> &[NatRule] {
        match self {
            Self::Off | Self::IdentityWithin(_) => &[],
            Self::Rules(rules) => &rules.rules,
        }
    }
}

/// `address` with its leading bits replaced by those of `prefix`. Families agree by validation.
fn with_prefix(prefix: IpNet, address: IpAddr) -> IpAddr {
    match (prefix, address) {
        (IpNet::V4(prefix), IpAddr::V4(address)) => {
            let host = address.to_bits() & prefix.hostmask().to_bits();
            IpAddr::V4((prefix.network().to_bits() | host).into())
        }
        (_, address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_to_one(pairs: &[(&str, &str)]) -> Translation {
        let rule = |(local, remote): &(&str, &str)| {
            NatRule::new(local.parse().unwrap(), RemoteHosts::Prefix(remote.parse().unwrap()), false)
        };
        Translation::new(pairs.iter().map(rule).collect(), &[])
    }

    fn address(found: Found<'_>) -> Option<IpAddr> {
        match found {
            Found::Address(address, _) => Some(address),
            _ => None,
        }
    }

    #[test]
    fn keeps_the_host_and_changes_the_prefix() {
        let nat = one_to_one(&[("10.1.0.0/24", "10.200.1.0/24")]);
        let translated = address(nat.to_virtual("10.1.0.77".parse().unwrap()));
        assert_eq!(translated, Some("10.200.1.77".parse().unwrap()));
        assert!(matches!(nat.to_virtual("10.1.1.77".parse().unwrap()), Found::Nothing));
        assert!(matches!(nat.to_local("10.1.0.77".parse().unwrap()), Found::Nothing));
    }

    #[test]
    fn identity_ends_where_the_cidr_does() {
        let nat = Translation::new(Vec::new(), &["10.200.0.0/16".parse().unwrap()]);
        assert!(address(nat.to_virtual("10.200.9.9".parse().unwrap())).is_some());
        assert!(matches!(nat.to_virtual("10.201.0.1".parse().unwrap()), Found::Nothing));
    }

    proptest! {
        #[test]
        fn translating_back_is_identity(host in any::<u32>(), length in 1u8..=32) {
            let host = IpAddr::V4(host.into());
            let local = IpNet::new(host, length).unwrap().trunc();
            let target = IpNet::new("203.0.113.7".parse().unwrap(), length).unwrap().trunc();
            let nat = one_to_one(&[(&local.to_string(), &target.to_string())]);
            let there = address(nat.to_virtual(host)).unwrap();
            prop_assert!(target.contains(&there));
            prop_assert_eq!(address(nat.to_local(there)), Some(host));
        }
    }
}
