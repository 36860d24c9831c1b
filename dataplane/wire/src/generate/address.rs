//! Addresses that may be forwarded.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

/// Unicast addresses that a router forwards, class E left out.
pub fn ipv4_address() -> impl Strategy<Value = Ipv4Addr> {
    let first = prop_oneof![Just(10u8), 1u8..=126, 128u8..=168, 170u8..=223];
    (first, any::<[u8; 3]>()).prop_map(|(first, [b, c, d])| Ipv4Addr::new(first, b, c, d))
}

/// Global and unique local unicast addresses.
pub fn ipv6_address() -> impl Strategy<Value = Ipv6Addr> {
    let first = prop_oneof![Just(0xfd00u16), 0x2000u16..=0x3fff, 0xfc00u16..=0xfdff];
    let rest = prop_oneof![Just([0u16, 0, 0, 0, 0, 0, 1]), any::<[u16; 7]>()];
    (first, rest).prop_map(|(first, [b, c, d, e, f, g, h])| Ipv6Addr::new(first, b, c, d, e, f, g, h))
}
