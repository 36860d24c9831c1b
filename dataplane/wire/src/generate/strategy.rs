//! Strategies for packets and for what is changed in them.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::address::{ipv4_address, ipv6_address};
use super::packet::{Content, PacketSpec};
use crate::packet::IpVersion;
use crate::protocol::Protocol;
use crate::rewrite::Rewrite;

/// Any transport but an ICMP error.
pub fn any_content() -> impl Strategy<Value = Content> {
    let port = || prop_oneof![Just(0u16), Just(0xffff), any::<u16>()];
    prop_oneof![
        3 => ((port(), port()), any::<u8>(), 0usize..=10)
            .prop_map(|(ports, flags, option_words)| Content::Tcp { ports, flags, option_words }),
        3 => ((port(), port()), any::<bool>()).prop_map(|(ports, checksum)| Content::Udp { ports, checksum }),
        3 => (port(), port(), any::<bool>())
            .prop_map(|(identifier, sequence, reply)| Content::Echo { identifier, sequence, reply }),
        1 => prop_oneof![Just(Protocol::GRE), Just(Protocol::ESP), Just(Protocol::SCTP), Just(Protocol(253))]
            .prop_map(Content::Other),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..64),
        1 => vec(prop_oneof![Just(0u8), Just(0xff)], 0..16),
        1 => vec(any::<u8>(), 0..1460),
    ]
}

/// Whole IPv4 packets that may be forwarded, none an ICMP error.
pub fn ipv4_packet() -> impl Strategy<Value = PacketSpec> {
    (ipv4_address(), ipv4_address(), any::<u8>(), any::<u8>(), extras(), any_content(), payload()).prop_map(
        |(source, destination, ttl, class, extras, content, payload)| PacketSpec {
            source: IpAddr::V4(source),
            destination: IpAddr::V4(destination),
            ttl,
            class,
            extras,
            content,
            payload,
        },
    )
}

/// Whole IPv6 packets that may be forwarded, none an ICMP error.
pub fn ipv6_packet() -> impl Strategy<Value = PacketSpec> {
    (ipv6_address(), ipv6_address(), any::<u8>(), any::<u8>(), extras(), any_content(), payload()).prop_map(
        |(source, destination, ttl, class, extras, content, payload)| PacketSpec {
            source: IpAddr::V6(source),
            destination: IpAddr::V6(destination),
            ttl,
            class,
            extras,
            content,
            payload,
        },
    )
}

fn extras() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0usize), 1 => 1usize..=10]
}

/// Whole packets of either version.
pub fn packet() -> impl Strategy<Value = PacketSpec> {
    prop_oneof![ipv4_packet(), ipv6_packet()]
}

/// ICMP errors (and the packet that they are about) of either version; the quote may be cut after the 8 bytes of
/// transport header that are always there.
pub fn error_packet() -> impl Strategy<Value = (PacketSpec, PacketSpec)> {
    let v4 = (ipv4_packet(), ipv4_address().prop_map(IpAddr::V4), prop_oneof![Just(3u8), Just(11), Just(12)]);
    let v6 = (ipv6_packet(), ipv6_address().prop_map(IpAddr::V6), 1u8..=4);
    (prop_oneof![v4.boxed(), v6.boxed()], 0usize..600, any::<u8>()).prop_map(
        |((mut offending, router, kind), kept, ttl)| {
            // What has no transport header of its own still has 8 bytes to quote.
            if matches!(offending.content, Content::Other(_)) {
                offending.payload.resize(offending.payload.len().max(8), 0);
            }
            let bytes = offending.to_bytes();
            let least = offending.ip_header_len() + 8;
            let error = PacketSpec {
                source: router,
                destination: offending.source,
                ttl,
                class: 0,
                extras: 0,
                content: Content::Error { kind, code: 0 },
                payload: bytes[..bytes.len().min(least + kept)].to_vec(),
            };
            (error, offending)
        },
    )
}

/// Changes of addresses and ports that fit packets of `version`; none of the TTL.
pub fn rewrite_for(version: IpVersion) -> BoxedStrategy<Rewrite> {
    let address = match version {
        IpVersion::V4 => ipv4_address().prop_map(IpAddr::V4).boxed(),
        IpVersion::V6 => ipv6_address().prop_map(IpAddr::V6).boxed(),
    };
    let port = || proptest::option::of(prop_oneof![Just(0u16), Just(0xffff), any::<u16>()]);
    (proptest::option::of(address.clone()), proptest::option::of(address), port(), port())
        .prop_map(|(source, destination, source_port, destination_port)| Rewrite {
            source,
            destination,
            source_port,
            destination_port,
            decrement_ttl: false,
        })
        .boxed()
}
