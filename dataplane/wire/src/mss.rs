//! TCP's maximum segment size, kept within what the path carries (RFC 9293 3.7.1, RFC 4821 is the remedy of hosts).

use crate::bytes::{put_u16, u16_at};
use crate::checksum::Difference;
use crate::packet::{Fragment, IpVersion, Packet, Transport};

const TCP_HEADER_LEN: usize = 20;
const OFFSET: usize = 12;
const CHECKSUM: usize = 16;
const OPTION_END: u8 = 0;
const OPTION_NO_OPERATION: u8 = 1;
const OPTION_MSS: u8 = 2;
const OPTION_MSS_LEN: usize = 4;

/// Headers without options in front of a segment's data, in bytes.
const fn overhead(version: IpVersion) -> usize {
    match version {
        IpVersion::V4 => 40,
        IpVersion::V6 => 60,
    }
}

/// Lowers the maximum segment size that the SYN (or SYN-ACK) in `bytes` announces to what a path of `mtu` bytes
/// carries, checksum included. Anything else, and a SYN without the option, stays as it is: its sender is held to
/// 536 or 1220 bytes then (RFC 9293 3.7.1). Gives whether something was changed.
pub fn clamp_mss(bytes: &mut [u8], packet: &Packet, mtu: usize) -> bool {
    let Transport::Tcp { flags } = packet.transport else { return false };
    if !flags.syn() || packet.fragment != Fragment::None {
        return false;
    }
    let most = u16::try_from(mtu.saturating_sub(overhead(packet.version))).unwrap_or(u16::MAX);
    let Some(segment) = bytes.get_mut(packet.l4_offset..packet.total_len) else { return false };
    // The parser has seen that the header with its options is all there.
    let header_len = usize::from(segment[OFFSET] >> 4) * 4;
    let Some(at) = segment.get(..header_len).and_then(find_mss) else { return false };
    let announced = u16_at(segment, at);
    if announced <= most {
        return false;
    }
    let mut difference = Difference::ZERO;
    if at.is_multiple_of(2) {
        difference.replace_u16(announced, most);
    } else {
        // The option may stand at an odd place: the checksum sees its bytes in two words.
        difference.replace_u16(announced.swap_bytes(), most.swap_bytes());
    }
    put_u16(segment, at, most);
    let checksum = difference.apply(u16_at(segment, CHECKSUM));
    put_u16(segment, CHECKSUM, checksum);
    true
}

/// Where the value of the option stands in a TCP header.
fn find_mss(header: &[u8]) -> Option<usize> {
    let mut at = TCP_HEADER_LEN;
    while let Some(kind) = header.get(at) {
        match *kind {
            OPTION_END => return None,
            OPTION_NO_OPERATION => at += 1,
            kind => {
                let length = usize::from(*header.get(at + 1)?);
                if kind == OPTION_MSS && length == OPTION_MSS_LEN && at + length <= header.len() {
                    return Some(at + 2);
                }
                if length < 2 {
                    return None;
                }
                at += length;
            }
        }
    }
    None
}
