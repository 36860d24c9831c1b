//! Parsing of whole packets, against what etherparse built.

use gridway_wire::ecn::Ecn;
use gridway_wire::generate::{Content, PacketSpec, error_packet, packet};
use gridway_wire::malformed::Malformed;
use gridway_wire::packet::{Fragment, Transport, parse};
use gridway_wire::tcp::TcpFlags;
use proptest::prelude::*;

fn expected_transport(spec: &PacketSpec, l4_offset: usize) -> Transport {
    match spec.content {
        Content::Tcp { flags, .. } => Transport::Tcp { flags: TcpFlags(flags) },
        Content::Udp { .. } => Transport::Udp,
        Content::Echo { reply: false, .. } => Transport::IcmpQuery,
        Content::Echo { reply: true, .. } => Transport::IcmpReply,
        Content::Error { .. } => Transport::IcmpError { quoted: l4_offset + 8 },
        Content::Other(_) => Transport::Other,
    }
}

fn check(spec: &PacketSpec, padding: usize) -> Result<(), TestCaseError> {
    let mut bytes = spec.to_bytes();
    let length = bytes.len();
    bytes.resize(length + padding, 0xaa);
    let packet = parse(&bytes).map_err(|error| TestCaseError::fail(error.name()))?;
    prop_assert_eq!(packet.version, spec.version());
    prop_assert_eq!(packet.tuple, spec.tuple());
    prop_assert_eq!(packet.total_len, length);
    prop_assert_eq!(packet.l4_offset, spec.ip_header_len());
    prop_assert_eq!(packet.header_len(), spec.ip_header_len());
    prop_assert_eq!(packet.transport, expected_transport(spec, packet.l4_offset));
    prop_assert_eq!(packet.fragment, Fragment::None);
    prop_assert_eq!(packet.ttl, spec.ttl);
    prop_assert_eq!(packet.dscp, spec.class >> 2);
    prop_assert_eq!(packet.ecn, Ecn::from_traffic_class(spec.class));
    Ok(())
}

proptest! {
    #[test]
    fn finds_what_etherparse_wrote_whatever_the_padding(spec in packet(), padding in 0usize..50) {
        check(&spec, padding)?;
    }

    #[test]
    fn finds_icmp_errors((error, _) in error_packet()) {
        check(&error, 0)?;
    }

    #[test]
    fn refuses_every_truncation(spec in packet()) {
        let bytes = spec.to_bytes();
        for length in 0..bytes.len() {
            let found = parse(&bytes[..length]);
            let truncated = matches!(found, Err(Malformed::TruncatedHeader | Malformed::BadTotalLength));
            prop_assert!(truncated, "{} of {} bytes: {:?}", length, bytes.len(), found);
        }
    }

    /// But in its first byte: another version or length is another packet.
    #[test]
    fn finds_every_flipped_bit_of_an_ipv4_header(
        spec in gridway_wire::generate::ipv4_packet(), bit in 8usize..160,
    ) {
        let mut bytes = spec.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn takes_any_bytes_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(packet.l4_offset <= packet.total_len && packet.total_len <= bytes.len());
        }
    }

    #[test]
    fn takes_mutated_packets_without_panic(
        spec in packet(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = spec.to_bytes();
        for (index, value) in mutations {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(packet.l4_offset <= packet.total_len && packet.total_len <= bytes.len());
        }
    }
}
