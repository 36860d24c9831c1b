//! Address and port translation in place, with checksums updated for what changed.

use std::net::IpAddr;

use crate::bytes::{array, put, put_u16, u16_at, u32_at};
use crate::checksum::Difference;
use crate::packet::{
    ICMP_CHECKSUM, ICMP_IDENTIFIER, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpVersion, Packet, Transport,
};
use crate::protocol::Protocol;

/// What to change in a packet; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// New source address.
    pub source: Option<IpAddr>,
    /// New destination address.
    pub destination: Option<IpAddr>,
    /// New source port; the new identifier of an ICMP query or reply.
    pub source_port: Option<u16>,
    /// New destination port; the new identifier of an ICMP query or reply, unless `source_port` changes it.
    pub destination_port: Option<u16>,
    /// Take one from TTL or hop limit. 0 stays 0: whoever forwards answers a TTL of 1 or less instead.
    pub decrement_ttl: bool,
}

/// Why nothing was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The new address is of the other IP version.
    #[error("{address} cannot stand in an {version:?} packet")]
    FamilyMismatch {
        /// The address that does not fit.
        address: IpAddr,
        /// Version of the packet.
        version: IpVersion,
    },
    /// The bytes are not those that the packet was parsed from.
    #[error("{found} bytes cannot hold a packet of {needed}")]
    Truncated {
        /// Bytes the packet has.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
}

/// Rewrites the packet in `bytes`, from which `packet` was parsed, and brings the IPv4 header checksum and the
/// transport's checksum up to date (RFC 1624): TCP, UDP, UDP-Lite, DCCP and ICMPv6, whose checksums cover the
/// addresses, and ICMP identifiers. A UDP checksum of 0 stays 0. Of later fragments only the addresses
/// are rewritten.
///
/// What was there before is read from `bytes`: of `packet` only offsets and kinds are used, so a packet may be
/// rewritten again with the same `packet`.
///
/// # Errors
/// [`RewriteError`]; nothing was changed then.
#[inline]
pub fn rewrite(bytes: &mut [u8], packet: &Packet, change: &Rewrite) -> Result<(), RewriteError> {
    rewrite_with(bytes, packet, change, Difference::ZERO)
}

/// As [`rewrite`], where the ICMP message that the packet carries has changed by `message` already.
#[inline]
pub(crate) fn rewrite_with(
    bytes: &mut [u8],
    packet: &Packet,
    change: &Rewrite,
    message: Difference,
) -> Result<(), RewriteError> {
    let found = bytes.len();
    let bytes = bytes
        .get_mut(..packet.total_len)
        .ok_or(RewriteError::Truncated { needed: packet.total_len, found })?;
    check_family(packet.version, change)?;
    let addresses = replace_header(bytes, packet.version, change);
    if packet.transport != Transport::LaterFragment
        && let Some(fields) = Fields::of(packet.version, packet.tuple.protocol, is_query(packet.transport))
    {
        let mut covered = message;
        covered.add(fields.seen_of(addresses));
        fields.replace(&mut bytes[packet.l4_offset..], change, covered);
    }
    Ok(())
}

#[inline]
const fn is_query(transport: Transport) -> bool {
    matches!(transport, Transport::IcmpQuery | Transport::IcmpReply)
}

/// Refuses addresses of the other family.
#[inline]
pub(crate) fn check_family(version: IpVersion, change: &Rewrite) -> Result<(), RewriteError> {
    let fits = |address: IpAddr| address.is_ipv4() == (version == IpVersion::V4);
    match (change.source, change.destination) {
        (Some(address), _) | (_, Some(address)) if !fits(address) => {
            Err(RewriteError::FamilyMismatch { address, version })
        }
        _ => Ok(()),
    }
}

const V4_TTL_WORD: usize = 8;
/// One in the TTL, the upper byte of its word.
const V4_TTL_ONE: u16 = 0x0100;
const V4_CHECKSUM: usize = 10;
const V4_SOURCE: usize = 12;
const V4_DESTINATION: usize = 16;
const V6_HOP_LIMIT: usize = 7;
const V6_SOURCE: usize = 8;
const V6_DESTINATION: usize = 24;

/// Replaces addresses and TTL of the IP header at the start of `bytes`, its checksum included, and gives the
/// difference that a pseudo-header sees. Families have been checked.
#[inline]
pub(crate) fn replace_header(bytes: &mut [u8], version: IpVersion, change: &Rewrite) -> Difference {
    match version {
        IpVersion::V4 => {
            let header = bytes.first_chunk_mut().expect("a parsed IPv4 packet has its fixed header");
            replace_v4_header(header, change)
        }
        IpVersion::V6 => {
            let header = bytes.first_chunk_mut().expect("a parsed IPv6 packet has its fixed header");
            replace_v6_header(header, change)
        }
    }
}

