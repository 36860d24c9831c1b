//! ICMP errors: made, read and translated, with etherparse as the judge of every checksum.

mod common;

use std::net::IpAddr;

use common::{inverse, tuple_after};
use gridway_wire::generate::{Content, PacketSpec, error_packet, judge, packet, rewrite_for};
use gridway_wire::icmp::{IcmpError, QuotedPacket, build_error, quoted, rewrite_error};
use gridway_wire::packet::{Fragment, IpVersion, Packet, Transport, parse};
use gridway_wire::protocol::Protocol;
use gridway_wire::rewrite::{Rewrite, RewriteError};
use proptest::prelude::*;

const KINDS: [IcmpError; 8] = [
    IcmpError::TimeExceeded,
    IcmpError::NetUnreachable,
    IcmpError::HostUnreachable,
    IcmpError::NetUnknown,
    IcmpError::HostUnknown,
    IcmpError::AdminProhibited,
    IcmpError::PortUnreachable,
    IcmpError::FragmentationNeeded { mtu: 1400 },
];

fn router(version: IpVersion) -> IpAddr {
    match version {
        IpVersion::V4 => "192.0.2.1".parse().expect("an address"),
        IpVersion::V6 => "2001:db8::1".parse().expect("an address"),
    }
}

fn udp(payload: usize, v6: bool) -> PacketSpec {
    let (source, destination) = if v6 { ("fd00::1", "fd00::2") } else { ("10.1.0.2", "10.2.0.2") };
    PacketSpec {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        ttl: 1,
        class: 0,
        extras: 0,
        content: Content::Udp { ports: (4000, 53), checksum: true },
        payload: vec![0x5a; payload],
    }
}

fn error_and_changes() -> impl Strategy<Value = (PacketSpec, PacketSpec, Rewrite, Rewrite)> {
    error_packet().prop_flat_map(|(error, offending)| {
        let version = error.version();
        (Just(error), Just(offending), rewrite_for(version), rewrite_for(version))
    })
}

/// The packet with its quote, which every generated error has.
fn read(bytes: &[u8]) -> (Packet, QuotedPacket) {
    let packet = parse(bytes).expect("a valid packet");
    let quoted = quoted(bytes, &packet).expect("a usable quote");
    (packet, quoted)
}

