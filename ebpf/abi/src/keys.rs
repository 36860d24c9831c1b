//! Layouts of map keys. They are made of words, because the BPF target copies what is aligned to bytes byte by
//! byte.

use core::mem::{align_of, offset_of, size_of};

/// An IPv6 address, or an IPv4 address in v4-mapped form (`::ffff:a.b.c.d`): 16 bytes in network order.
///
/// A v4-mapped address never stands for a packet of IPv6: the program drops those as malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Address {
    words: [u64; 2],
}

impl Address {
    /// `::`.
    pub const UNSPECIFIED: Self = Self { words: [0; 2] };

    /// An IPv6 address from its two halves, as they lie in a packet.
    #[inline(always)]
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self { words: [high, low] }
    }

    /// An IPv6 address.
    pub const fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self::from_halves(
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
        )
    }

    /// The v4-mapped form of an IPv4 address.
    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self::from_halves(0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d]))
    }

    /// Whether the address is v4-mapped.
    #[inline(always)]
    pub const fn is_v4_mapped(&self) -> bool {
        const MAPPED: u64 = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        const MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        self.words[0] == 0 && self.words[1] & MASK == MAPPED
    }

    /// The first two bytes, in which IPv6 multicast (`ff00::/8`) and link-local (`fe80::/10`) differ.
    #[inline(always)]
    pub const fn first_two(&self) -> [u8; 2] {
        let [first, second, ..] = self.words[0].to_ne_bytes();
        [first, second]
    }
}

/// The data of a key of the prefix tries (`BPF_MAP_TYPE_LPM_TRIE`), 20 bytes; the kernel's `u32` prefix
/// length precedes it.
///
/// The family comes first, so that `::/0` does not hold every v4-mapped address as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct PrefixKey {
    /// 4 or 6, in network order.
    family: u32,
    address: [u32; 4],
}

impl PrefixKey {
    /// Key and trie prefix length of `octets/length`. `length` counts bits of the IPv4 address (0 to 32).
    pub const fn v4(octets: [u8; 4], length: u8) -> (u32, Self) {
        (32 + 96 + length as u32, Self::of(4, Address::v4(octets)))
    }

    /// Key and trie prefix length of `octets/length`, 0 to 128.
    pub const fn v6(octets: [u8; 16], length: u8) -> (u32, Self) {
        (32 + length as u32, Self::of(6, Address::v6(octets)))
    }

    const fn of(family: u32, address: Address) -> Self {
        let [a, b] = halves(address.words[0]);
        let [c, d] = halves(address.words[1]);
        Self { family: family.to_be(), address: [a, b, c, d] }
    }
}

/// A whole key of the prefix tries that matches one address, 24 bytes: what the program looks up. Aligned to
/// double words, as the verifier wants what lies on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct HostKey {
    prefix_length: u32,
    family: u32,
    address: Address,
}

impl HostKey {
    /// Family and address, whole.
    const PREFIX_LENGTH: u32 = 32 + 128;

    /// The key of `address`.
    #[inline(always)]
    pub const fn new(address: Address) -> Self {
        let family: u32 = if address.is_v4_mapped() { 4 } else { 6 };
        Self { prefix_length: Self::PREFIX_LENGTH, family: family.to_be(), address }
    }
}

/// The two words of a double word, in the order in which they lie.
const fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// Key of the listener map, 24 bytes: what a Layer 4 listener is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct ListenerKey {
    address: Address,
    /// Network order.
    port: u16,
    protocol: u16,
    zero: u32,
}

impl ListenerKey {
    /// `protocol` is an IP protocol number.
    #[inline(always)]
    pub const fn new(address: Address, protocol: u8, port: u16) -> Self {
        Self { address, port: port.to_be(), protocol: protocol as u16, zero: 0 }
    }
}

/// Key of the fragment map, 40 bytes: what the fragments of one datagram have in common (RFC 791 2.3,
/// RFC 8200 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// The datagram among those of this pair.
    pub datagram: DatagramId,
}

/// What tells the fragmented datagrams between two addresses apart. Aligned as a whole, because it is copied as
/// a double word and the verifier wants those aligned on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C, align(8))]
pub struct DatagramId {
    /// As it lies in the packet; of IPv4 the lower half.
    pub identification: u32,
    /// IPv4 protocol. Zero for IPv6, where the identification alone is enough.
    pub protocol: u32,
}

/// No padding: the kernel hashes and compares the bytes as they lie.
const _: () = {
    assert!(size_of::<Address>() == 16 && align_of::<Address>() == 8);
    assert!(size_of::<PrefixKey>() == 20 && offset_of!(PrefixKey, address) == 4);
    assert!(
        size_of::<HostKey>() == 24 && offset_of!(HostKey, family) == 4 && offset_of!(HostKey, address) == 8
    );
    assert!(size_of::<ListenerKey>() == 24);
    assert!(offset_of!(ListenerKey, port) == 16 && offset_of!(ListenerKey, protocol) == 18);
    assert!(offset_of!(ListenerKey, zero) == 20);
    assert!(size_of::<FragmentKey>() == 40 && offset_of!(FragmentKey, destination) == 16);
    assert!(offset_of!(FragmentKey, datagram) == 32 && size_of::<DatagramId>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_of_ipv6_does_not_hold_ipv4() {
        let (length, everything) = PrefixKey::v6([0; 16], 0);
        assert_eq!(length, 32);
        assert_ne!(everything.family, HostKey::new(Address::v4([192, 0, 2, 1])).family);
    }

    #[test]
    fn a_host_prefix_of_either_family_equals_the_lookup_key() {
        let pairs = [
            (PrefixKey::v4([10, 0, 0, 1], 32), Address::v4([10, 0, 0, 1])),
            (PrefixKey::v6([0x20; 16], 128), Address::v6([0x20; 16])),
        ];
        for ((length, prefix), address) in pairs {
            let host = HostKey::new(address);
            assert_eq!(
                (length, prefix),
                (host.prefix_length, PrefixKey::of(prefix.family.swap_bytes(), address))
            );
            assert_eq!(host.family, prefix.family);
        }
    }

    #[test]
    fn knows_v4_mapped_addresses() {
        assert!(Address::v4([0; 4]).is_v4_mapped());
        assert_eq!(
            Address::v4([1, 2, 3, 4]),
            Address::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4])
        );
        assert!(!Address::UNSPECIFIED.is_v4_mapped());
        assert!(!Address::v6([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 1, 2, 3, 4]).is_v4_mapped());
        assert_eq!(
            Address::v6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).first_two(),
            [0xfe, 0x80]
        );
    }
}
