//! Translation in place, with etherparse as the judge of every checksum.

mod common;

use common::{inverse, tuple_after};
use gridway_wire::checksum::Sum;
use gridway_wire::ecn::{Ecn, set_ecn_ce};
use gridway_wire::generate::{PacketSpec, judge, packet, rewrite_for};
use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::packet::{IpVersion, Transport, parse};
use gridway_wire::protocol::Protocol;
use gridway_wire::rewrite::{Rewrite, RewriteError, rewrite};
use proptest::prelude::*;

fn packet_and_change() -> impl Strategy<Value = (PacketSpec, Rewrite)> {
    packet().prop_flat_map(|spec| {
        let version = spec.version();
        (Just(spec), rewrite_for(version))
    })
}

proptest! {
    #[test]
    fn leaves_every_checksum_right((spec, mut change) in packet_and_change(), decrement_ttl in any::<bool>()) {
        change.decrement_ttl = decrement_ttl;
        let mut bytes = spec.to_bytes();
        let before = parse(&bytes).unwrap();
        rewrite(&mut bytes, &before, &change).unwrap();
        judge(&bytes).map_err(TestCaseError::fail)?;
        let after = parse(&bytes).unwrap();
        prop_assert_eq!(after.tuple, tuple_after(before.tuple, &change));
        prop_assert_eq!(after.ttl, before.ttl.saturating_sub(u8::from(decrement_ttl)));
        prop_assert_eq!(
            (after.transport, after.dscp, after.ecn, after.total_len),
            (before.transport, before.dscp, before.ecn, before.total_len)
        );
    }

    #[test]
    fn there_and_back_is_identity((spec, change) in packet_and_change()) {
        let original = spec.to_bytes();
        let mut bytes = original.clone();
        let packet = parse(&bytes).unwrap();
        rewrite(&mut bytes, &packet, &change).unwrap();
        rewrite(&mut bytes, &packet, &inverse(&packet.tuple, &change)).unwrap();
        prop_assert_eq!(bytes, original);
    }

    #[test]
    fn a_corrupted_payload_is_not_repaired((mut spec, change) in packet_and_change(), damage in 1u8..) {
        spec.payload.push(7);
        let mut bytes = spec.to_bytes();
        let packet = parse(&bytes).unwrap();
        let guarded = packet.transport != Transport::Other
            && !(packet.transport == Transport::Udp && bytes[packet.l4_offset + 6..packet.l4_offset + 8] == [0, 0]);
        if !guarded {
            return Ok(());
        }
        *bytes.last_mut().unwrap() ^= damage;
        rewrite(&mut bytes, &packet, &change).unwrap();
        prop_assert!(judge(&bytes).is_err());
    }

    #[test]
    fn refuses_addresses_of_the_other_version(spec in packet()) {
        let original = spec.to_bytes();
        let packet = parse(&original).unwrap();
        let address = match packet.version {
            IpVersion::V4 => "2001:db8::1".parse().unwrap(),
            IpVersion::V6 => "192.0.2.1".parse().unwrap(),
        };
        for change in [
            Rewrite { source: Some(address), decrement_ttl: true, ..Rewrite::default() },
            Rewrite { destination: Some(address), source_port: Some(1), ..Rewrite::default() },
        ] {
            let mut bytes = original.clone();
            let refused = Err(RewriteError::FamilyMismatch { address, version: packet.version });
            prop_assert_eq!(rewrite(&mut bytes, &packet, &change), refused);
            prop_assert_eq!(&bytes, &original);
        }
    }

    #[test]
    fn marks_congestion_only_where_the_transport_knows_it(spec in packet()) {
        let mut bytes = spec.to_bytes();
        let packet = parse(&bytes).unwrap();
        let original = bytes.clone();
        let marked = set_ecn_ce(&mut bytes, &packet);
        prop_assert_eq!(marked, packet.ecn != Ecn::NotCapable);
        if marked {
            judge(&bytes).map_err(TestCaseError::fail)?;
            let after = parse(&bytes).unwrap();
            prop_assert_eq!((after.ecn, after.dscp), (Ecn::CongestionExperienced, packet.dscp));
        } else {
            prop_assert_eq!(bytes, original);
        }
    }

    #[test]
    fn answers_echo_requests_and_nothing_else(spec in packet()) {
        let mut bytes = spec.to_bytes();
        let packet = parse(&bytes).unwrap();
        let original = bytes.clone();
        if echo_reply_in_place(&mut bytes, &packet) {
            prop_assert_eq!(packet.transport, Transport::IcmpQuery);
            judge(&bytes).map_err(TestCaseError::fail)?;
            let reply = parse(&bytes).unwrap();
            prop_assert_eq!(reply.transport, Transport::IcmpReply);
            prop_assert_eq!(reply.tuple, packet.tuple.reversed());
            prop_assert_eq!(reply.ttl, 64);
            prop_assert_eq!(&bytes[packet.l4_offset + 4..], &original[packet.l4_offset + 4..]);
        } else {
            prop_assert_ne!(packet.transport, Transport::IcmpQuery);
            prop_assert_eq!(bytes, original);
        }
    }

    /// UDP-Lite and DCCP, which etherparse does not know: their checksums cover the addresses (RFC 3828, RFC 4340),
    /// the whole packet here.
    #[test]
    fn keeps_checksums_of_lesser_transports((mut spec, change) in packet_and_change(), lite in any::<bool>()) {
        let protocol = if lite { Protocol::UDP_LITE } else { Protocol::DCCP };
        spec.content = gridway_wire::generate::Content::Other(protocol);
        spec.payload.resize(spec.payload.len().max(12), 0x5a);
        spec.payload[6..8].fill(0);
        let sum = Sum::pseudo_header(spec.source, spec.destination, protocol, spec.payload.len()).bytes(&spec.payload);
        spec.payload[6..8].copy_from_slice(&sum.checksum().to_be_bytes());
        if sum.checksum() == 0 {
            return Ok(());
        }
        let mut bytes = spec.to_bytes();
        let packet = parse(&bytes).unwrap();
        rewrite(&mut bytes, &packet, &change).unwrap();
        let tuple = parse(&bytes).unwrap().tuple;
        let l4 = &bytes[packet.l4_offset..];
        prop_assert!(Sum::pseudo_header(tuple.source, tuple.destination, protocol, l4.len()).bytes(l4).is_intact());
    }
}