proptest! {
    #[test]
    fn an_error_is_valid_and_quotes_its_packet(spec in packet(), kind in prop::sample::select(&KINDS[..])) {
        let offending = spec.to_bytes();
        let packet = parse(&offending).unwrap();
        let source = router(packet.version);
        let mut out = [0x77; 1500];
        let length = build_error(&offending, &packet, kind, source, &mut out).unwrap();
        let error = &out[..length];
        judge(error).map_err(TestCaseError::fail)?;
        let (most, header) = if packet.version == IpVersion::V4 { (576, 28) } else { (1280, 48) };
        prop_assert_eq!(length, most.min(header + offending.len()));
        prop_assert_eq!(&error[header..], &offending[..length - header]);
        let (outer, inner) = read(error);
        prop_assert_eq!((outer.tuple.source, outer.tuple.destination), (source, spec.source));
        prop_assert_eq!(outer.transport, Transport::IcmpError { quoted: header });
        prop_assert_eq!(inner.tuple, spec.tuple());
        prop_assert_eq!(inner.l4_offset, header + packet.l4_offset);

        // No error about an error.
        prop_assert_eq!(build_error(error, &outer, kind, source, &mut [0; 1500]), None);
        // Nothing where it does not fit.
        prop_assert_eq!(build_error(&offending, &packet, kind, source, &mut [0; 1500][..length - 1]), None);
    }

    #[test]
    fn reads_the_quoted_packet((error, offending) in error_packet()) {
        let bytes = error.to_bytes();
        let (packet, quoted) = read(&bytes);
        prop_assert_eq!(quoted.tuple, offending.tuple());
        prop_assert_eq!(quoted.fragment, Fragment::None);
        prop_assert_eq!(quoted.icmp_query, matches!(offending.content, Content::Echo { .. }));
        prop_assert_eq!(quoted.end, packet.total_len);
        prop_assert_eq!(quoted.l4_offset - quoted.ip_offset, offending.ip_header_len());
    }

    #[test]
    fn a_translated_error_is_valid_and_so_is_its_quote(
        (error, offending, outer, inner) in error_and_changes(), decrement_ttl in any::<bool>(),
    ) {
        let mut bytes = error.to_bytes();
        let (packet, quote) = read(&bytes);
        rewrite_error(&mut bytes, &packet, &quote, &Rewrite { decrement_ttl, ..outer }, &inner).unwrap();
        judge(&bytes).map_err(TestCaseError::fail)?;
        let (after, quote_after) = read(&bytes);
        prop_assert_eq!(after.tuple.source, outer.source.unwrap_or(error.source));
        prop_assert_eq!(after.tuple.destination, outer.destination.unwrap_or(error.destination));
        prop_assert_eq!(after.ttl, error.ttl.saturating_sub(u8::from(decrement_ttl)));
        prop_assert_eq!(quote_after.tuple, tuple_after(offending.tuple(), &inner));
        // The quote by itself, where all of it is there.
        if error.payload.len() == offending.to_bytes().len() {
            judge(&bytes[quote.ip_offset..quote.end]).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn there_and_back_is_identity((error, offending, outer, inner) in error_and_changes()) {
        let original = error.to_bytes();
        let mut bytes = original.clone();
        let (packet, quote) = read(&bytes);
        rewrite_error(&mut bytes, &packet, &quote, &outer, &inner).unwrap();
        let back = inverse(&offending.tuple(), &inner);
        rewrite_error(&mut bytes, &packet, &quote, &inverse(&packet.tuple, &outer), &back).unwrap();
        prop_assert_eq!(bytes, original);
    }

    #[test]
    fn a_mutated_error_never_panics(
        (error, _, outer, inner) in error_and_changes(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = error.to_bytes();
        let start = error.ip_header_len();
        for (index, value) in mutations {
            let at = start + index.index(bytes.len() - start);
            bytes[at] = value;
        }
        if let Ok(packet) = parse(&bytes)
            && let Some(quote) = quoted(&bytes, &packet)
        {
            rewrite_error(&mut bytes, &packet, &quote, &outer, &inner).unwrap();
        }
    }
}

#[test]
fn each_kind_has_the_type_and_code_of_its_rfc() {
    let v4 = [[11, 0], [3, 0], [3, 1], [3, 6], [3, 7], [3, 13], [3, 3], [3, 4]];
    let v6 = [[3, 0], [1, 0], [1, 3], [1, 0], [1, 3], [1, 1], [1, 4], [2, 0]];
    for (is_v6, codes, l4) in [(false, v4, 20), (true, v6, 40)] {
        let offending = udp(10, is_v6).to_bytes();
        let packet = parse(&offending).unwrap();
        for (kind, code) in KINDS.into_iter().zip(codes) {
            let mut out = [0; 576];
            build_error(&offending, &packet, kind, router(packet.version), &mut out).unwrap();
            assert_eq!(out[l4..l4 + 2], code, "{kind:?}");
            let mtu = if matches!(kind, IcmpError::FragmentationNeeded { .. }) { 1400u32 } else { 0 };
            assert_eq!(out[l4 + 4..l4 + 8], mtu.to_be_bytes(), "{kind:?}");
            assert_eq!(out[l4 - 12 - usize::from(is_v6) * 21], 64, "{kind:?}: TTL");
        }
    }
}

#[test]
fn no_error_about_what_may_not_be_answered() {
    let refuse = |bytes: &[u8]| {
        let packet = parse(bytes).unwrap();
        build_error(bytes, &packet, IcmpError::TimeExceeded, router(packet.version), &mut [0; 1500])
    };
    let fixed = |mut bytes: Vec<u8>| {
        bytes[10..12].fill(0);
        let checksum = gridway_wire::checksum::checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes
    };
    let mut later = udp(16, false).to_bytes();
    later[6..8].copy_from_slice(&[0, 3]);
    assert_eq!(refuse(&fixed(later)), None, "a later fragment");

    let mut first = udp(16, false).to_bytes();
    first[6] = 0x20;
    assert!(refuse(&fixed(first)).is_some(), "a first fragment");

    let mut class_e = udp(16, false).to_bytes();
    class_e[12] = 241;
    assert_eq!(refuse(&fixed(class_e)), None, "class E");

    let message =
        |kind: u8, v6: bool| PacketSpec { content: Content::Error { kind, code: 0 }, ..udp(40, v6) };
    for kind in [3, 4, 5, 11, 12, 9, 42] {
        assert_eq!(refuse(&message(kind, false).to_bytes()), None, "ICMPv4 type {kind}");
    }
    for kind in [1, 2, 3, 4, 5, 100, 127, 137] {
        assert_eq!(refuse(&message(kind, true).to_bytes()), None, "ICMPv6 type {kind}");
    }
    assert!(refuse(&message(144, true).to_bytes()).is_some());

    let bytes = udp(0, false).to_bytes();
    let packet = parse(&bytes).unwrap();
    let other = router(IpVersion::V6);
    assert_eq!(build_error(&bytes, &packet, IcmpError::TimeExceeded, other, &mut [0; 1500]), None);
}

#[test]
fn an_ipv6_fragment_that_is_too_big_is_answered_unless_it_may_be_an_error() {
    for (protocol, answered) in [(Protocol::UDP, true), (Protocol::ICMPV6, false)] {
        let mut bytes =
            PacketSpec { content: Content::Other(Protocol::FRAGMENT), ..udp(24, true) }.to_bytes();
        bytes[40..48].copy_from_slice(&[protocol.0, 0, 0, 8, 0, 0, 0, 1]);
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.transport, Transport::LaterFragment);
        let kind = IcmpError::FragmentationNeeded { mtu: 1300 };
        let built = build_error(&bytes, &packet, kind, router(IpVersion::V6), &mut [0; 1500]);
        assert_eq!(built.is_some(), answered);
    }
}

#[test]
fn quotes_that_cannot_be_used_are_told_apart() {
    let with_quote = |payload: Vec<u8>| PacketSpec {
        content: Content::Error { kind: 3, code: 1 },
        payload,
        ..udp(0, false)
    };
    let found = |quote: Vec<u8>| {
        let bytes = with_quote(quote).to_bytes();
        quoted(&bytes, &parse(&bytes).unwrap())
    };
    let good = udp(0, false).to_bytes();
    assert!(found(good.clone()).is_some());
    assert_eq!(found(good[..27].to_vec()), None, "seven bytes of transport");
    let mut six = good.clone();
    six[0] = 0x65;
    assert_eq!(found(six), None, "another version");
    let mut long = good.clone();
    long[0] = 0x4f;
    assert_eq!(found(long), None, "a header beyond the quote");
    let mut later = good.clone();
    later[7] = 1;
    let later = found(later[..20].to_vec()).unwrap();
    assert_eq!((later.fragment, later.tuple.source_port), (Fragment::Later, 0));
    assert_eq!(found(with_quote(good).to_bytes()), None, "an error about an error");
    let bytes = udp(0, false).to_bytes();
    assert_eq!(quoted(&bytes, &parse(&bytes).unwrap()), None, "no error");
}

#[test]
fn a_translation_that_is_refused_changes_nothing() {
    let spec = PacketSpec {
        content: Content::Error { kind: 3, code: 1 },
        payload: udp(0, false).to_bytes(),
        ..udp(0, false)
    };
    let original = spec.to_bytes();
    let mut bytes = original.clone();
    let (packet, quote) = read(&bytes);
    let address = router(IpVersion::V6);
    let wrong = Rewrite { source: Some(address), ..Rewrite::default() };
    let right = Rewrite { source: Some(router(IpVersion::V4)), ..Rewrite::default() };
    let refused = Err(RewriteError::FamilyMismatch { address, version: IpVersion::V4 });
    assert_eq!(rewrite_error(&mut bytes, &packet, &quote, &right, &wrong), refused);
    assert_eq!(rewrite_error(&mut bytes, &packet, &quote, &wrong, &right), refused);
    assert_eq!(bytes, original);
    let needed = bytes.len();
    let short = &mut bytes[..needed - 1];
    let truncated = Err(RewriteError::Truncated { needed, found: needed - 1 });
    assert_eq!(rewrite_error(short, &packet, &quote, &right, &right), truncated);
}
