//! The plainest packets, which nearly all are, read and rewritten in one pass.
//!
//! What [`Plain::read`] takes, [`crate::packet::parse`] takes too, with the same findings; what it leaves alone
//! may be good all the same. So it is a short cut and never a judge.

use crate::bytes::{array, put, put_u16, u16_at, u32_at};
use crate::checksum::Difference;
use crate::packet::{IPV4_HEADER_LEN, is_plain_v4};
use crate::protocol::Protocol;
use crate::tcp::TcpFlags;

/// IPv4 and a UDP header.
const SHORTEST: usize = 28;
const VERSION_AND_LENGTH: u8 = 0x45;
const TOTAL_LENGTH: usize = 2;
const FRAGMENT: usize = 6;
/// Everything but "don't fragment": reserved bit, more fragments, offset.
const FRAGMENT_MASK: u16 = 0xbfff;
const TTL: usize = 8;
const PROTOCOL: usize = 9;
const HEADER_CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;
const PORTS: usize = 20;
const TCP_OFFSET: usize = 32;
const TCP_FLAGS: usize = 33;
const TCP_CHECKSUM: usize = 36;
const TCP_HEADER_LEN: usize = 20;
const UDP_LENGTH: usize = 24;
const UDP_CHECKSUM: usize = 26;

/// Addresses and ports of a plain packet, as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Source port in the upper half, destination port in the lower.
    pub ports: u32,
}

/// A whole IPv4 packet without options, of TCP without SYN or of UDP, with at least one hop to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Addresses and ports.
    pub ends: Ends,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// TCP flags; none of UDP.
    pub flags: TcpFlags,
    /// Length of the packet; what follows in the buffer is padding.
    pub total_len: usize,
}

impl Plain {
    /// Reads the packet at the start of `bytes` if it is a plain one that nothing is wrong with.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; SHORTEST] = bytes.first_chunk()?;
        let total_len = usize::from(u16_at(head, TOTAL_LENGTH));
        if head[0] != VERSION_AND_LENGTH
            || u16_at(head, FRAGMENT) & FRAGMENT_MASK != 0
            || head[TTL] <= 1
            || total_len < SHORTEST
            || total_len > bytes.len()
        {
            return None;
        }
        if !header_is_intact(head) || !is_plain_v4(head[SOURCE]) || !is_plain_v4(head[DESTINATION]) {
            return None;
        }
        let payload_len = total_len - IPV4_HEADER_LEN;
        let flags = match Protocol(head[PROTOCOL]) {
            Protocol::UDP => {
                let length = usize::from(u16_at(head, UDP_LENGTH));
                if length < SHORTEST - IPV4_HEADER_LEN || length > payload_len {
                    return None;
                }
                TcpFlags::default()
            }
            Protocol::TCP if payload_len >= TCP_HEADER_LEN => {
                let header_len = usize::from(bytes[TCP_OFFSET] >> 4) * 4;
                let flags = TcpFlags(bytes[TCP_FLAGS]);
                if header_len < TCP_HEADER_LEN || header_len > payload_len || flags.syn() {
                    return None;
                }
                flags
            }
            _ => return None,
        };
        let ends = Ends {
            source: u32_at(head, SOURCE),
            destination: u32_at(head, DESTINATION),
            ports: u32_at(head, PORTS),
        };
        Some(Self { ends, protocol: Protocol(head[PROTOCOL]), flags, total_len })
    }

    /// Gives the packet in `bytes`, which this was read from, other ends, and takes it one hop further; checksums
    /// are updated by difference (RFC 1624).
    #[inline]
    pub fn rewrite(&self, bytes: &mut [u8], new: Ends) {
        let old = self.ends;
        let mut covered = Difference::ZERO;
        covered.replace_u32(old.source, new.source);
        covered.replace_u32(old.destination, new.destination);
        let mut header = covered;
        // One in the TTL, the upper byte of its word: 0x0100 less.
        header.replace_u16(0x0100, 0);
        covered.replace_u32(old.ports, new.ports);
        let Some(head) = bytes.first_chunk_mut::<SHORTEST>() else { return };
        head[TTL] -= 1;
        let checksum = header.apply(u16_at(head, HEADER_CHECKSUM));
        put_u16(head, HEADER_CHECKSUM, checksum);
        put(head, SOURCE, new.source.to_be_bytes());
        put(head, DESTINATION, new.destination.to_be_bytes());
        put(head, PORTS, new.ports.to_be_bytes());
        if self.protocol == Protocol::UDP {
            let checksum = covered.apply_udp(u16_at(head, UDP_CHECKSUM));
            put_u16(head, UDP_CHECKSUM, checksum);
        } else {
            let checksum = covered.apply(u16_at(bytes, TCP_CHECKSUM));
            put_u16(bytes, TCP_CHECKSUM, checksum);
        }
    }
}

/// Whether the header's words sum up to the zero that is all ones.
#[inline]
fn header_is_intact(head: &[u8; SHORTEST]) -> bool {
    // 2^16 is 1 modulo 0xffff, so it does not matter in which order or width the words are added.
    let word = |at| u64::from(u32::from_ne_bytes(array(head, at)));
    let sum = word(0) + word(4) + word(8) + word(12) + word(16);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (sum >> 16) + (sum & 0xffff) == 0xffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate::packet;
    use crate::packet::{Fragment, Transport, parse};
    use crate::rewrite::{Rewrite, rewrite};

    proptest! {
        /// Whatever the short cut takes, the road takes with the same findings and the same outcome.
        #[test]
        fn agrees_with_the_parser_and_the_rewriter(
            spec in packet(),
            damage in proptest::option::weighted(0.3, (0usize..40, any::<u8>())),
            new in any::<(u32, u32, u32)>(),
        ) {
            let mut bytes = spec.to_bytes();
            if let Some((at, value)) = damage
                && let Some(byte) = bytes.get_mut(at)
            {
                *byte = value;
            }
            let Some(plain) = Plain::read(&bytes) else {
                return Ok(());
            };
            let parsed = parse(&bytes).expect("what is plain is good");
            prop_assert_eq!(parsed.fragment, Fragment::None);
            prop_assert!(parsed.ttl > 1 && parsed.l4_offset == IPV4_HEADER_LEN);
            let has_ports = matches!(parsed.transport, Transport::Udp | Transport::Tcp { .. });
            prop_assert!(has_ports);
            prop_assert_eq!(parsed.total_len, plain.total_len);
            let ports = (parsed.tuple.source_port, parsed.tuple.destination_port);
            prop_assert_eq!(u32::from(ports.0) << 16 | u32::from(ports.1), plain.ends.ports);
            let mut expected = bytes.clone();
            let change = Rewrite {
                source: Some(std::net::Ipv4Addr::from(new.0).into()),
                destination: Some(std::net::Ipv4Addr::from(new.1).into()),
                source_port: Some((new.2 >> 16) as u16),
                destination_port: Some((new.2 & 0xffff) as u16),
                decrement_ttl: true,
            };
            rewrite(&mut expected, &parsed, &change).expect("families agree");
            plain.rewrite(&mut bytes, Ends { source: new.0, destination: new.1, ports: new.2 });
            prop_assert_eq!(bytes, expected);
        }
    }
}
