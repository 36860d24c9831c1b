//! Longest-prefix match over both address families.
//!
//! A table is built at once from all its prefixes and never changes: a new configuration brings a new
//! table. Prefixes lie in one sorted array a family, each with the number of its parent, the longest
//! shorter prefix that contains it. A [`trie`] over the array answers with the number of the longest
//! prefix that contains an address; from there the parents lead to all others. A handful of prefixes
//! needs no trie.

mod bits;
mod blocks;
mod family;
#[cfg(test)]
mod tests;
mod trie;

use std::net::IpAddr;

use ipnet::IpNet;

pub use family::Containing;
use family::Family;

/// A value for each of a set of prefixes.
///
/// Bits of a prefix beyond its length do not count. At most 2^31 - 1 prefixes of a family.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    v4: Family<u32, T>,
    v6: Family<u128, T>,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self { v4: Family::default(), v6: Family::default() }
    }
}

/// Of several values for one prefix the last one stays.
impl<T> FromIterator<(IpNet, T)> for PrefixTable<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(entries: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, value) in entries {
            match prefix.trunc() {
                IpNet::V4(net) => v4.push((net.addr().to_bits(), net.prefix_len(), value)),
                IpNet::V6(net) => v6.push((net.addr().to_bits(), net.prefix_len(), value)),
            }
        }
        Self { v4: Family::new(v4), v6: Family::new(v6) }
    }
}

impl<T> PrefixTable<T> {
    /// The value of the longest prefix that contains `address`.
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(address) => self.v4.longest(address.to_bits()),
            IpAddr::V6(address) => self.v6.longest(address.to_bits()),
        }
    }

    /// Length of the longest prefix that contains `address`, and its value.
    #[must_use]
    pub fn longest_with_length(&self, address: IpAddr) -> Option<(u8, &T)> {
        self.containing(address).next()
    }

    /// Lengths and values of all prefixes that contain `address`, from the longest to the shortest.
    pub fn containing(&self, address: IpAddr) -> Containing<'_, T> {
        match address {
            IpAddr::V4(address) => self.v4.containing(address.to_bits()),
            IpAddr::V6(address) => self.v6.containing(address.to_bits()),
        }
    }

    /// The value of exactly `prefix`.
    #[must_use]
    pub fn get(&self, prefix: IpNet) -> Option<&T> {
        // Of the prefixes that contain its first address at most one has its length: itself.
        self.containing(prefix.network())
            .find(|(length, _)| *length <= prefix.prefix_len())
            .filter(|(length, _)| *length == prefix.prefix_len())
            .map(|(_, value)| value)
    }

    /// All prefixes with their values: IPv4 first, by first address, a prefix before those it contains.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        self.v4.iter().chain(self.v6.iter())
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
