//! 1:1 translation between local and virtual addresses (netmap): the prefix changes, the host stays.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::hits::Hits;
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
    /// Pairs of prefixes.
    Netmap(Box<Netmap>),
}

/// Pairs of prefixes of equal length, found from either side.
#[derive(Debug)]
pub struct Netmap {
    rules: Vec<NatRule>,
    by_local: PrefixTable<usize>,
    by_virtual: PrefixTable<usize>,
}

/// One pair.
#[derive(Clone, Debug)]
pub struct NatRule {
    /// Addresses on the data link.
    pub local: IpNet,
    /// The same hosts in the vnet.
    pub virtual_prefix: IpNet,
    /// Flows the rule translated.
    pub hits: Arc<Hits>,
}

/// An address translated, and the rule that did it.
#[derive(Clone, Copy, Debug)]
pub struct Translated<'a> {
    /// The address on the other side.
    pub address: IpAddr,
    /// Hits of the rule; `None` for identity.
    pub hits: Option<&'a Arc<Hits>>,
}

impl Netmap {
    pub(super) fn new(rules: Vec<NatRule>) -> Self {
        let by_local = rules.iter().enumerate().map(|(index, rule)| (rule.local, index)).collect();
        let by_virtual = rules.iter().enumerate().map(|(index, rule)| (rule.virtual_prefix, index)).collect();
        Self { rules, by_local, by_virtual }
    }
}

impl Translation {
    /// The virtual address of a local one; `None` when it has none.
    #[must_use]
    pub fn to_virtual(&self, local: IpAddr) -> Option<Translated<'_>> {
        self.translate(local, |map| (&map.by_local, |rule| rule.virtual_prefix))
    }

    /// The local address of a virtual one; `None` when it has none.
    #[must_use]
    pub fn to_local(&self, virtual_address: IpAddr) -> Option<Translated<'_>> {
        self.translate(virtual_address, |map| (&map.by_virtual, |rule| rule.local))
    }

    fn translate(
        &self,
        address: IpAddr,
        side: impl Fn(&Netmap) -> (&PrefixTable<usize>, fn(&NatRule) -> IpNet),
    ) -> Option<Translated<'_>> {
        match self {
            Self::Off => Some(Translated { address, hits: None }),
            Self::IdentityWithin(cidr) => cidr
                .iter()
                .any(|prefix| prefix.contains(&address))
                .then_some(Translated { address, hits: None }),
            Self::Netmap(map) => {
                let (table, target) = side(map);
                let rule = &map.rules[*table.longest(address)?];
                Some(Translated { address: with_prefix(target(rule), address), hits: Some(&rule.hits) })
            }
        }
    }

    /// Length of the virtual prefix of the pair that an address belongs to.
    pub(super) fn virtual_prefix_len(&self, virtual_address: IpAddr) -> Option<u8> {
        match self {
            Self::Off | Self::IdentityWithin(_) => None,
            Self::Netmap(map) => {
                map.by_virtual.longest_with_length(virtual_address).map(|(length, _)| length)
            }
        }
    }

    /// The pairs, if there are any.
    #[must_use]
    pub fn rules(&self) -> &[NatRule] {
        match self {
            Self::Off | Self::IdentityWithin(_) => &[],
            Self::Netmap(map) => &map.rules,
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
        (IpNet::V6(prefix), IpAddr::V6(address)) => {
            let host = address.to_bits() & prefix.hostmask().to_bits();
            IpAddr::V6((prefix.network().to_bits() | host).into())
        }
        (_, address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn netmap(pairs: &[(&str, &str)]) -> Translation {
        let rule = |(local, virtual_prefix): &(&str, &str)| NatRule {
            local: local.parse().unwrap(),
            virtual_prefix: virtual_prefix.parse().unwrap(),
            hits: Arc::default(),
        };
        Translation::Netmap(Box::new(Netmap::new(pairs.iter().map(rule).collect())))
    }

    #[test]
    fn keeps_the_host_and_changes_the_prefix() {
        let nat = netmap(&[("10.1.0.0/24", "10.200.1.0/24")]);
        let translated = nat.to_virtual("10.1.0.77".parse().unwrap()).unwrap();
        assert_eq!(translated.address, "10.200.1.77".parse::<IpAddr>().unwrap());
        assert!(nat.to_virtual("10.1.1.77".parse().unwrap()).is_none());
        assert!(nat.to_local("10.1.0.77".parse().unwrap()).is_none());
    }

    #[test]
    fn identity_ends_where_the_cidr_does() {
        let nat = Translation::IdentityWithin(vec!["10.200.0.0/16".parse().unwrap()]);
        assert!(nat.to_virtual("10.200.9.9".parse().unwrap()).is_some());
        assert!(nat.to_virtual("10.201.0.1".parse().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn translating_back_is_identity(host in any::<u32>(), length in 1u8..=32) {
            let address = IpAddr::V4(host.into());
            let local = IpNet::new(address, length).unwrap().trunc();
            let target = IpNet::new("203.0.113.7".parse().unwrap(), length).unwrap().trunc();
            let nat = netmap(&[(&local.to_string(), &target.to_string())]);
            let there = nat.to_virtual(address).unwrap().address;
            prop_assert!(target.contains(&there));
            prop_assert_eq!(nat.to_local(there).unwrap().address, address);
        }
    }
}