#[inline]
fn replace_v4_header(header: &mut [u8; IPV4_HEADER_LEN], change: &Rewrite) -> Difference {
    let mut addresses = Difference::ZERO;
    for (at, address) in [(V4_SOURCE, change.source), (V4_DESTINATION, change.destination)] {
        if let Some(IpAddr::V4(new)) = address {
            addresses.replace_u32(u32_at(header, at), u32::from(new));
            put(header, at, new.octets());
        }
    }
    let mut covered = addresses;
    let ttl = u16_at(header, V4_TTL_WORD);
    if change.decrement_ttl && ttl >= V4_TTL_ONE {
        covered.replace_u16(ttl, ttl - V4_TTL_ONE);
        put_u16(header, V4_TTL_WORD, ttl - V4_TTL_ONE);
    }
    let checksum = covered.apply(u16_at(header, V4_CHECKSUM));
    put_u16(header, V4_CHECKSUM, checksum);
    addresses
}

#[inline]
fn replace_v6_header(header: &mut [u8; IPV6_HEADER_LEN], change: &Rewrite) -> Difference {
    let mut addresses = Difference::ZERO;
    for (at, address) in [(V6_SOURCE, change.source), (V6_DESTINATION, change.destination)] {
        if let Some(IpAddr::V6(new)) = address {
            addresses.replace_u128(u128::from_be_bytes(array(header, at)), u128::from(new));
            put(header, at, new.octets());
        }
    }
    if change.decrement_ttl {
        header[V6_HOP_LIMIT] = header[V6_HOP_LIMIT].saturating_sub(1);
    }
    addresses
}

/// What stands for ports in a transport header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    Pair,
    Identifier,
    None,
}

/// How a transport treats the two zeros of its checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    /// No matter: the pseudo-header is never all zero.
    Plain,
    /// RFC 768: 0 is no checksum.
    Udp,
    /// An ICMPv4 message can be all zero, and its checksum is 0xffff then.
    IcmpV4,
}

/// Where a transport header keeps what translation changes; offsets are from its start.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    ports: Ports,
    checksum: usize,
    pseudo_header: bool,
    zero: Zero,
}

impl Fields {
    /// The fields of `protocol`, `None` where translation changes nothing.
    #[inline]
    pub(crate) const fn of(version: IpVersion, protocol: Protocol, icmp_query: bool) -> Option<Self> {
        let icmp_ports = if icmp_query { Ports::Identifier } else { Ports::None };
        let (ports, checksum, pseudo_header, zero) = match (protocol, version) {
            (Protocol::TCP, _) => (Ports::Pair, 16, true, Zero::Plain),
            (Protocol::UDP, _) => (Ports::Pair, 6, true, Zero::Udp),
            (Protocol::UDP_LITE, _) => (Ports::None, 6, true, Zero::Udp),
            (Protocol::DCCP, _) => (Ports::None, 6, true, Zero::Plain),
            (Protocol::ICMP, IpVersion::V4) => (icmp_ports, ICMP_CHECKSUM, false, Zero::IcmpV4),
            (Protocol::ICMPV6, IpVersion::V6) => (icmp_ports, ICMP_CHECKSUM, true, Zero::Plain),
            _ => return None,
        };
        Some(Self { ports, checksum, pseudo_header, zero })
    }

    /// What this checksum sees of changed addresses.
    #[inline]
    pub(crate) const fn seen_of(self, addresses: Difference) -> Difference {
        if self.pseudo_header { addresses } else { Difference::ZERO }
    }

    /// Replaces ports or identifier of the header at the start of `header` and updates its checksum for them
    /// and for `covered`. Gives the difference of all that changed in `header`. Of a header that is cut off
    /// what is there is replaced.
    #[inline]
    pub(crate) fn replace(self, header: &mut [u8], change: &Rewrite, mut covered: Difference) -> Difference {
        let mut within = Difference::ZERO;
        match self.ports {
            Ports::Pair => {
                for (at, port) in [(0, change.source_port), (2, change.destination_port)] {
                    if let Some(port) = port {
                        replace_word(header, at, port, &mut within);
                    }
                }
            }
            Ports::Identifier => {
                let old = u16_at(header, ICMP_IDENTIFIER);
                let new = change.source_port.filter(|new| *new != old).or(change.destination_port);
                if let Some(new) = new {
                    replace_word(header, ICMP_IDENTIFIER, new, &mut within);
                }
            }
            Ports::None => {}
        }
        if header.len() >= self.checksum + size_of::<u16>() {
            covered.add(within);
            let new = self.updated(header, covered);
            replace_word(header, self.checksum, new, &mut within);
        }
        within
    }

    /// The checksum of `header` after `covered` changed.
    #[inline]
    fn updated(self, header: &[u8], covered: Difference) -> u16 {
        let old = u16_at(header, self.checksum);
        match self.zero {
            Zero::Plain => covered.apply(old),
            Zero::Udp => covered.apply_udp(old),
            Zero::IcmpV4 => match covered.apply(old) {
                0 if is_all_zero(header) => 0xffff,
                new => new,
            },
        }
    }
}

/// Whether an ICMPv4 message has nothing but zeros besides its checksum: an echo reply may. Its sum is the other
/// zero, which no difference can tell.
pub(crate) fn is_all_zero(message: &[u8]) -> bool {
    message[..ICMP_CHECKSUM].iter().chain(&message[ICMP_IDENTIFIER..]).all(|byte| *byte == 0)
}

#[inline]
fn replace_word(bytes: &mut [u8], at: usize, new: u16, difference: &mut Difference) {
    difference.replace_u16(u16_at(bytes, at), new);
    put_u16(bytes, at, new);
}
