//! The IPv4 header (RFC 791).

use gridway_steer_abi::{Address, DatagramId, Fate};

use crate::{
    context::Context,
    frame::{Frame, Unsteerable},
    ip::{self, PROTOCOL_TCP, PROTOCOL_UDP, Packet, Transport},
};

const MIN_HEADER_LENGTH: usize = 20;
const TOTAL_LENGTH: usize = 2;
const IDENTIFICATION: usize = 4;
const FLAGS_AND_OFFSET: usize = 6;
const PROTOCOL: usize = 9;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_BITS: u16 = 0x1fff;

/// Steers the IPv4 packet at `network`.
#[inline(always)]
pub fn ipv4(frame: &Frame<impl Context>, network: usize, group_mac: bool) -> Result<Fate, Unsteerable> {
    if !frame.holds(network, MIN_HEADER_LENGTH) {
        return Err(Unsteerable::Truncated);
    }
    let first: u8 = frame.read(network)?;
    let header_length = usize::from(first & 0x0f) * 4;
    let total_length = match frame.read_u16(network + TOTAL_LENGTH)? {
        0 => frame.context.joined_from(network),
        announced => usize::from(announced),
    };
    if first >> 4 != 4 || header_length < MIN_HEADER_LENGTH || total_length < header_length {
        return Err(Unsteerable::Inconsistent);
    }
    if !frame.holds(network, total_length) {
        return Err(Unsteerable::Truncated);
    }

    let source: u32 = frame.read(network + SOURCE)?;
    let destination: u32 = frame.read(network + DESTINATION)?;
    let protocol: u8 = frame.read(network + PROTOCOL)?;
    let fragment = frame.read_u16(network + FLAGS_AND_OFFSET)?;

    let datagram = if fragment & (MORE_FRAGMENTS | OFFSET_BITS) == 0 {
        None
    } else {
        let identification: u16 = frame.read(network + IDENTIFICATION)?;
        Some(DatagramId { identification: u32::from(identification), protocol: u32::from(protocol) })
    };
    let transport = match datagram {
        Some(datagram) if fragment & OFFSET_BITS != 0 => Transport::LaterFragment(datagram),
        first_fragment => match protocol {
            PROTOCOL_TCP | PROTOCOL_UDP => Transport::ports(
                frame,
                protocol,
                network + header_length,
                network + total_length,
                first_fragment,
            )?,
            _other => Transport::Other,
        },
    };

    let octets = destination.to_ne_bytes();
    Ok(ip::steer(&Packet {
        source: Address::v4(source.to_ne_bytes()),
        destination: Address::v4(octets),
        transport,
        group: octets[0] & 0xf0 == 0xe0 || destination == u32::MAX,
        dhcp: true,
        group_mac,
    }))
}
