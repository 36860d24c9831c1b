//! Explicit congestion notification (RFC 3168): the low two bits of IPv4's type of service and of IPv6's
//! traffic class.

use crate::bytes::{put_u16, u16_at};
use crate::checksum::Difference;
use crate::packet::{IpVersion, Packet};

/// The ECN field of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The transport does not take part: congestion is told by a drop.
    NotCapable,
    /// ECT(1).
    Capable1,
    /// ECT(0).
    Capable0,
    /// Congestion experienced.
    CongestionExperienced,
}

impl Ecn {
    /// From the traffic class byte; the upper six bits are ignored.
    pub const fn from_traffic_class(class: u8) -> Self {
        match class & 0b11 {
            0b00 => Self::NotCapable,
            0b01 => Self::Capable1,
            0b10 => Self::Capable0,
            _ => Self::CongestionExperienced,
        }
    }
}

const CE: u16 = 0b11;
const IPV4_CHECKSUM: usize = 10;
/// The traffic class ends 4 bits before the first 16-bit word of an IPv6 header does.
const IPV6_CLASS_SHIFT: u32 = 4;

/// Marks the packet in `bytes` "congestion experienced" if its transport is ECN-capable, IPv4 header checksum
/// included. False, and nothing changed, if it is not (or if `bytes` are not the packet's).
///
/// A packet that is marked already counts as marked.
pub fn set_ecn_ce(bytes: &mut [u8], packet: &Packet) -> bool {
    if packet.ecn == Ecn::NotCapable || bytes.len() < packet.l4_offset {
        return false;
    }
    let word = u16_at(bytes, 0);
    match packet.version {
        IpVersion::V4 => {
            let mut difference = Difference::ZERO;
            difference.replace_u16(word, word | CE);
            let checksum = difference.apply(u16_at(bytes, IPV4_CHECKSUM));
            put_u16(bytes, 0, word | CE);
            put_u16(bytes, IPV4_CHECKSUM, checksum);
        }
        IpVersion::V6 => put_u16(bytes, 0, word | CE << IPV6_CLASS_SHIFT),
    }
    true
}
