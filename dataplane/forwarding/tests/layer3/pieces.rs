//! Packets in fragments.

use gridway_wire::checksum::checksum;
use gridway_wire::fragment::fragment_in_place;
use gridway_wire::generate::PacketSpec;
use gridway_wire::packet::parse;

/// An IPv4 packet that routers may cut; `PacketSpec` forbids it.
pub(crate) fn cuttable(spec: &PacketSpec) -> Vec<u8> {
    let mut bytes = spec.to_bytes();
    assert_eq!(bytes[0] >> 4, 4, "IPv6 is never cut on the way");
    bytes[6] &= !0x40;
    fix_header(&mut bytes);
    bytes
}

/// Makes the checksum of an IPv4 header right again.
pub(crate) fn fix_header(bytes: &mut [u8]) {
    let header_len = usize::from(bytes[0] & 0xf) * 4;
    bytes[10..12].fill(0);
    let sum = checksum(&bytes[..header_len]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The packet as a router with this MTU would send it on: IPv4, or IPv6 as its sender would.
pub(crate) fn cut(spec: &PacketSpec, mtu: usize, identification: u16) -> Vec<Vec<u8>> {
    if spec.source.is_ipv6() {
        return cut_v6(&spec.to_bytes(), mtu, identification);
    }
    let mut whole = cuttable(spec);
    whole[4..6].copy_from_slice(&identification.to_be_bytes());
    fix_header(&mut whole);
    let packet = parse(&whole).expect("a packet");
    let mut pieces = Vec::new();
    let first =
        fragment_in_place(&mut whole, &packet, mtu, &mut Vec::new(), |piece| pieces.push(piece.to_vec()));
    pieces.insert(0, whole[..first.expect("it does not fit")].to_vec());
    pieces
}

fn cut_v6(whole: &[u8], mtu: usize, identification: u16) -> Vec<Vec<u8>> {
    let (header, payload) = whole.split_at(40);
    let size = (mtu - 48) / 8 * 8;
    let count = payload.len().div_ceil(size);
    let piece = |(index, part): (usize, &[u8])| {
        let mut bytes = header.to_vec();
        bytes[4..6].copy_from_slice(&((part.len() + 8) as u16).to_be_bytes());
        let protocol = std::mem::replace(&mut bytes[6], 44);
        let word = (index * size) as u16 | u16::from(index + 1 < count);
        bytes.extend([protocol, 0]);
        bytes.extend(word.to_be_bytes());
        bytes.extend(u32::from(identification).to_be_bytes());
        bytes.extend(part);
        bytes
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

/// What the fragments carry, put together; they may come in any order. Panics at a gap.
pub(crate) fn put_together(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut parts: Vec<(usize, &[u8])> = pieces.iter().map(|piece| part(piece)).collect();
    parts.sort_by_key(|(offset, _)| *offset);
    let mut data = Vec::new();
    for (offset, part) in parts {
        assert_eq!(offset, data.len(), "no gap and no overlap");
        data.extend_from_slice(part);
    }
    data
}

fn part(piece: &[u8]) -> (usize, &[u8]) {
    let word = |at: usize| usize::from(u16::from_be_bytes([piece[at], piece[at + 1]]));
    if piece[0] >> 4 == 4 {
        ((word(6) & 0x1fff) * 8, &piece[usize::from(piece[0] & 0xf) * 4..])
    } else {
        (word(42) & 0xfff8, &piece[48..])
    }
}
