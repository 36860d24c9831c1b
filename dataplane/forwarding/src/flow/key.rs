//! Flow keys: a 5-tuple and its address space, packed into words that atomics can hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gridway_wire::plain::{Ends, Plain};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;

use crate::ids::VnetId;

/// Words of a key: two addresses (IPv4 as IPv4-mapped IPv6, RFC 4291, 2.5.5.2), then scope, protocol
/// and ports.
pub(super) const WORDS: usize = 5;

const LOCAL_SCOPE: u16 = u16::MAX;
/// The upper part of an IPv4-mapped address's lower word.
const V4_MAPPED: u64 = 0xffff_0000_0000;
/// Set in every key, so that no key equals the cleared words of a free slot.
const LIVE: u64 = 1 << 63;

/// What a flow is found by: the tuple of a packet in the space it arrived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub(super) [u64; WORDS]);

impl Key {
    /// Key of a packet as local hosts send it. Which vnet it belongs to follows from its addresses,
    /// because the selectors of a node's vnets are disjoint.
    #[must_use]
    pub fn local(tuple: &FiveTuple) -> Self {
        Self::new(LOCAL_SCOPE, tuple)
    }

    /// Key of a packet as it arrives from the overlay.
    #[must_use]
    pub fn overlay(vnet: VnetId, tuple: &FiveTuple) -> Self {
        Self::new(vnet.0, tuple)
    }

    /// [`Self::local`] of a plain packet.
    #[inline]
    #[must_use]
    pub fn plain_local(plain: &Plain) -> Self {
        Self::plain(LOCAL_SCOPE, plain)
    }

    /// [`Self::overlay`] of a plain packet.
    #[inline]
    #[must_use]
    pub fn plain_overlay(vnet: VnetId, plain: &Plain) -> Self {
        Self::plain(vnet.0, plain)
    }

    #[inline]
    fn plain(scope: u16, plain: &Plain) -> Self {
        let Ends { source, destination, ports } = plain.ends;
        let rest =
            LIVE | u64::from(scope & 0x7fff) << 40 | u64::from(plain.protocol.0) << 32 | u64::from(ports);
        Self([0, V4_MAPPED | u64::from(source), 0, V4_MAPPED | u64::from(destination), rest])
    }

    /// The ends of a packet in the opposite direction; of a key of IPv4.
    #[inline]
    #[must_use]
    pub fn reversed_ends(&self) -> Ends {
        let [_, source, _, destination, rest] = self.0;
        let ports = (rest & 0xffff_ffff) as u32;
        Ends {
            source: (destination & 0xffff_ffff) as u32,
            destination: (source & 0xffff_ffff) as u32,
            ports: ports.rotate_left(16),
        }
    }

    fn new(scope: u16, tuple: &FiveTuple) -> Self {
        let [source_high, source_low] = address_words(tuple.source);
        let [destination_high, destination_low] = address_words(tuple.destination);
        let rest = LIVE
            | u64::from(scope & 0x7fff) << 40
            | u64::from(tuple.protocol.0) << 32
            | u64::from(tuple.source_port) << 16
            | u64::from(tuple.destination_port);
        Self([source_high, source_low, destination_high, destination_low, rest])
    }

    /// Whether this is a key of packets as local hosts send them.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0[WORDS - 1] >> 40 & 0x7fff == u64::from(LOCAL_SCOPE & 0x7fff)
    }

    /// The tuple the key was made of.
    #[must_use]
    pub fn tuple(&self) -> FiveTuple {
        let [source_high, source_low, destination_high, destination_low, rest] = self.0;
        let [.., protocol, s1, s0, d1, d0] = rest.to_be_bytes();
        FiveTuple {
            source: address(source_high, source_low),
            destination: address(destination_high, destination_low),
            protocol: Protocol(protocol),
            source_port: u16::from_be_bytes([s1, s0]),
            destination_port: u16::from_be_bytes([d1, d0]),
        }
    }
}

fn address_words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [0, V4_MAPPED | u64::from(v4.to_bits())],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let (high, low) = ((bits >> 64) as u64, (bits & u128::from(u64::MAX)) as u64);
            [high, low]
        }
    }
}

fn address(high: u64, low: u64) -> IpAddr {
    // By words: the library's way takes an address apart by bytes, twice for each packet.
    if high == 0 && low >> 32 == 0xffff {
        IpAddr::V4(Ipv4Addr::from_bits((low & 0xffff_ffff) as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str) -> FiveTuple {
        FiveTuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: Protocol::TCP,
            source_port: 40_000,
            destination_port: 443,
        }
    }

    #[test]
    fn a_key_gives_its_tuple_back() {
        for tuple in [tuple("10.1.0.2", "172.16.2.2"), tuple("fd00:1::2", "fd00:2::2")] {
            assert_eq!(Key::local(&tuple).tuple(), tuple);
            assert_eq!(Key::overlay(VnetId(7), &tuple).tuple(), tuple);
        }
    }

    #[test]
    fn the_same_tuple_in_different_spaces_has_different_keys() {
        let tuple = tuple("10.1.0.2", "10.2.0.2");
        let keys = [Key::local(&tuple), Key::overlay(VnetId(0), &tuple), Key::overlay(VnetId(1), &tuple)];
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
        assert_ne!(keys[0], keys[2]);
    }
}
