//! IPv6 headers and their extension headers (RFC 8200).

use std::net::IpAddr;

use super::{Fragment, IPV6_HEADER_LEN, IpVersion, MAX_EXTENSION_HEADERS, Packet, addresses, transport};
use crate::bytes::{ipv6_at, u16_at, u32_at};
use crate::ecn::Ecn;
use crate::malformed::Malformed;
use crate::protocol::Protocol;
use crate::tuple::FiveTuple;

const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;
const _: () = assert!(DESTINATION + 16 == IPV6_HEADER_LEN);

/// Every extension header is a multiple of this, and at least one of it.
const EXTENSION_UNIT: usize = 8;

#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
    let fixed: &[u8; IPV6_HEADER_LEN] = bytes.first_chunk().ok_or(Malformed::TruncatedHeader)?;
    let total_len = IPV6_HEADER_LEN + usize::from(u16_at(fixed, PAYLOAD_LENGTH));
    let packet = bytes.get(..total_len).ok_or(Malformed::BadTotalLength)?;
    let (source, destination) = (ipv6_at(fixed, SOURCE), ipv6_at(fixed, DESTINATION));
    addresses::check_v6(source, destination)?;

    let chain = walk(packet, Protocol(fixed[NEXT_HEADER]))?;
    let payload = &packet[chain.end..];
    let found = transport::parse(payload, chain.protocol, IpVersion::V6, chain.fragment, chain.end)?;
    let class = (u16_at(fixed, 0) >> 4) as u8;
    Ok(Packet {
        version: IpVersion::V6,
        tuple: FiveTuple {
            source: IpAddr::V6(source),
            destination: IpAddr::V6(destination),
            protocol: chain.protocol,
            source_port: found.source_port,
            destination_port: found.destination_port,
        },
        transport: found.transport,
        fragment: chain.fragment,
        identification: chain.identification,
        dont_fragment: true,
        ttl: fixed[HOP_LIMIT],
        dscp: class >> 2,
        ecn: Ecn::from_traffic_class(class),
        l4_offset: chain.end,
        total_len,
    })
}

/// Where the extension headers end and what follows them.
struct Chain {
    protocol: Protocol,
    end: usize,
    fragment: Fragment,
    identification: u32,
}

/// Follows the extension headers of `packet`, whose fixed header says `first` is next.
#[inline]
fn walk(packet: &[u8], first: Protocol) -> Result<Chain, Malformed> {
    let mut chain =
        Chain { protocol: first, end: IPV6_HEADER_LEN, fragment: Fragment::None, identification: 0 };
    let mut fragment_seen = false;
    for index in 0..=MAX_EXTENSION_HEADERS {
        match chain.protocol {
            Protocol::HOP_BY_HOP if index > 0 => return Err(Malformed::MisplacedHopByHop),
            Protocol::HOP_BY_HOP | Protocol::DESTINATION_OPTIONS | Protocol::ROUTING | Protocol::FRAGMENT => {
            }
            _ => return Ok(chain),
        }
        let rest = &packet[chain.end..];
        let header: &[u8; EXTENSION_UNIT] = rest.first_chunk().ok_or(Malformed::TruncatedExtensionHeader)?;
        let mut length = EXTENSION_UNIT;
        if chain.protocol == Protocol::FRAGMENT {
            if std::mem::replace(&mut fragment_seen, true) {
                return Err(Malformed::NestedFragment);
            }
            read_fragment(&mut chain, header, rest.len() - EXTENSION_UNIT)?;
        } else {
            length += usize::from(header[1]) * EXTENSION_UNIT;
            if length > rest.len() {
                return Err(Malformed::TruncatedExtensionHeader);
            }
            if chain.protocol == Protocol::ROUTING {
                check_routing(header[2], header[3])?;
            }
        }
        chain.end += length;
        chain.protocol = Protocol(header[0]);
        // What follows here are bytes from the middle of the datagram, not headers.
        if chain.fragment == Fragment::Later {
            return Ok(chain);
        }
    }
    Err(Malformed::ExtensionHeaderChainTooLong)
}

/// Reads a fragment header in front of `payload_len` bytes.
fn read_fragment(
    chain: &mut Chain,
    header: &[u8; EXTENSION_UNIT],
    payload_len: usize,
) -> Result<(), Malformed> {
    let word = u16_at(header, 2);
    let (offset, more) = (usize::from(word & !0b111), word & 1 != 0);
    if offset == 0 && !more {
        return Ok(());
    }
    // Of a datagram in pieces the later ones would tell another protocol than the first one's last header is, and
    // could lie over the headers in between.
    if matches!(Protocol(header[0]), Protocol::HOP_BY_HOP | Protocol::DESTINATION_OPTIONS | Protocol::ROUTING)
    {
        return Err(Malformed::ExtensionHeaderInFragment);
    }
    transport::check_fragment(offset, payload_len, more, Protocol(header[0]))?;
    chain.fragment = if offset == 0 { Fragment::First } else { Fragment::Later };
    chain.identification = u32_at(header, 4);
    Ok(())
}

/// Refuses to be one more stop of a source route. While segments are left the header's destination is not
/// the final one, so neither policy nor pseudo-header could rely on it.
const fn check_routing(kind: u8, segments_left: u8) -> Result<(), Malformed> {
    match (kind, segments_left) {
        (0, _) => Err(Malformed::RoutingHeaderTypeZero),
        (_, 0) => Ok(()),
        _ => Err(Malformed::SourceRoute),
    }
}
