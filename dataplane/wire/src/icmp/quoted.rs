//! The packet that an ICMP error quotes, and its translation together with the error (RFC 5508 4.2).

use std::net::IpAddr;

use crate::bytes::{ipv4_at, ipv6_at, u16_at};
use crate::checksum::Difference;
use crate::packet::{
    Fragment, ICMP_IDENTIFIER, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpVersion, Packet, Transport, classify_icmp,
};
use crate::protocol::Protocol;
use crate::rewrite::{Fields, Rewrite, RewriteError, check_family, replace_header, rewrite_with};
use crate::tuple::FiveTuple;

/// Bytes of the transport header that every quote has (RFC 792).
const QUOTED_TRANSPORT_LEN: usize = 8;
const OFFSET_MASK: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;
/// Fewest bytes of an IPv6 extension header, and their unit.
const EXTENSION_UNIT: usize = 8;

/// What is known of the packet that an ICMP error is about; offsets are from the start of the error's own IP
/// header, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedPacket {
    /// Addresses, protocol and ports as the quoted packet had them: its source is whom the error goes to.
    pub tuple: FiveTuple,
    /// Which part of its datagram the quoted packet is; a later fragment has no ports.
    pub fragment: Fragment,
    /// An ICMP query or reply: the tuple's ports are its identifier.
    pub icmp_query: bool,
    /// Where the quoted IP header starts.
    pub ip_offset: usize,
    /// Where the quoted transport header starts; 8 bytes of it are there at least if it has ports.
    pub l4_offset: usize,
    /// Where the quote ends: with the packet.
    pub end: usize,
}

/// Reads the packet that the ICMP error in `bytes` quotes.
///
/// `None` if `packet` is no ICMP error, or the quote is of the other IP version, is cut off before the ports, has
/// an impossible header, or is an ICMP message that no error may be about. Its checksums and lengths are not
/// looked at: it may have been cut, or changed on its way.
pub fn quoted(bytes: &[u8], packet: &Packet) -> Option<QuotedPacket> {
    let Transport::IcmpError { quoted: ip_offset } = packet.transport else {
        return None;
    };
    let bytes = bytes.get(..packet.total_len)?;
    let quote = bytes.get(ip_offset..)?;
    let header = match packet.version {
        IpVersion::V4 => read_v4(quote)?,
        IpVersion::V6 => read_v6(quote)?,
    };
    let mut found = QuotedPacket {
        tuple: FiveTuple {
            source: header.source,
            destination: header.destination,
            protocol: header.protocol,
            source_port: 0,
            destination_port: 0,
        },
        fragment: header.fragment,
        icmp_query: false,
        ip_offset,
        l4_offset: ip_offset + header.length,
        end: packet.total_len,
    };
    let l4 = quote.get(header.length..)?;
    if header.fragment != Fragment::Later {
        read_ports(&mut found, l4, packet.version)?;
    }
    Some(found)
}

/// The quoted IP header, extension headers included.
struct Header {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    fragment: Fragment,
    length: usize,
}

fn read_v4(quote: &[u8]) -> Option<Header> {
    let fixed: &[u8; IPV4_HEADER_LEN] = quote.first_chunk()?;
    let length = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || length < IPV4_HEADER_LEN || length > quote.len() {
        return None;
    }
    let flags = u16_at(fixed, 6);
    Some(Header {
        source: IpAddr::V4(ipv4_at(fixed, 12)),
        destination: IpAddr::V4(ipv4_at(fixed, 16)),
        protocol: Protocol(fixed[9]),
        fragment: part(flags & OFFSET_MASK != 0, flags & MORE_FRAGMENTS != 0),
        length,
    })
}

