//! Fragmenting IPv4 packets (RFC 791 3.2, RFC 1812 4.2.2.7).

use crate::bytes::{put_u16, u16_at};
use crate::checksum::checksum;
use crate::packet::{IPV4_HEADER_LEN, IpVersion, Packet};

const TOTAL_LENGTH: usize = 2;
const FRAGMENT: usize = 6;
const HEADER_CHECKSUM: usize = 10;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// Offsets count in these.
const UNIT: usize = 8;
/// The bit of an option's kind that has it copied into every fragment.
const COPIED: u8 = 0x80;
const OPTION_END: u8 = 0;
const OPTION_NO_OPERATION: u8 = 1;

/// Cuts the IPv4 packet in `bytes`, from which `packet` was parsed, into fragments of at most `mtu` bytes. Those
/// behind the first are given to `each` in their order, built in `scratch`; the first stays in `bytes`, and its
/// length is returned. A fragment can be cut again.
///
/// `None`, and nothing changed, where that is not allowed (IPv6, DF) or not possible (an MTU with no room for
/// data, bytes that are not the packet's).
pub fn fragment_in_place(
    bytes: &mut [u8],
    packet: &Packet,
    mtu: usize,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) -> Option<usize> {
    if packet.version != IpVersion::V4 || packet.dont_fragment {
        return None;
    }
    let bytes = bytes.get_mut(..packet.total_len)?;
    // Of a fragment the parsed header length is that of its own IP header too.
    let header_len = usize::from(bytes[0] & 0x0f) * 4;
    let room = mtu.checked_sub(header_len)? / UNIT * UNIT;
    if room == 0 || packet.total_len <= mtu {
        return None;
    }
    let mut later_header = [0; 60];
    let later_header_len = later_header_of(&bytes[..header_len], &mut later_header);
    let later_room = (mtu - later_header_len) / UNIT * UNIT;
    let flags = u16_at(bytes, FRAGMENT);
    let (first_unit, last_has_more) = (flags & OFFSET_MASK, flags & MORE_FRAGMENTS);
    let data_len = packet.total_len - header_len;
    let mut at = room;
    while at < data_len {
        let length = later_room.min(data_len - at);
        let more = if at + length < data_len { MORE_FRAGMENTS } else { last_has_more };
        scratch.clear();
        scratch.extend_from_slice(&later_header[..later_header_len]);
        scratch.extend_from_slice(&bytes[header_len + at..header_len + at + length]);
        let offset = first_unit + (at / UNIT) as u16;
        finish(scratch, later_header_len, offset | more);
        each(scratch);
        at += length;
    }
    let first = &mut bytes[..header_len + room];
    finish(first, header_len, first_unit | MORE_FRAGMENTS);
    Some(first.len())
}

/// Writes length, flags with offset, and the header checksum.
fn finish(fragment: &mut [u8], header_len: usize, flags: u16) {
    put_u16(fragment, TOTAL_LENGTH, fragment.len() as u16);
    put_u16(fragment, FRAGMENT, flags);
    put_u16(fragment, HEADER_CHECKSUM, 0);
    let sum = checksum(&fragment[..header_len]);
    put_u16(fragment, HEADER_CHECKSUM, sum);
}

/// The header of fragments behind the first: of the options only those that are to be copied. Gives its length.
/// The parser has walked the options already.
fn later_header_of(header: &[u8], out: &mut [u8; 60]) -> usize {
    out[..IPV4_HEADER_LEN].copy_from_slice(&header[..IPV4_HEADER_LEN]);
    let mut length = IPV4_HEADER_LEN;
    let mut options = &header[IPV4_HEADER_LEN..];
    while let [kind, rest @ ..] = options {
        options = match *kind {
            OPTION_END => break,
            OPTION_NO_OPERATION => rest,
            kind => {
                let size = rest.first().map_or(1, |size| usize::from(*size)).clamp(1, options.len());
                if kind & COPIED != 0 {
                    out[length..length + size].copy_from_slice(&options[..size]);
                    length += size;
                }
                &options[size..]
            }
        };
    }
    // Padded with "end of options", which is zero.
    length = length.next_multiple_of(4);
    out[0] = 0x40 | (length / 4) as u8;
    length
}
