//! Packets cut to the size of a path, put together again by a reassembler that shares nothing with the code.

use gridway_wire::checksum::checksum;
use gridway_wire::fragment::fragment_in_place;
use gridway_wire::generate::{Content, PacketSpec, ipv4_packet, ipv6_packet, judge};
use gridway_wire::packet::parse;
use proptest::collection::vec;
use proptest::prelude::*;

const MORE: u16 = 0x2000;
const DONT: u16 = 0x4000;

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn header_len(bytes: &[u8]) -> usize {
    usize::from(bytes[0] & 0xf) * 4
}

/// One IPv4 option: its kind, and how many bytes of data it has.
type Opt = (u8, usize);

/// The kinds of options in use, those that are copied into fragments and those that are not (RFC 791, 3.1):
/// record route, time stamp, trace route; security, stream id, router alert.
fn options() -> impl Strategy<Value = Vec<Opt>> {
    let kind = prop::sample::select(&[7u8, 68, 82, 130, 136, 148, 1][..]);
    vec((kind, 0usize..9), 0..5).prop_map(|mut options| {
        let mut length = 0;
        options.retain(|(kind, data)| {
            length += if *kind == 1 { 1 } else { data + 2 };
            length <= 40
        });
        options
    })
}

fn option_bytes(options: &[Opt]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, data) in options {
        bytes.push(*kind);
        if *kind != 1 {
            bytes.push(*data as u8 + 2);
            bytes.extend((0..*data).map(|n| n as u8 ^ kind));
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `spec` with these options and this flags-and-offset word.
fn build(spec: &PacketSpec, options: &[Opt], flags: u16) -> Vec<u8> {
    let plain = PacketSpec { extras: 0, ..spec.clone() }.to_bytes();
    let mut bytes = plain[..20].to_vec();
    bytes.extend(option_bytes(options));
    bytes[0] = 0x40 | (bytes.len() / 4) as u8;
    let total = (bytes.len() + plain.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    bytes[4..6].copy_from_slice(&0xbeef_u16.to_be_bytes());
    bytes[6..8].copy_from_slice(&flags.to_be_bytes());
    bytes[10..12].fill(0);
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(&plain[20..]);
    bytes
}

/// All pieces in their order, the first included; `None` if the packet was left alone.
fn cut(bytes: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let packet = parse(bytes).expect("a valid packet");
    let mut first = bytes.to_vec();
    // What stands behind the packet, Ethernet's padding, must not get in.
    first.extend([0xee; 7]);
    let (mut scratch, mut behind) = (vec![0xaa; 9], Vec::new());
    let length =
        fragment_in_place(&mut first, &packet, mtu, &mut scratch, |piece| behind.push(piece.to_vec()));
    let Some(length) = length else {
        assert_eq!(&first[..bytes.len()], bytes, "nothing changed");
        assert!(behind.is_empty());
        return None;
    };
    first.truncate(length);
    behind.insert(0, first);
    Some(behind)
}

/// The data of the pieces from where the first begins, and whether something follows it. Panics at a gap, an
/// overlap or a wrong flag.
fn reassemble(pieces: &[Vec<u8>]) -> (Vec<u8>, u16, bool) {
    let mut sorted: Vec<&Vec<u8>> = pieces.iter().collect();
    sorted.sort_by_key(|piece| word(piece, 6) & 0x1fff);
    let start = word(sorted[0], 6) & 0x1fff;
    let mut data = Vec::new();
    for (index, piece) in sorted.iter().enumerate() {
        let flags = word(piece, 6);
        assert_eq!(usize::from((flags & 0x1fff) - start) * 8, data.len(), "no gap and no overlap");
        assert_eq!(usize::from(word(piece, 2)), piece.len());
        if index + 1 < sorted.len() {
            assert_ne!(flags & MORE, 0);
        }
        data.extend_from_slice(&piece[header_len(piece)..]);
    }
    (data, start, word(sorted[sorted.len() - 1], 6) & MORE != 0)
}

/// Any content whose first eight bytes are all that a parser asks of a first fragment.
fn cuttable() -> impl Strategy<Value = PacketSpec> {
    (ipv4_packet(), vec(any::<u8>(), 0..3000)).prop_map(|(mut spec, payload)| {
        if matches!(spec.content, Content::Tcp { .. } | Content::Error { .. }) {
            spec.content = Content::Udp { ports: (4000, 53), checksum: true };
        }
        spec.payload = payload;
        spec
    })
}

/// Header options of a fragment behind the first.
fn copied(options: &[Opt]) -> Vec<u8> {
    let copied: Vec<Opt> = options.iter().copied().filter(|(kind, _)| kind & 0x80 != 0).collect();
    option_bytes(&copied)
}

proptest! {
    #[test]
    fn the_pieces_make_up_the_packet(
        spec in cuttable(), options in options(), mtu in 68usize..1600, more in any::<bool>(), offset in 0u16..4000,
    ) {
        // A whole packet, a first fragment, one in the middle, a last one.
        let flags = offset | if more { MORE } else { 0 };
        let mut spec = spec;
        if more {
            let odd = build(&spec, &options, 0).len() - 20 - option_bytes(&options).len();
            spec.payload.resize(spec.payload.len() + odd.next_multiple_of(8) - odd, 7);
        }
        let bytes = build(&spec, &options, flags);
        let header = header_len(&bytes);
        let Some(pieces) = cut(&bytes, mtu) else {
            prop_assert!(bytes.len() <= mtu);
            return Ok(());
        };
        prop_assert!(bytes.len() > mtu && pieces.len() > 1);
        let (data, start, followed) = reassemble(&pieces);
        prop_assert_eq!(&data[..], &bytes[header..]);
        prop_assert_eq!((start, followed), (offset, more));
        prop_assert_eq!(&pieces[0][20..header], &bytes[20..header], "the first has all options");
        for (index, piece) in pieces.iter().enumerate() {
            prop_assert!(piece.len() <= mtu, "{} of {}", piece.len(), mtu);
            judge(piece).map_err(TestCaseError::fail)?;
            parse(piece).map_err(|malformed| TestCaseError::fail(format!("{malformed}: {piece:02x?}")))?;
            // Service, identification, TTL, protocol and addresses.
            prop_assert_eq!(piece[1], bytes[1]);
            prop_assert_eq!(&piece[4..6], &bytes[4..6]);
            prop_assert_eq!(&piece[8..10], &bytes[8..10]);
            prop_assert_eq!(&piece[12..20], &bytes[12..20]);
            if index > 0 {
                prop_assert_eq!(&piece[20..header_len(piece)], &copied(&options)[..]);
            }
        }
    }

    #[test]
    fn pieces_can_be_cut_again(spec in cuttable(), options in options(), mtus in (200usize..1500, 68usize..700)) {
        let bytes = build(&spec, &options, 0);
        let pieces = cut(&bytes, mtus.0).unwrap_or_else(|| vec![bytes.clone()]);
        let again: Vec<Vec<u8>> =
            pieces.iter().flat_map(|piece| cut(piece, mtus.1).unwrap_or_else(|| vec![piece.clone()])).collect();
        let (data, start, followed) = reassemble(&again);
        prop_assert_eq!(&data[..], &bytes[header_len(&bytes)..]);
        prop_assert_eq!((start, followed), (0, false));
        prop_assert!(again.iter().all(|piece| piece.len() <= mtus.1));
    }

    #[test]
    fn what_must_not_be_cut_is_left_alone(v4 in cuttable(), v6 in ipv6_packet(), mtu in 0usize..1500) {
        prop_assert_eq!(cut(&build(&v4, &[], DONT), mtu), None);
        prop_assert_eq!(cut(&v6.to_bytes(), mtu), None);
    }

    #[test]
    fn no_mtu_is_too_small_to_be_survived(spec in cuttable(), options in options(), mtu in 0usize..80) {
        let bytes = build(&spec, &options, 0);
        match cut(&bytes, mtu) {
            None => prop_assert!(mtu < header_len(&bytes) + 8 || bytes.len() <= mtu),
            Some(pieces) => prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu)),
        }
    }
}

#[test]
fn a_packet_of_exactly_the_mtu_is_whole_and_one_byte_more_is_not() {
    let spec = |payload| PacketSpec {
        source: "10.1.0.2".parse().expect("an address"),
        destination: "10.2.0.2".parse().expect("an address"),
        ttl: 9,
        class: 0,
        extras: 0,
        content: Content::Udp { ports: (1, 2), checksum: true },
        payload: vec![0x5a; payload],
    };
    assert_eq!(cut(&build(&spec(1372), &[], 0), 1400), None);
    let pieces = cut(&build(&spec(1373), &[], 0), 1400).expect("it does not fit");
    // 1,381 bytes of data: 1,376 are a multiple of eight that fits.
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [1396, 25]);
}

#[test]
fn bytes_that_are_not_the_packets_are_left_alone() {
    let spec = PacketSpec {
        source: "10.1.0.2".parse().expect("an address"),
        destination: "10.2.0.2".parse().expect("an address"),
        ttl: 9,
        class: 0,
        extras: 0,
        content: Content::Udp { ports: (1, 2), checksum: true },
        payload: vec![0x5a; 600],
    };
    let bytes = build(&spec, &[], 0);
    let packet = parse(&bytes).expect("a packet");
    let mut short = bytes[..300].to_vec();
    assert_eq!(
        fragment_in_place(&mut short, &packet, 200, &mut Vec::new(), |_| panic!("nothing to send")),
        None
    );
}
