//! The packet that an ICMP error quotes (RFC 792, RFC 4443 3.1), and its translation (RFC 5508 4.2).

use std::net::IpAddr;

use super::{Carries, Packet, checksum};
use crate::tuple::{ICMP, ICMPV6, TCP, Tuple, UDP};

const ICMP_HEADER: usize = 8;

/// Where things are in the payload of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// As the quoted packet had them.
    pub tuple: Tuple,
    /// Start of the quoted transport header in the error's payload.
    transport: usize,
    /// Where the transport header has ports or an identifier.
    ports: Ports,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    Pair,
    Identifier,
    None,
}

impl Quote {
    /// Reads the quote of an ICMP error. `None` where it cannot name a flow: not an error, cut off before
    /// the ports, of the other IP version, a later fragment, or an ICMP error itself.
    #[must_use]
    pub fn read(error: &Packet) -> Option<Self> {
        if error.carries() != Carries::IcmpError {
            return None;
        }
        let quote = &error.payload[ICMP_HEADER..];
        let ipv4 = error.source.is_ipv4();
        let (source, destination, protocol, header_len) = if ipv4 { v4(quote)? } else { v6(quote)? };
        let transport = quote.get(header_len..)?;
        let word = |at: usize| Some(u16::from_be_bytes(transport.get(at..at + 2)?.try_into().ok()?));
        let (ports, source_port, destination_port) = match (protocol, ipv4) {
            (TCP | UDP, _) => (Ports::Pair, word(0)?, word(2)?),
            (ICMP, true) | (ICMPV6, false) => match super::icmp(ipv4, *transport.first()?) {
                Carries::Query | Carries::Reply => (Ports::Identifier, word(4)?, word(4)?),
                _ => return None,
            },
            _ => (Ports::None, 0, 0),
        };
        if ports != Ports::None && transport.len() < 8 {
            return None;
        }
        let tuple = Tuple { source, destination, protocol, source_port, destination_port };
        Some(Self { tuple, transport: ICMP_HEADER + header_len, ports })
    }

    /// The payload of `error` with the quoted packet in the addresses and ports of `to`. Checksums in
    /// the quote are changed by difference, because the quote may be cut off.
    #[must_use]
    pub(crate) fn translated(&self, error: &Packet, to: &Tuple) -> Vec<u8> {
        let mut payload = error.payload.clone();
        let address_sums = [&self.tuple, to].map(|t| checksum::sum_of_addresses(t.source, t.destination));
        match (to.source, to.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let quote = &mut payload[ICMP_HEADER..];
                quote[12..16].copy_from_slice(&source.octets());
                quote[16..20].copy_from_slice(&destination.octets());
                change(quote, 10, address_sums, |old| old);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                payload[ICMP_HEADER + 8..][..16].copy_from_slice(&source.octets());
                payload[ICMP_HEADER + 24..][..16].copy_from_slice(&destination.octets());
            }
            mixed => panic!("addresses of two families: {mixed:?}"),
        }
        let transport = &mut payload[self.transport..];
        let port_sums = match self.ports {
            Ports::Pair => {
                transport[0..2].copy_from_slice(&to.source_port.to_be_bytes());
                transport[2..4].copy_from_slice(&to.destination_port.to_be_bytes());
                [&self.tuple, to].map(|t| checksum::add(t.source_port, t.destination_port))
            }
            Ports::Identifier => {
                let old = self.tuple.source_port;
                let new = if to.source_port == old { to.destination_port } else { to.source_port };
                transport[4..6].copy_from_slice(&new.to_be_bytes());
                [old, new]
            }
            Ports::None => [0, 0],
        };
        if let Some((at, pseudo_header)) = checksum::field(to.protocol, to.source.is_ipv4())
            && transport.len() >= at + 2
        {
            let sums = [0, 1].map(|i| {
                let addresses = if pseudo_header { address_sums[i] } else { 0 };
                checksum::add(addresses, port_sums[i])
            });
            if !(to.protocol == UDP && transport[at..at + 2] == [0, 0]) {
                change(transport, at, sums, |new| checksum::not_zero_in_udp(to.protocol, new));
            }
        }
        payload
    }
}

fn change(bytes: &mut [u8], at: usize, [before, after]: [u16; 2], finish: impl Fn(u16) -> u16) {
    let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let new = finish(checksum::by_difference(old, before, after));
    bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

/// Source, destination, protocol and header length.
type Fixed = (IpAddr, IpAddr, u8, usize);

fn v4(quote: &[u8]) -> Option<Fixed> {
    let header: &[u8; 20] = quote.first_chunk()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    if header[0] >> 4 != 4 || header_len < 20 || later {
        return None;
    }
    let address = |at: usize| IpAddr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some((address(12), address(16), header[9], header_len))
}

fn v6(quote: &[u8]) -> Option<Fixed> {
    let header: &[u8; 40] = quote.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let address = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(header.get(at..at + 16)?).ok()?));
    let (mut at, mut next) = (40, header[6]);
    while matches!(next, 0 | 43 | 44 | 60) {
        let extension = quote.get(at..at + 8)?;
        if next == 44 && u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 != 0 {
            return None;
        }
        at += if next == 44 { 8 } else { 8 + usize::from(extension[1]) * 8 };
        next = extension[0];
    }
    Some((address(8)?, address(24)?, next, at))
}