fn read_v6(quote: &[u8]) -> Option<Header> {
    let fixed: &[u8; IPV6_HEADER_LEN] = quote.first_chunk()?;
    if fixed[0] >> 4 != 6 {
        return None;
    }
    let mut header = Header {
        source: IpAddr::V6(ipv6_at(fixed, 8)),
        destination: IpAddr::V6(ipv6_at(fixed, 24)),
        protocol: Protocol(fixed[6]),
        fragment: Fragment::None,
        length: IPV6_HEADER_LEN,
    };
    for _ in 0..=crate::packet::MAX_EXTENSION_HEADERS {
        let fragment = match header.protocol {
            Protocol::FRAGMENT => true,
            Protocol::HOP_BY_HOP | Protocol::DESTINATION_OPTIONS | Protocol::ROUTING => false,
            _ => return Some(header),
        };
        let extension: &[u8; EXTENSION_UNIT] = quote.get(header.length..)?.first_chunk()?;
        header.protocol = Protocol(extension[0]);
        header.length += EXTENSION_UNIT;
        if fragment {
            let word = u16_at(extension, 2);
            header.fragment = part(word & !0b111 != 0, word & 1 != 0);
            if header.fragment == Fragment::Later {
                return Some(header);
            }
        } else {
            header.length += usize::from(extension[1]) * EXTENSION_UNIT;
        }
    }
    None
}

const fn part(beyond_start: bool, more: bool) -> Fragment {
    match (beyond_start, more) {
        (true, _) => Fragment::Later,
        (false, true) => Fragment::First,
        (false, false) => Fragment::None,
    }
}

/// Fills in what the first bytes of the quoted transport header say.
fn read_ports(found: &mut QuotedPacket, l4: &[u8], version: IpVersion) -> Option<()> {
    match (found.tuple.protocol, version) {
        (Protocol::TCP | Protocol::UDP, _) => {
            let l4: &[u8; QUOTED_TRANSPORT_LEN] = l4.first_chunk()?;
            found.tuple.source_port = u16_at(l4, 0);
            found.tuple.destination_port = u16_at(l4, 2);
        }
        (Protocol::ICMP, IpVersion::V4) | (Protocol::ICMPV6, IpVersion::V6) => {
            let l4: &[u8; QUOTED_TRANSPORT_LEN] = l4.first_chunk()?;
            match classify_icmp(version, l4[0], 0) {
                Transport::IcmpQuery | Transport::IcmpReply => {
                    found.icmp_query = true;
                    found.tuple.source_port = u16_at(l4, ICMP_IDENTIFIER);
                    found.tuple.destination_port = found.tuple.source_port;
                }
                Transport::IcmpError { .. } => return None,
                _ => {}
            }
        }
        _ => {}
    }
    Some(())
}

/// Rewrites an ICMP error and the packet it quotes: `outer` changes the error's own header (ports do not apply),
/// `inner` the quoted packet, in the quoted packet's own direction (its `decrement_ttl` does not apply).
///
/// `bytes` are those that `packet` was parsed from and `quoted` was read from. The quoted IPv4 header's checksum,
/// the quoted transport's checksum where the quote reaches that far, and the ICMP checksum are updated by
/// difference.
///
/// # Errors
/// [`RewriteError`]; nothing was changed then.
pub fn rewrite_error(
    bytes: &mut [u8],
    packet: &Packet,
    quoted: &QuotedPacket,
    outer: &Rewrite,
    inner: &Rewrite,
) -> Result<(), RewriteError> {
    let (needed, found) = (packet.total_len.max(quoted.end), bytes.len());
    if found < needed {
        return Err(RewriteError::Truncated { needed, found });
    }
    check_family(packet.version, outer)?;
    check_family(packet.version, inner)?;

    let quote = &mut bytes[quoted.ip_offset..quoted.end];
    let addresses = replace_header(quote, packet.version, &Rewrite { decrement_ttl: false, ..*inner });
    // An IPv4 header's checksum takes its addresses' difference out again; IPv6 has none.
    let mut message = match packet.version {
        IpVersion::V4 => Difference::ZERO,
        IpVersion::V6 => addresses,
    };
    if quoted.fragment != Fragment::Later
        && let Some(fields) = Fields::of(packet.version, quoted.tuple.protocol, quoted.icmp_query)
    {
        let l4 = &mut quote[quoted.l4_offset - quoted.ip_offset..];
        message.add(fields.replace(l4, inner, fields.seen_of(addresses)));
    }
    rewrite_with(bytes, packet, outer, message)
}
