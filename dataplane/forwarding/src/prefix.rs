//! Longest-prefix match over both address families.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

/// A value for each of a set of prefixes.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    v4: PrefixMap<Ipv4Net, T>,
    v6: PrefixMap<Ipv6Net, T>,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self { v4: PrefixMap::new(), v6: PrefixMap::new() }
    }
}

impl<T> FromIterator<(IpNet, T)> for PrefixTable<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(entries: I) -> Self {
        let mut table = Self::default();
        for (prefix, value) in entries {
            table.insert(prefix, value);
        }
        table
    }
}

impl<T> PrefixTable<T> {
    /// Sets the value of `prefix`, returning the one it had.
    pub fn insert(&mut self, prefix: IpNet, value: T) -> Option<T> {
        match prefix {
            IpNet::V4(prefix) => self.v4.insert(prefix, value),
            IpNet::V6(prefix) => self.v6.insert(prefix, value),
        }
    }

    /// The value of exactly `prefix`.
    pub fn get_mut(&mut self, prefix: IpNet) -> Option<&mut T> {
        match prefix {
            IpNet::V4(prefix) => self.v4.get_mut(&prefix),
            IpNet::V6(prefix) => self.v6.get_mut(&prefix),
        }
    }

    /// The value of the longest prefix that contains `address`.
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(address) => self.v4.get_lpm(&Ipv4Net::from(address)).map(|(_, value)| value),
            IpAddr::V6(address) => self.v6.get_lpm(&Ipv6Net::from(address)).map(|(_, value)| value),
        }
    }

    /// Length of the longest prefix that contains `address`, and its value.
    #[must_use]
    pub fn longest_with_length(&self, address: IpAddr) -> Option<(u8, &T)> {
        match address {
            IpAddr::V4(address) => {
                self.v4.get_lpm(&Ipv4Net::from(address)).map(|(prefix, value)| (prefix.prefix_len(), value))
            }
            IpAddr::V6(address) => {
                self.v6.get_lpm(&Ipv6Net::from(address)).map(|(prefix, value)| (prefix.prefix_len(), value))
            }
        }
    }

    /// Visits the values of all prefixes that contain `address`, from the shortest to the longest.
    pub fn for_each_containing<'a>(&'a self, address: IpAddr, visit: impl FnMut(&'a T)) {
        match address {
            IpAddr::V4(address) => self.v4.cover_values(&Ipv4Net::from(address)).for_each(visit),
            IpAddr::V6(address) => self.v6.cover_values(&Ipv6Net::from(address)).for_each(visit),
        }
    }

    /// Number of prefixes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is no prefix at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