#[test]
fn an_echo_of_nothing_but_zeros_gets_the_checksum_that_linux_accepts() {
    let spec = PacketSpec {
        source: "10.1.0.2".parse().unwrap(),
        destination: "10.2.0.2".parse().unwrap(),
        ttl: 64,
        class: 0,
        extras: 0,
        content: gridway_wire::generate::Content::Echo { identifier: 0, sequence: 0, reply: false },
        payload: vec![0; 3],
    };
    let mut bytes = spec.to_bytes();
    let packet = parse(&bytes).unwrap();
    assert!(echo_reply_in_place(&mut bytes, &packet));
    judge(&bytes).unwrap();

    let packet = parse(&bytes).unwrap();
    rewrite(&mut bytes, &packet, &Rewrite { source_port: Some(9), ..Rewrite::default() }).unwrap();
    judge(&bytes).unwrap();
    rewrite(&mut bytes, &packet, &Rewrite { destination_port: Some(0), ..Rewrite::default() }).unwrap();
    judge(&bytes).unwrap();
    assert_eq!(bytes[packet.l4_offset + 2..packet.l4_offset + 4], [0xff, 0xff]);
}

#[test]
fn refuses_bytes_that_are_not_the_packets() {
    let spec = PacketSpec {
        source: "10.1.0.2".parse().unwrap(),
        destination: "10.2.0.2".parse().unwrap(),
        ttl: 64,
        class: 0,
        extras: 0,
        content: gridway_wire::generate::Content::Udp { ports: (1, 2), checksum: true },
        payload: vec![0; 3],
    };
    let mut bytes = spec.to_bytes();
    let packet = parse(&bytes).unwrap();
    let needed = bytes.len();
    bytes.pop();
    assert_eq!(
        rewrite(&mut bytes, &packet, &Rewrite::default()),
        Err(RewriteError::Truncated { needed, found: needed - 1 })
    );
}
