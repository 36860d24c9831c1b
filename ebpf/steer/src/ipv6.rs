//! The IPv6 header and its extension headers (RFC 8200).

use gridway_steer_abi::{DatagramId, Fate};

use crate::{
    context::Context,
    frame::{Frame, Unsteerable},
    ip::{self, PROTOCOL_TCP, PROTOCOL_UDP, Packet, Transport},
    neighbour,
};

const HEADER_LENGTH: usize = 40;
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// Extension headers that are walked; RFC 8200 4.1 recommends an order in which seven stand.
const MAX_EXTENSION_HEADERS: usize = 8;
/// No extension header is shorter.
const MIN_EXTENSION_LENGTH: usize = 8;

const MORE_FRAGMENTS: u16 = 1;
const OFFSET_BITS: u16 = 0xfff8;

/// Where the walk over the extension headers ended.
struct Walked {
    /// The header that the walk does not know: upper layer, or no next header.
    protocol: u8,
    offset: usize,
    /// Offset of the fragment header's fields, and those fields; none when there is no fragment header.
    fragment: Option<(usize, u16)>,
}

/// Steers the IPv6 packet at `network`.
#[inline(always)]
pub fn ipv6(
    frame: &Frame<impl Context>,
    network: usize,
    group_mac: bool,
) -> Result<Fate, Unsteerable> {
    if !frame.holds(network, HEADER_LENGTH) {
        return Err(Unsteerable::Truncated);
    }
    let first: u8 = frame.read(network)?;
    if first >> 4 != 6 {
        return Err(Unsteerable::Inconsistent);
    }
    let length = match frame.read_u16(network + PAYLOAD_LENGTH)? {
        0 => HEADER_LENGTH.max(frame.joined_from(network)),
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

    let walked = walk(frame, network, end)?;
    let (datagram, bits) = match walked.fragment {
        Some((fields, bits)) => {
            let identification = frame.read_computed(fields + 2)?;
            (Some(DatagramId { identification, protocol: 0 }), bits)
        }
        None => (None, 0),
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
                    fragmented: walked.fragment.is_some(),
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

/// Walks the extension headers from the end of the IPv6 header on; behind a later fragment's fragment header
/// there is nothing to walk.
#[inline(always)]
fn walk(frame: &Frame<impl Context>, network: usize, end: usize) -> Result<Walked, Unsteerable> {
    let mut walked = Walked {
        protocol: frame.read(network + NEXT_HEADER)?,
        offset: network + HEADER_LENGTH,
        fragment: None,
    };
    for index in 0..MAX_EXTENSION_HEADERS {
        let header = walked.protocol;
        match header {
            // RFC 8200 4.1: only directly behind the IPv6 header.
            HOP_BY_HOP if index != 0 => return Err(Unsteerable::Forbidden),
            // A packet has one fragment header.
            FRAGMENT if walked.fragment.is_some() => return Err(Unsteerable::Forbidden),
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP
            | SHIM6 => {}
            _upper_layer => return Ok(walked),
        }
        if walked.offset + MIN_EXTENSION_LENGTH > end {
            return Err(Unsteerable::Truncated);
        }
        let [next, length] = frame.read_computed::<u16>(walked.offset)?.to_ne_bytes();
        if header == FRAGMENT {
            let fields = walked.offset + 2;
            let bits = u16::from_be(frame.read_computed(fields)?);
            walked.fragment = Some((fields, bits));
        }
        walked.protocol = next;
        walked.offset += match header {
            FRAGMENT => MIN_EXTENSION_LENGTH,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _others => (usize::from(length) + 1) * 8,
        };
        if walked.offset > end {
            return Err(Unsteerable::Truncated);
        }
        if let Some((_, bits)) = walked.fragment
            && bits & OFFSET_BITS != 0
        {
            return Ok(walked);
        }
    }
    match walked.protocol {
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => {
            Err(Unsteerable::TooManyHeaders)
        }
        _upper_layer => Ok(walked),
    }
}
