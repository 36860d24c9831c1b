//! Neighbour discovery for IPv6 over Ethernet (RFC 4861): solicitations read, advertisements made.

use std::net::{IpAddr, Ipv6Addr};

use crate::bytes::{array, ipv6_at, put, put_u16, u16_at};
use crate::checksum::Sum;
use crate::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use crate::mac::MacAddr;
use crate::malformed::Malformed;
use crate::packet::IPV6_HEADER_LEN;
use crate::protocol::Protocol;

/// Length of the Ethernet frame of an advertisement.
pub const ADVERTISEMENT_FRAME_LEN: usize = ETHERNET_HEADER_LEN + ADVERTISEMENT_PACKET_LEN;

const TYPE_SOLICITATION: u8 = 135;
const TYPE_ADVERTISEMENT: u8 = 136;
const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;
/// Options are multiples of this; one with an Ethernet address is exactly this.
const OPTION_UNIT: usize = 8;
/// Only a packet that no router has passed on arrives with it.
const HOP_LIMIT: u8 = 255;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;

// Offsets within the IPv6 packet.
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT_AT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;
const MESSAGE: usize = IPV6_HEADER_LEN;
// Offsets within the ICMPv6 message.
const CODE: usize = 1;
const CHECKSUM: usize = 2;
const FLAGS: usize = 4;
const TARGET: usize = 8;
const OPTIONS: usize = TARGET + size_of::<Ipv6Addr>();
const ADVERTISEMENT_PACKET_LEN: usize = MESSAGE + OPTIONS + OPTION_UNIT;
const _: () = assert!(DESTINATION + size_of::<Ipv6Addr>() == MESSAGE);
const _: () = assert!(OPTIONS == 24 && ADVERTISEMENT_FRAME_LEN == 86);

/// Who asks for which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourSolicitation {
    /// Hardware address that an answer goes to: the source link-layer option's, else the frame's source.
    pub sender_mac: MacAddr,
    /// Address of the asker; `::` while it checks whether an address is free.
    pub source: Ipv6Addr,
    /// Where the solicitation was sent: the solicited-node group of `target`, or `target` itself.
    pub destination: Ipv6Addr,
    /// The address asked for.
    pub target: Ipv6Addr,
}

impl NeighbourSolicitation {
    /// Reads an Ethernet frame that carries a neighbour solicitation, by the rules of RFC 4861 7.1.1: hop limit
    /// 255, right checksum, code 0, no option of length 0, a target that is no group. Fragments and extension
    /// headers are refused (RFC 6980).
    ///
    /// # Errors
    /// [`Malformed::TruncatedEthernet`], [`Malformed::TruncatedHeader`], [`Malformed::BadTotalLength`], and
    /// [`Malformed::BadNeighbourSolicitation`] for all that is no valid solicitation.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let ethernet = Ethernet::parse(frame)?;
        let packet = &frame[ETHERNET_HEADER_LEN..];
        if packet.len() < MESSAGE + OPTIONS {
            return Err(Malformed::TruncatedHeader);
        }
        let total_len = MESSAGE + usize::from(u16_at(packet, PAYLOAD_LENGTH));
        if total_len < MESSAGE + OPTIONS {
            return Err(Malformed::BadNeighbourSolicitation);
        }
        let packet = packet.get(..total_len).ok_or(Malformed::BadTotalLength)?;
        let (source, destination) = (ipv6_at(packet, SOURCE), ipv6_at(packet, DESTINATION));
        let message = &packet[MESSAGE..];
        let target = ipv6_at(message, TARGET);
        let valid = ethernet.ether_type == ether_type::IPV6
            && packet[0] >> 4 == 6
            && packet[NEXT_HEADER] == Protocol::ICMPV6.0
            && packet[HOP_LIMIT_AT] == HOP_LIMIT
            && message[0] == TYPE_SOLICITATION
            && message[CODE] == 0
            && !target.is_multicast()
            && !source.is_multicast()
            && pseudo_header(source, destination, message.len()).bytes(message).is_intact();
        if !valid {
            return Err(Malformed::BadNeighbourSolicitation);
        }
        let link_layer = source_link_layer(&message[OPTIONS..])?;
        if source.is_unspecified() && (link_layer.is_some() || destination != solicited_node(target)) {
            return Err(Malformed::BadNeighbourSolicitation);
        }
        let sender_mac = link_layer.unwrap_or(ethernet.source);
        if !sender_mac.is_unicast() {
            return Err(Malformed::BadNeighbourSolicitation);
        }
        Ok(Self { sender_mac, source, destination, target })
    }

    /// Whether this asks only if the address is free (duplicate address detection): answering would claim it.
    pub fn is_probe(&self) -> bool {
        self.source.is_unspecified()
    }

    /// Turns the frame that this solicitation was read from into the advertisement (solicited, override) that
    /// says `our_mac` has the address. Gives the frame's new length, [`ADVERTISEMENT_FRAME_LEN`], which may be
    /// more than the solicitation's: `frame` is the buffer, not only what was received.
    ///
    /// # Errors
    /// [`Malformed::TruncatedEthernet`] when the buffer is too short, [`Malformed::UnspecifiedSource`] when this
    /// is a probe, whose answer would go to a group.
    pub fn answer_in_place(&self, frame: &mut [u8], our_mac: MacAddr) -> Result<usize, Malformed> {
        if self.is_probe() {
            return Err(Malformed::UnspecifiedSource);
        }
        let frame = frame.get_mut(..ADVERTISEMENT_FRAME_LEN).ok_or(Malformed::TruncatedEthernet)?;
        Ethernet { destination: self.sender_mac, source: our_mac, ether_type: ether_type::IPV6 }
            .write(frame)?;
        let packet = &mut frame[ETHERNET_HEADER_LEN..];
        let (header, message) = packet.split_at_mut(MESSAGE);
        put(header, 0, [0x60, 0, 0, 0]);
        put_u16(header, PAYLOAD_LENGTH, message.len() as u16);
        header[NEXT_HEADER] = Protocol::ICMPV6.0;
        header[HOP_LIMIT_AT] = HOP_LIMIT;
        put(header, SOURCE, self.target.octets());
        put(header, DESTINATION, self.source.octets());
        put(message, 0, [TYPE_ADVERTISEMENT, 0, 0, 0]);
        put(message, FLAGS, [FLAG_SOLICITED | FLAG_OVERRIDE, 0, 0, 0]);
        put(message, TARGET, self.target.octets());
        put(message, OPTIONS, [OPTION_TARGET_LINK_LAYER, 1]);
        put(message, OPTIONS + 2, our_mac.0);
        let checksum = pseudo_header(self.target, self.source, message.len()).bytes(message).checksum();
        put_u16(message, CHECKSUM, checksum);
        Ok(ADVERTISEMENT_FRAME_LEN)
    }
}

fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, length: usize) -> Sum {
    Sum::pseudo_header(IpAddr::V6(source), IpAddr::V6(destination), Protocol::ICMPV6, length)
}

/// The group that solicitations of an address go to (RFC 4291 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (a & 0xff), b)
}

/// Walks the options for the sender's hardware address.
fn source_link_layer(mut options: &[u8]) -> Result<Option<MacAddr>, Malformed> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * OPTION_UNIT;
        if length == 0 || length > options.len() {
            return Err(Malformed::BadNeighbourSolicitation);
        }
        if kind == OPTION_SOURCE_LINK_LAYER && length == OPTION_UNIT {
            found = Some(MacAddr(array(options, 2)));
        }
        options = &options[length..];
    }
    if options.is_empty() { Ok(found) } else { Err(Malformed::BadNeighbourSolicitation) }
}
