//! Addresses as numbers, most significant bit first.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The bits of an address of one family.
pub(super) trait Bits: Copy + Ord {
    /// From how many prefixes on [`Blocks`](super::blocks::Blocks) are worth their memory.
    const BLOCKS: usize;

    /// The first `count` bits, at least one and at most 31.
    fn leading(self, count: u32) -> usize;
    /// All but the first `count` bits, which must leave one, shifted to the front; zeros follow.
    fn skip(self, count: u32) -> Self;
    /// The first `length` bits, at most all; the others are zero.
    fn truncate(self, length: u8) -> Self;
    /// The prefix of `length` bits that begins at this address.
    fn prefix(self, length: u8) -> IpNet;
}

impl Bits for u32 {
    const BLOCKS: usize = 1 << 18;

    fn leading(self, count: u32) -> usize {
        (self >> (Self::BITS - count)) as usize
    }

    fn skip(self, count: u32) -> Self {
        self << count
    }

    fn truncate(self, length: u8) -> Self {
        self & !Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }

    fn prefix(self, length: u8) -> IpNet {
        Ipv4Net::new_assert(self.into(), length).into()
    }
}

impl Bits for u128 {
    /// The first 18 bits tell few IPv6 prefixes apart.
    const BLOCKS: usize = usize::MAX;

    fn leading(self, count: u32) -> usize {
        (self >> (Self::BITS - count)) as usize
    }

    fn skip(self, count: u32) -> Self {
        self << count
    }

    fn truncate(self, length: u8) -> Self {
        self & !Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }

    fn prefix(self, length: u8) -> IpNet {
        Ipv6Net::new_assert(self.into(), length).into()
    }
}
