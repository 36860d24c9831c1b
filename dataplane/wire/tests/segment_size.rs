//! TCP's maximum segment size, lowered to what a path carries.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use gridway_wire::generate::{Content, PacketSpec, judge, packet};
use gridway_wire::mss::clamp_mss;
use gridway_wire::packet::{IpVersion, parse};
use gridway_wire::tcp::TcpFlags;
use proptest::collection::vec;
use proptest::prelude::*;

/// A TCP packet with these options, padded with "no operation" in front where `padding` says so.
fn with_options(mut spec: PacketSpec, flags: TcpFlags, options: &[u8]) -> Vec<u8> {
    assert!(options.len() <= 40);
    let words = options.len().div_ceil(4);
    spec.content = Content::Tcp { ports: (4000, 443), flags: flags.0, option_words: words };
    spec.payload.truncate(100);
    let mut bytes = spec.to_bytes();
    let l4 = spec.ip_header_len();
    bytes[l4 + 20..l4 + 20 + options.len()].copy_from_slice(options);
    let sum = right_checksum(&bytes);
    bytes[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn right_checksum(bytes: &[u8]) -> u16 {
    let sliced = SlicedPacket::from_ip(bytes).expect("etherparse reads it");
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("{sliced:?}") };
    match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()),
        Some(NetSlice::Ipv6(ip)) => tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()),
        other => panic!("{other:?}"),
    }
    .expect("a short packet")
}

fn mss_option(value: u16) -> [u8; 4] {
    let [high, low] = value.to_be_bytes();
    [2, 4, high, low]
}

fn overhead(version: IpVersion) -> usize {
    if version == IpVersion::V4 { 40 } else { 60 }
}

fn plain() -> PacketSpec {
    PacketSpec {
        source: "10.1.0.2".parse().expect("an address"),
        destination: "10.2.0.2".parse().expect("an address"),
        ttl: 9,
        class: 0,
        extras: 0,
        content: Content::Other(gridway_wire::protocol::Protocol::TCP),
        payload: Vec::new(),
    }
}

proptest! {
    #[test]
    fn is_lowered_and_never_raised(
        spec in packet(), ack in any::<bool>(), before in 0usize..=8, announced in any::<u16>(), mtu in 0usize..3000,
    ) {
        let mut options = vec![1u8; before];
        options.extend(mss_option(announced));
        let flags = if ack { TcpFlags::SYN | TcpFlags::ACK } else { TcpFlags::SYN };
        let original = with_options(spec, flags, &options);
        judge(&original).map_err(TestCaseError::fail)?;
        let packet = parse(&original).unwrap();
        let most = mtu.saturating_sub(overhead(packet.version)) as u16;
        let mut bytes = original.clone();
        let changed = clamp_mss(&mut bytes, &packet, mtu);
        judge(&bytes).map_err(TestCaseError::fail)?;
        prop_assert_eq!(changed, announced > most);
        let at = packet.l4_offset + 20 + before + 2;
        prop_assert_eq!(u16::from_be_bytes([bytes[at], bytes[at + 1]]), announced.min(most));
        // Nothing else has changed.
        for (place, (before, after)) in original.iter().zip(&bytes).enumerate() {
            let checksum = packet.l4_offset + 16..packet.l4_offset + 18;
            prop_assert!(before == after || (at..at + 2).contains(&place) || checksum.contains(&place));
        }
        prop_assert!(!clamp_mss(&mut bytes, &packet, mtu), "once is enough");
    }

    #[test]
    fn odd_options_are_survived(spec in packet(), options in vec(any::<u8>(), 0..=40), mtu in 576usize..1500) {
        let original = with_options(spec, TcpFlags::SYN, &options);
        let packet = parse(&original).unwrap();
        let mut bytes = original.clone();
        if clamp_mss(&mut bytes, &packet, mtu) {
            judge(&bytes).map_err(TestCaseError::fail)?;
        } else {
            prop_assert_eq!(&bytes, &original);
        }
        // Nothing outside of the TCP header.
        let end = packet.l4_offset + 20 + options.len().div_ceil(4) * 4;
        prop_assert_eq!(&bytes[..packet.l4_offset], &original[..packet.l4_offset]);
        prop_assert_eq!(&bytes[end..], &original[end..]);
    }
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut bytes = with_options(plain(), TcpFlags::SYN, &mss_option(1460));
    bytes[37] ^= 1;
    let packet = parse(&bytes).expect("a packet");
    assert!(clamp_mss(&mut bytes, &packet, 1400));
    assert!(judge(&bytes).is_err());
}

#[test]
fn only_the_beginning_of_a_connection_is_touched() {
    for flags in [TcpFlags::ACK, TcpFlags::RST, TcpFlags::FIN | TcpFlags::ACK, TcpFlags(0)] {
        let original = with_options(plain(), flags, &mss_option(1460));
        let mut bytes = original.clone();
        assert!(!clamp_mss(&mut bytes, &parse(&original).expect("a packet"), 1000));
        assert_eq!(bytes, original);
    }
}

#[test]
fn malformed_and_absent_options_are_left_alone() {
    let cases: [(&str, &[u8]); 8] = [
        ("none", &[]),
        ("behind the end", &[0, 2, 4, 5, 0xb4, 0, 0, 0]),
        ("too short", &[2, 3, 5, 1]),
        ("too long", &[2, 6, 5, 0xb4, 0, 0, 0, 0]),
        ("of length zero", &[2, 0, 5, 0xb4]),
        ("cut off by the end of the header", &[1, 1, 2, 4]),
        ("without a length", &[1, 1, 1, 2]),
        ("behind one of length one", &[3, 1, 2, 4, 5, 0xb4, 0, 0]),
    ];
    for (case, options) in cases {
        let original = with_options(plain(), TcpFlags::SYN, options);
        let mut bytes = original.clone();
        assert!(!clamp_mss(&mut bytes, &parse(&original).expect("a packet"), 1000), "{case}");
        assert_eq!(bytes, original, "{case}");
    }
}

#[test]
fn a_fragment_is_left_alone() {
    let mut bytes = with_options(plain(), TcpFlags::SYN, &mss_option(1460));
    bytes[6] |= 0x20;
    bytes[10..12].fill(0);
    let sum = gridway_wire::checksum::checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    let packet = parse(&bytes).expect("a first fragment");
    assert!(!clamp_mss(&mut bytes, &packet, 1000));
}
