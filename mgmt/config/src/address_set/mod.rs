//! Sets of addresses of one family as disjoint ranges: what a rule's side means, whatever way it was
//! written.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::AddressMatch;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4: addresses are the numbers below 2^32.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Bits of an address.
    #[must_use]
    pub const fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The family of an address, and the address as a number.
    #[must_use]
    pub fn of(address: IpAddr) -> (Self, u128) {
        match address {
            IpAddr::V4(address) => (Self::V4, address.to_bits().into()),
            IpAddr::V6(address) => (Self::V6, address.to_bits()),
        }
    }

    const fn last(self) -> u128 {
        u128::MAX >> (128 - self.width())
    }
}

/// A prefix of a family that is known: bits behind the length are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Its first address.
    pub bits: u128,
    /// Its length.
    pub len: u8,
}

impl Block {
    /// The block of length `len`, no longer than its own, that holds it.
    #[must_use]
    pub fn truncated(self, len: u8, family: Family) -> Self {
        let host = host_mask(family.width() - len);
        Self { bits: self.bits & !host, len }
    }
}

/// A set of addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressSet {
    family: Family,
    /// First and last address: ascending, and neither overlapping nor touching each other.
    ranges: Vec<(u128, u128)>,
}

impl AddressSet {
    /// No address.
    #[must_use]
    pub fn empty(family: Family) -> Self {
        Self { family, ranges: Vec::new() }
    }

    /// Every address.
    #[must_use]
    pub fn full(family: Family) -> Self {
        Self { family, ranges: vec![(0, family.last())] }
    }

    /// The addresses of those prefixes that are of `family`.
    #[must_use]
    pub fn of_prefixes(prefixes: &[IpNet], family: Family) -> Self {
        let range = |prefix: &IpNet| {
            let ((of, first), (_, last)) = (Family::of(prefix.network()), Family::of(prefix.broadcast()));
            (of == family).then_some((first, last))
        };
        let mut ranges: Vec<_> = prefixes.iter().filter_map(range).collect();
        ranges.sort_unstable();
        Self::merged(family, ranges)
    }

    /// The addresses of `family` that a rule's side matches.
    #[must_use]
    pub fn of(side: &AddressMatch, family: Family) -> Self {
        if side.is_any() {
            return Self::full(family);
        }
        let prefixes = Self::of_prefixes(&side.prefixes, family);
        if side.negated { prefixes.complement() } else { prefixes }
    }

    /// Joins ranges, ascending by their first addresses, that overlap or touch.
    fn merged(family: Family, ascending: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut ranges: Vec<(u128, u128)> = Vec::new();
        for (first, last) in ascending {
            match ranges.last_mut() {
                Some((_, end)) if *end == u128::MAX || first <= *end + 1 => *end = last.max(*end),
                _ => ranges.push((first, last)),
            }
        }
        Self { family, ranges }
    }

    fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut open = Some(0);
        for (first, last) in &self.ranges {
            if let Some(start) = open.filter(|start| start < first) {
                ranges.push((start, first - 1));
            }
            open = (*last < self.family.last()).then(|| last + 1);
        }
        ranges.extend(open.map(|start| (start, self.family.last())));
        Self { family: self.family, ranges }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// First and last addresses of its ranges: ascending, none touching the next.
    #[must_use]
    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.ranges
    }

    /// Whether it holds no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether it holds `address`.
    #[must_use]
    pub fn contains(&self, address: u128) -> bool {
        let next = self.ranges.partition_point(|(first, _)| *first <= address);
        next > 0 && address <= self.ranges[next - 1].1
    }

    /// Whether it holds every address of `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.family == other.family
            && other.ranges.iter().all(|(first, last)| {
                let next = self.ranges.partition_point(|(start, _)| start <= first);
                next > 0 && *last <= self.ranges[next - 1].1
            })
    }

    /// Whether it shares no address with `other`.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.family != other.family
            || other.ranges.iter().all(|(first, last)| {
                let next = self.ranges.partition_point(|(_, end)| end < first);
                self.ranges.get(next).is_none_or(|(start, _)| start > last)
            })
    }

    /// The prefixes it is made of, ascending and as short as can be: every prefix that lies within the
    /// set lies within one of them. `None`: more than `most`.
    #[must_use]
    pub fn blocks(&self, most: usize) -> Option<Vec<Block>> {
        let mut blocks = Vec::new();
        for (first, last) in &self.ranges {
            let mut at = *first;
            loop {
                let (block, end) = self.block_at(at, *last);
                if blocks.len() == most {
                    return None;
                }
                blocks.push(block);
                if end == *last {
                    break;
                }
                at = end + 1;
            }
        }
        Some(blocks)
    }

    /// The first of [`Self::blocks`].
    #[must_use]
    pub fn first_block(&self) -> Option<Block> {
        self.ranges.first().map(|(first, last)| self.block_at(*first, *last).0)
    }

    /// The shortest prefix that begins at `first` and does not go beyond `last`; its last address.
    fn block_at(&self, first: u128, last: u128) -> (Block, u128) {
        let width = self.family.width();
        let aligned = (first.trailing_zeros() as u8).min(width);
        // Bits of the largest power of two that is no more than the length of the range.
        let fits = match (last - first).checked_add(1) {
            Some(length) => length.ilog2() as u8,
            None => 128,
        };
        let host = aligned.min(fits);
        (Block { bits: first, len: width - host }, first | host_mask(host))
    }

    /// The least set that holds this one and is made of prefixes no longer than `len`.
    #[must_use]
    pub fn widened(&self, len: u8) -> Self {
        let host = host_mask(self.family.width() - len);
        Self::merged(self.family, self.ranges.iter().map(|(first, last)| (first & !host, last | host)))
    }
}

const fn host_mask(bits: u8) -> u128 {
    if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
}
