//! Exchange of a prefix for another of the same length: netmap in IPv4, RFC 6296 in IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::packet::sum_words;

/// The address with the prefix `to` in place of `from`, which contains it and is as long. IPv6 addresses
/// keep their sum (RFC 6296): no checksum has to change for them, unless the prefix is longer than /112.
/// `None` where RFC 6296 has no translation.
///
/// # Panics
/// When the prefixes and the address are not of one family.
#[must_use]
pub fn translate_prefix(address: IpAddr, from: IpNet, to: IpNet) -> Option<IpAddr> {
    match (address, from, to) {
        (IpAddr::V4(address), IpNet::V4(from), IpNet::V4(to)) => {
            let host = u32::from(address) & u32::from(from.hostmask());
            Some(IpAddr::V4(Ipv4Addr::from(u32::from(to.network()) | host)))
        }
        (IpAddr::V6(address), IpNet::V6(from), IpNet::V6(to)) => {
            let host = u128::from(address) & u128::from(from.hostmask());
            let plain = Ipv6Addr::from(u128::from(to.network()) | host);
            neutral(address, plain, from.prefix_len()).map(IpAddr::V6)
        }
        mixed => panic!("prefixes of two families: {mixed:?}"),
    }
}

/// Words of an address, by number, that may take up the difference.
fn candidates(prefix_len: u8) -> std::ops::Range<usize> {
    match prefix_len {
        // RFC 6296 3.4: the subnet, bits 48 to 63.
        0..=48 => 3..4,
        // RFC 6296 3.5: a word of the interface identifier, wholly behind the prefix.
        _ => usize::from(prefix_len).div_ceil(16).max(4)..8,
    }
}

fn neutral(before: Ipv6Addr, plain: Ipv6Addr, prefix_len: u8) -> Option<Ipv6Addr> {
    let candidates = candidates(prefix_len);
    if candidates.is_empty() {
        return Some(plain);
    }
    let mut words = plain.segments();
    let word = candidates.into_iter().find(|word| words[*word] != 0xffff)?;
    // What the sum lost by the exchange: before - plain, in ones' complement.
    let lost = sum_words(&[sum_words(&before.segments()), !sum_words(&plain.segments())]);
    words[word] = match sum_words(&[words[word], lost]) {
        0xffff => 0,
        sum => sum,
    };
    Some(Ipv6Addr::from(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(address: &str, from: &str, to: &str) -> Option<String> {
        let parse = |net: &str| net.parse().unwrap();
        let there = translate_prefix(address.parse().unwrap(), parse(from), parse(to))?;
        let back = translate_prefix(there, parse(to), parse(from)).unwrap();
        assert_eq!(back, address.parse::<IpAddr>().unwrap(), "the way back");
        Some(there.to_string())
    }

    #[test]
    fn ipv4_is_netmap() {
        assert_eq!(translated("10.1.0.77", "10.1.0.64/26", "10.200.1.0/26"), Some("10.200.1.13".to_owned()));
    }

    #[test]
    fn the_example_of_rfc_6296_comes_out() {
        // RFC 6296 3.1: FD01:0203:0405:/48 and 2001:0DB8:0001:/48, subnet 1, differ by 0xD54F.
        assert_eq!(
            translated("fd01:203:405:1::1234", "fd01:203:405::/48", "2001:db8:1::/48"),
            Some("2001:db8:1:d550::1234".to_owned())
        );
    }

    #[test]
    fn longer_prefixes_change_the_interface_identifier() {
        // /64: fd00+1+0+1 = fd02 goes, fd00+0+0+0 = fd00 comes: word 4 takes up 2.
        assert_eq!(translated("fd00:1:0:1::5", "fd00:1:0:1::/64", "fd00::/64"), Some("fd00::2:0:0:5".into()));
        // Word 4 is all ones: word 5 takes it up.
        assert_eq!(
            translated("fd00:1:0:1:ffff::5", "fd00:1:0:1::/64", "fd00::/64"),
            Some("fd00::ffff:2:0:5".into())
        );
        // /72 ends within word 4: word 5 is the first wholly behind it. 0x0100 becomes 0x0300.
        assert_eq!(
            translated("fd00::100:0:0:5", "fd00::100:0:0:0/72", "fd00::300:0:0:0/72"),
            Some("fd00::300:fdff:0:5".into())
        );
        // /120: no word is left, the sum changes.
        assert_eq!(translated("fd00::105", "fd00::100/120", "fd00::300/120"), Some("fd00::305".into()));
    }

    #[test]
    fn all_ones_become_zero() {
        // fd00 -> fd01: the subnet must lose 1, and 0 - 1 is 0xfffe. From 0 + 0xffff (which is 0) it stays 0.
        assert_eq!(translated("fd00::9", "fd00::/48", "fd01::/48"), Some("fd01:0:0:fffe::9".into()));
        // Subnet 1 less 1 is 0xffff in ones' complement, written as zero.
        assert_eq!(translated("fd00:0:0:1::9", "fd00::/48", "fd01::/48"), Some("fd01::9".into()));
    }

    #[test]
    fn addresses_without_a_word_to_change_are_untranslatable() {
        let all_ones = "fd00:1:0:ffff::5".parse().unwrap();
        let (from, to) = ("fd00:1::/48".parse().unwrap(), "fd00:2::/48".parse().unwrap());
        assert_eq!(translate_prefix(all_ones, from, to), None);
        let all_ones = "fd00:1::ffff:ffff:ffff:ffff".parse().unwrap();
        let (from, to) = ("fd00:1::/64".parse().unwrap(), "fd00:2::/64".parse().unwrap());
        assert_eq!(translate_prefix(all_ones, from, to), None);
    }
}
