//! Fragments translated one by one make up the datagram that was translated whole.

use gridway_wire::generate::{PacketSpec, judge, packet, rewrite_for};
use gridway_wire::packet::{Fragment, IpVersion, parse};
use gridway_wire::rewrite::{Rewrite, rewrite};
use proptest::prelude::*;

/// Cuts a packet without options and extension headers into fragments of `size` payload bytes.
fn fragments(whole: &[u8], version: IpVersion, size: usize) -> Vec<Vec<u8>> {
    let header_len = if version == IpVersion::V4 { 20 } else { 40 };
    let (header, payload) = whole.split_at(header_len);
    let count = payload.len().div_ceil(size);
    let cut = |(index, part): (usize, &[u8])| {
        let more = index + 1 < count;
        let mut fragment = header.to_vec();
        match version {
            IpVersion::V4 => {
                fragment[2..4].copy_from_slice(&((header_len + part.len()) as u16).to_be_bytes());
                let word = (index * size / 8) as u16 | u16::from(more) << 13;
                fragment[6..8].copy_from_slice(&word.to_be_bytes());
                fragment[10..12].fill(0);
                let checksum = gridway_wire::checksum::checksum(&fragment);
                fragment[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            IpVersion::V6 => {
                fragment[4..6].copy_from_slice(&((8 + part.len()) as u16).to_be_bytes());
                let protocol = std::mem::replace(&mut fragment[6], 44);
                let word = (index * size) as u16 | u16::from(more);
                fragment.extend([protocol, 0]);
                fragment.extend(word.to_be_bytes());
                fragment.extend([0, 0, 0, 9]);
            }
        }
        fragment.extend(part);
        fragment
    };
    payload.chunks(size).enumerate().map(cut).collect()
}

fn case() -> impl Strategy<Value = (PacketSpec, Rewrite)> {
    packet().prop_flat_map(|mut spec| {
        spec.extras = 0;
        // More than the largest fragment.
        spec.payload.resize(spec.payload.len().max(330), 0x3c);
        let version = spec.version();
        (Just(spec), rewrite_for(version))
    })
}

proptest! {
    #[test]
    fn translated_apart_equal_translated_whole((spec, change) in case(), eighths in 8usize..40) {
        let size = eighths * 8;
        let mut whole = spec.to_bytes();
        let packet = parse(&whole).unwrap();
        let mut parts = fragments(&whole, packet.version, size);
        rewrite(&mut whole, &packet, &change).unwrap();
        let mut payload = Vec::new();
        for (index, part) in parts.iter_mut().enumerate() {
            let fragment = parse(part).unwrap();
            let expected = if index == 0 { Fragment::First } else { Fragment::Later };
            prop_assert_eq!(fragment.fragment, expected);
            rewrite(part, &fragment, &change).unwrap();
            judge(part).map_err(TestCaseError::fail)?;
            let after = parse(part).unwrap().tuple;
            prop_assert_eq!(after.source, change.source.unwrap_or(spec.source));
            prop_assert_eq!(after.destination, change.destination.unwrap_or(spec.destination));
            payload.extend_from_slice(&part[fragment.l4_offset..]);
        }
        prop_assert_eq!(&payload[..], &whole[packet.l4_offset..]);
    }
}
