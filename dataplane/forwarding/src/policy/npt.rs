//! Network prefix translation of IPv6 (RFC 6296): stateless, one to one, and checksum-neutral.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

const WORDS: usize = 8;
/// Prefixes up to this length are told apart by the subnet word behind them (RFC 6296, 3.4).
const SUBNET_END: u8 = 48;
/// The word that takes the adjustment then.
const SUBNET_WORD: usize = 3;
/// The first word of the interface identifier, which takes it otherwise (RFC 6296, 3.5).
const IDENTIFIER_WORD: usize = 4;

/// Translates addresses of one prefix into another of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Npt {
    to: Ipv6Net,
    /// What the new prefix's sum lacks of the old one's, in one's complement.
    adjustment: u16,
}

impl Npt {
    pub(super) fn new(from: Ipv6Net, to: Ipv6Net) -> Self {
        let sum = |prefix: Ipv6Net| {
            let words = prefix.network().segments();
            words.into_iter().fold(0, add)
        };
        Self { to, adjustment: add(sum(from), !sum(to)) }
    }

    /// The counterpart of `address`; `None` for those that RFC 6296 has none for.
    ///
    /// Behind a prefix longer than 112 bits no whole word is left to adjust: the prefix is exchanged, and the
    /// transport's checksum is left to whoever rewrites the packet.
    pub(super) fn translate(&self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        let length = self.to.prefix_len();
        let host = address.to_bits() & self.to.hostmask().to_bits();
        let mut words = Ipv6Addr::from_bits(self.to.network().to_bits() | host).segments();
        let Some(place) = self.place(length, &words)? else {
            return Some(words.into());
        };
        let adjusted = add(words[place], self.adjustment);
        // The two zeros of one's complement: the other one stands for an address that has no counterpart.
        words[place] = if adjusted == 0xffff { 0 } else { adjusted };
        Some(words.into())
    }

    /// The word that takes the adjustment: `None` where every one that could is 0xffff, `Some(None)` where the
    /// prefix leaves none.
    fn place(&self, length: u8, words: &[u16; WORDS]) -> Option<Option<usize>> {
        if length <= SUBNET_END {
            return (words[SUBNET_WORD] != 0xffff).then_some(Some(SUBNET_WORD));
        }
        let first = usize::from(length).div_ceil(16).max(IDENTIFIER_WORD);
        if first == WORDS {
            return Some(None);
        }
        (first..WORDS).find(|place| words[*place] != 0xffff).map(Some)
    }
}

/// One's complement addition.
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridway_wire::checksum::checksum;
    use proptest::prelude::*;

    fn npt(from: &str, to: &str) -> Npt {
        Npt::new(from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn follows_the_example_of_rfc_6296() {
        let out = npt("fd01:203:405::/48", "2001:db8:1::/48");
        let inner: Ipv6Addr = "fd01:203:405:1::1234".parse().unwrap();
        let outer: Ipv6Addr = "2001:db8:1:d550::1234".parse().unwrap();
        assert_eq!(out.translate(inner), Some(outer));
        assert_eq!(npt("2001:db8:1::/48", "fd01:203:405::/48").translate(outer), Some(inner));
    }

    #[test]
    fn an_address_whose_words_are_all_ones_has_no_counterpart() {
        let out = npt("fd01::/48", "fd02::/48");
        assert_eq!(out.translate("fd01:0:0:ffff::1".parse().unwrap()), None);
        let out = npt("fd01::/64", "fd02::/64");
        assert_eq!(out.translate("fd01::ffff:ffff:ffff:ffff".parse().unwrap()), None);
    }

    #[test]
    fn a_single_host_is_exchanged() {
        let out = npt("fd01::7/128", "fd02::9/128");
        assert_eq!(out.translate("fd01::7".parse().unwrap()), Some("fd02::9".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn is_checksum_neutral_and_has_an_inverse(
            from in any::<u128>(), to in any::<u128>(), host in any::<u128>(), length in 1u8..=112,
        ) {
            let prefix = |bits: u128| Ipv6Net::new(bits.into(), length).unwrap().trunc();
            let (from, to) = (prefix(from), prefix(to));
            let address = Ipv6Addr::from_bits(from.network().to_bits() | host & from.hostmask().to_bits());
            if let Some(there) = Npt::new(from, to).translate(address) {
                prop_assert!(to.contains(&there));
                // Zero and 0xffff are one number in one's complement.
                let sum = |address: Ipv6Addr| u32::from(!checksum(&address.octets())) % 0xffff;
                prop_assert_eq!(sum(there), sum(address));
                prop_assert_eq!(Npt::new(to, from).translate(there), Some(address));
            }
        }
    }
}
