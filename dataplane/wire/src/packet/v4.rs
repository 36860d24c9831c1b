//! IPv4 headers (RFC 791).

use std::net::IpAddr;

use super::{Fragment, IPV4_HEADER_LEN, IpVersion, Packet, Part, addresses, transport};
use crate::bytes::{ipv4_at, u16_at};
use crate::checksum::Sum;
use crate::ecn::Ecn;
use crate::malformed::Malformed;
use crate::protocol::Protocol;
use crate::tuple::FiveTuple;

const TRAFFIC_CLASS: usize = 1;
const TOTAL_LENGTH: usize = 2;
const IDENTIFICATION: usize = 4;
const FRAGMENT: usize = 6;
const TTL: usize = 8;
const PROTOCOL: usize = 9;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;
const _: () = assert!(DESTINATION + 4 == IPV4_HEADER_LEN);

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

const OPTION_END: u8 = 0;
const OPTION_NO_OPERATION: u8 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;

#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
    let fixed: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk().ok_or(Malformed::TruncatedHeader)?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < IPV4_HEADER_LEN {
        return Err(Malformed::BadHeaderLength);
    }
    let total_len = usize::from(u16_at(fixed, TOTAL_LENGTH));
    if total_len < header_len || total_len > bytes.len() {
        return Err(Malformed::BadTotalLength);
    }
    if header_len == IPV4_HEADER_LEN {
        if !Sum::ZERO.bytes(fixed).is_intact() {
            return Err(Malformed::BadIpChecksum);
        }
    } else {
        if !Sum::ZERO.bytes(&bytes[..header_len]).is_intact() {
            return Err(Malformed::BadIpChecksum);
        }
        check_options(&bytes[IPV4_HEADER_LEN..header_len])?;
    }
    let (source, destination) = (ipv4_at(fixed, SOURCE), ipv4_at(fixed, DESTINATION));
    addresses::check_v4(source, destination)?;

    let protocol = Protocol(fixed[PROTOCOL]);
    let flags = u16_at(fixed, FRAGMENT);
    let (fragment, part) = fragment(flags, total_len - header_len, protocol)?;
    let payload = &bytes[header_len..total_len];
    let found = transport::parse(payload, protocol, IpVersion::V4, fragment, header_len)?;
    Ok(Packet {
        version: IpVersion::V4,
        tuple: FiveTuple {
            source: IpAddr::V4(source),
            destination: IpAddr::V4(destination),
            protocol,
            source_port: found.source_port,
            destination_port: found.destination_port,
        },
        transport: found.transport,
        fragment,
        part,
        identification: u32::from(u16_at(fixed, IDENTIFICATION)),
        dont_fragment: flags & DONT_FRAGMENT != 0,
        ttl: fixed[TTL],
        dscp: fixed[TRAFFIC_CLASS] >> 2,
        ecn: Ecn::from_traffic_class(fixed[TRAFFIC_CLASS]),
        l4_offset: header_len,
        total_len,
    })
}

/// Which part of its datagram a packet with this flags-and-offset word is.
#[inline]
fn fragment(flags: u16, payload_len: usize, protocol: Protocol) -> Result<(Fragment, Part), Malformed> {
    if flags & (MORE_FRAGMENTS | OFFSET_MASK) == 0 {
        return Ok((Fragment::None, Part::default()));
    }
    let offset = usize::from(flags & OFFSET_MASK) * 8;
    let part =
        super::transport::check_fragment(offset, payload_len, flags & MORE_FRAGMENTS != 0, protocol)?;
    Ok((if offset == 0 { Fragment::First } else { Fragment::Later }, part))
}

/// Walks the options: each must end within the header, and none may route.
fn check_options(mut options: &[u8]) -> Result<(), Malformed> {
    while let [kind, rest @ ..] = options {
        options = match *kind {
            OPTION_END => return Ok(()),
            OPTION_NO_OPERATION => rest,
            OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE => return Err(Malformed::SourceRoute),
            _ => {
                let length = usize::from(*rest.first().ok_or(Malformed::BadIpOption)?);
                if length < 2 {
                    return Err(Malformed::BadIpOption);
                }
                options.get(length..).ok_or(Malformed::BadIpOption)?
            }
        };
    }
    Ok(())
}
