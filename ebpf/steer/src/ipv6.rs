//! The IPv6 header (RFC 8200), and who looks further.

use gridway_steer_abi::{DatagramId, Fate};

use crate::{
    context::Context,
    extensions::{HEADER_LENGTH, NEXT_HEADER, OFFSET_BITS, Walked},
    frame::{Frame, Unsteerable},
    ip::{self, PROTOCOL_TCP, PROTOCOL_UDP, Packet, Transport},
    neighbour,
};

const PAYLOAD_LENGTH: usize = 4;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const ICMPV6: u8 = 58;

const MORE_FRAGMENTS: u16 = 1;

/// Steers the IPv6 packet at `network`.
#[inline(always)]
pub fn ipv6(frame: &Frame<impl Context>, network: usize, group_mac: bool) -> Result<Fate, Unsteerable> {
    if !frame.holds(network, HEADER_LENGTH) {
        return Err(Unsteerable::Truncated);
    }
    let first: u8 = frame.read(network)?;
    if first >> 4 != 6 {
        return Err(Unsteerable::Inconsistent);
    }
    let length = match frame.read_u16(network + PAYLOAD_LENGTH)? {
        0 => HEADER_LENGTH.max(frame.context.joined_from(network)),
        announced => HEADER_LENGTH + usize::from(announced),
    };
    if !frame.holds(network, length) {
        return Err(Unsteerable::Truncated);
    }
    let end = network + length;

    let source = frame.read_v6(network + SOURCE)?;
    let destination = frame.read_v6(network + DESTINATION)?;
    // On the wire such an address names nobody, and in the maps it would pass for IPv4.
    if source.is_v4_mapped() || destination.is_v4_mapped() {
        return Err(Unsteerable::Forbidden);
    }

    let walked = match frame.read(network + NEXT_HEADER)? {
        // Most packets have no extension headers, and need no call.
        protocol @ (PROTOCOL_TCP | PROTOCOL_UDP) => Walked::none(protocol, network),
        _other => Walked::unpack(frame.context.walk_extensions(network as u64, end as u64))?,
    };
    let bits = walked.bits;
    let datagram = match walked.fragment {
        0 => None,
        fields => {
            let identification = frame.read_computed(fields + 2)?;
            Some(DatagramId { identification, protocol: 0 })
        }
    };
    let transport = match datagram {
        Some(datagram) if bits & OFFSET_BITS != 0 => Transport::LaterFragment(datagram),
        datagram => match walked.protocol {
            PROTOCOL_TCP | PROTOCOL_UDP => {
                // An atomic fragment (RFC 6946) has none to follow.
                let first_fragment = if bits & MORE_FRAGMENTS == 0 { None } else { datagram };
                Transport::ports(frame, walked.protocol, walked.offset, end, first_fragment)?
            }
            ICMPV6 => {
                let message = neighbour::Message {
                    source: &source,
                    destination: &destination,
                    hop_limit: frame.read(network + HOP_LIMIT)?,
                    fragmented: walked.fragment != 0,
                    offset: walked.offset,
                    end,
                };
                if let Some(fate) = neighbour::neighbour_discovery(frame, &message)? {
                    return Ok(fate);
                }
                Transport::Other
            }
            _other => Transport::Other,
        },
    };

    Ok(ip::steer(&Packet {
        source,
        destination,
        transport,
        group: destination.first_two()[0] == 0xff,
        dhcp: false,
        group_mac,
    }))
}
