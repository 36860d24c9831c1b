//! The Internet checksum: in full (RFC 1071) and updated for what changed (RFC 1624).
//!
//! One's complement has two zeros. Every sum here keeps its class modulo 0xffff and stays non-zero once it is:
//! a sum is 0 only if all that was summed is 0.

use std::net::IpAddr;

use crate::protocol::Protocol;

/// Folds carries back until 16 bits remain; 0 only for 0. Each half is added to the other: the carry that this
/// makes in the lower half lands in the upper.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}
const _: () = assert!(fold(0) == 0 && fold(0xffff) == 0xffff && fold(0x1_0000) == 1);
const _: () = assert!(fold(u64::MAX) == 0xffff && fold(0xffff_0000_0000_0000) == 0xffff);
const _: () = assert!(fold(0x0001_ffff_ffff_ffff) == 1);

/// Pairs of words from which on they are summed in the machine's own order.
const LONG: usize = 32;

/// A one's complement sum of big-endian 16-bit words.
///
/// Holds up to 2^31 additions without overflow, far more than any packet has words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1): `length` is that of the
    /// transport header and its payload, in bytes. Both addresses are of one family.
    #[inline]
    #[must_use]
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: Protocol, length: usize) -> Self {
        Self(length as u64 + u64::from(protocol.0)).address(source).address(destination)
    }

    /// Adds one word.
    #[inline]
    #[must_use]
    pub const fn word(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds the words of an address.
    #[inline]
    #[must_use]
    pub fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.bytes(&v4.octets()),
            IpAddr::V6(v6) => self.bytes(&v6.octets()),
        }
    }

    /// Adds the words of `bytes`; an odd last byte is followed by a zero.
    #[inline]
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Two words at a time: 2^16 is 1 modulo 0xffff, so the halves fold onto each other.
        let (pairs, rest) = bytes.as_chunks::<4>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let sum = if pairs.len() < LONG {
            pairs.iter().fold(0, |sum, pair| sum + u64::from(u32::from_be_bytes(*pair)))
        } else {
            // In the machine's own order, which makes no difference but in the result (RFC 1071, 2 B): no swapping on the
            // way leaves the processor several words at a time.
            let sum = pairs.iter().fold(0, |sum, pair| sum + u64::from(u32::from_ne_bytes(*pair)));
            u64::from(u16::from_be_bytes(fold(sum).to_ne_bytes()))
        };
        Self(self.0 + sum + u64::from(u32::from_be_bytes(last)))
    }

    /// The checksum to store: the complement of the sum.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !fold(self.0)
    }

    /// Whether data that was summed with its checksum in place is intact.
    #[inline]
    pub const fn is_intact(self) -> bool {
        fold(self.0) == 0xffff
    }
}

/// The checksum of `bytes` without a pseudo-header: an IPv4 header's or an ICMPv4 message's, whose checksum
/// field is zero at the time.
pub fn checksum(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).checksum()
}

/// What a number of replaced words does to a checksum (RFC 1624, equation 3): `HC' = ~(~HC + ~m + m')`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference(u64);

impl Difference {
    /// Nothing was replaced.
    pub const ZERO: Self = Self(0);

    /// The word `old` became `new`.
    #[inline]
    pub const fn replace_u16(&mut self, old: u16, new: u16) {
        self.0 += !old as u64 + new as u64;
    }

    /// Two adjacent words became others.
    #[inline]
    pub const fn replace_u32(&mut self, old: u32, new: u32) {
        self.0 += !old as u64 + new as u64;
    }

    /// Eight adjacent words became others: an IPv6 address.
    #[inline]
    pub const fn replace_u128(&mut self, old: u128, new: u128) {
        let mut shift = 0;
        while shift < u128::BITS {
            self.replace_u32((old >> shift) as u32, (new >> shift) as u32);
            shift += u32::BITS;
        }
    }

    /// Adds what another difference holds.
    #[inline]
    pub const fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    /// The checksum after the replacements. Wrong stays wrong by the same amount: an error on the way here
    /// is still found by the receiver.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + !checksum as u64)
    }

    /// As [`apply`](Self::apply) for UDP (RFC 768): 0 says that there is no checksum and stays, and a result
    /// of 0 is stored as 0xffff.
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            updated => updated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn follows_the_example_of_rfc_1071() {
        let sum = Sum::ZERO.bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(!sum.checksum(), 0xddf2);
    }

    #[test]
    fn follows_the_example_of_rfc_1624() {
        let mut difference = Difference::ZERO;
        difference.replace_u16(0x5555, 0x3285);
        assert_eq!(difference.apply(0xdd2f), 0x0000);
    }

    #[test]
    fn udp_keeps_zero_and_never_makes_one() {
        let mut difference = Difference::ZERO;
        difference.replace_u16(0x5555, 0x3285);
        assert_eq!(difference.apply_udp(0xdd2f), 0xffff);
        assert_eq!(difference.apply_udp(0), 0);
    }

    /// Sums byte by byte, as slowly and plainly as RFC 1071 states it.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn is_the_plain_sum(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(checksum(&bytes), plain(&bytes));
        }

        #[test]
        fn a_difference_equals_summing_again(
            mut words in proptest::collection::vec(prop_oneof![Just(0u16), Just(0xffff), any::<u16>()], 12),
            new16 in prop_oneof![Just(0u16), Just(0xffff), any::<u16>()],
            new32 in prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()],
            new128 in any::<u128>(),
        ) {
            // A word that never changes and is not zero, as in every real header, keeps the zeros apart.
            words[11] |= 0x4000;
            let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
            let before = checksum(&bytes(&words));
            let old = bytes(&words);
            let mut difference = Difference::ZERO;
            difference.replace_u16(words[0], new16);
            difference.replace_u32(u32::from_be_bytes(old[2..6].try_into().unwrap()), new32);
            difference.replace_u128(u128::from_be_bytes(old[6..22].try_into().unwrap()), new128);
            let mut new = new16.to_be_bytes().to_vec();
            new.extend(new32.to_be_bytes());
            new.extend(new128.to_be_bytes());
            new.extend(&old[22..]);
            prop_assert_eq!(difference.apply(before), checksum(&new));
        }
    }
}
