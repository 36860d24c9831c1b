//! TCP segments in a row, put together into one long packet that the kernel or the NIC cuts again (segmentation
//! offload): the packet passes the kernel once instead of once a segment.
//!
//! ```text
//!  room | IP header | TCP header | payload of the first | of the second | … | of the last, which may be shorter
//!       ^ packet()
//! ```
//!
//! What comes out of the cut is what went in: only segments that differ in nothing but sequence number, payload,
//! `PSH` on the last, checksum and, where it means nothing, identification are put together. Identifications count up
//! behind a cut; IPv4 packets must have "don't fragment" set, with which nobody looks at them (RFC 6864, 4.1).
//! Checksums are made anew behind a cut, so each segment's own is verified before: an error on its way here stays
//! visible to the receiver, since a wrong one is not put together with others.

use std::net::IpAddr;

use crate::bytes::{put_u16, u16_at, u32_at};
use crate::checksum::{Sum, checksum};
use crate::packet::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpVersion};
use crate::protocol::Protocol;
use crate::tcp::TcpFlags;

const V4_TOTAL_LEN: usize = 2;
const V4_FRAGMENT: usize = 6;
const V4_DONT_FRAGMENT: u16 = 0x4000;
const V4_PROTOCOL: usize = 9;
const V4_CHECKSUM: usize = 10;
const V6_PAYLOAD_LEN: usize = 4;
const V6_NEXT_HEADER: usize = 6;
/// What may stand in front of TCP (RFC 8200, 4.1): hop-by-hop options, routing, fragment, authentication, destination
/// options, mobility.
const V6_EXTENSIONS: [u8; 6] = [0, 43, 44, 51, 60, 135];
/// Bytes of both ports, with which TCP begins.
const PORTS: usize = 4;
const TCP_SEQUENCE: usize = 4;
const TCP_OFFSET: usize = 12;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const TCP_HEADER_LEN: usize = 20;
/// Least payload of a train's segments: not every NIC cuts shorter ones.
const LEAST: usize = 256;
/// Longest packet: the length field of IPv4 has 16 bits.
const LONGEST: usize = 65_535;

/// A TCP packet, as far as trains care.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    packet: &'a [u8],
    version: IpVersion,
    /// Length of the IP header.
    ip: usize,
    /// Length of both headers of a data segment that could be part of a train.
    headers: Option<usize>,
    /// Where what tells connections apart ends: behind the ports, or before them where they are hard to find.
    end: usize,
}

impl<'a> Candidate<'a> {
    /// Reads an IP packet; nothing of what is no TCP.
    #[must_use]
    pub fn read(packet: &'a [u8]) -> Option<Self> {
        let (version, ip, protocol) = match packet.first()? >> 4 {
            4 => (IpVersion::V4, IPV4_HEADER_LEN, V4_PROTOCOL),
            6 => (IpVersion::V6, IPV6_HEADER_LEN, V6_NEXT_HEADER),
            _ => return None,
        };
        if packet.len() < ip {
            return None;
        }
        // Options and fragments hide the ports, and so does what IPv6 puts in front of TCP: that is rare.
        let hidden = match version {
            IpVersion::V4 => packet[0] != 0x45 || u16_at(packet, V4_FRAGMENT) & !V4_DONT_FRAGMENT != 0,
            IpVersion::V6 => V6_EXTENSIONS.contains(&packet[protocol]),
        };
        let is_tcp = packet[protocol] == Protocol::TCP.0;
        if !(is_tcp || hidden && version == IpVersion::V6) {
            return None;
        }
        let has_ports = !hidden && packet.len() >= ip + PORTS;
        let has_data = !hidden && packet.len() > ip + TCP_HEADER_LEN;
        let headers = if has_data { data_segment(packet, version, ip) } else { None };
        Some(Self { packet, version, ip, headers, end: if has_ports { ip + PORTS } else { ip } })
    }

    /// A number that packets of one connection and direction share; none where the ports are hidden.
    #[must_use]
    pub fn connection(&self) -> Option<u32> {
        let start = addresses(self.version);
        let words = self.packet[start..self.end].chunks_exact(4).map(|word| u32_at(word, 0));
        // Multiplied by an odd number (Knuth's), so that the upper bits depend on all.
        let mix = |sum: u32, word: u32| (sum.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b1);
        (self.end > self.ip).then(|| words.fold(0, mix))
    }

    /// Whether both are of one connection, in one direction, or may be.
    fn is_of(&self, headers: &[u8], version: IpVersion) -> bool {
        let start = addresses(version);
        version == self.version && self.packet[start..self.end] == headers[start..self.end]
    }

    fn sequence(&self) -> u32 {
        u32_at(self.packet, self.ip + TCP_SEQUENCE)
    }

    fn pushes(&self) -> bool {
        TcpFlags(self.packet[self.ip + TCP_FLAGS]).contains(TcpFlags::PSH)
    }

    /// Whether all else that a cut repeats is the same, for a data segment with headers of that length.
    fn is_like(&self, headers: &[u8], len: usize) -> bool {
        let same = |from: usize, to: usize| self.packet[from..to] == headers[from..to];
        let ip = match self.version {
            // Type of service; TTL.
            IpVersion::V4 => same(0, 2) && same(8, 9),
            // Traffic class and flow label; hop limit.
            IpVersion::V6 => same(0, 4) && same(7, 8),
        };
        // Acknowledgement number and offset; window; urgent pointer and options.
        let tcp = |from, to| same(self.ip + from, self.ip + to);
        headers.len() == len && ip && tcp(8, TCP_FLAGS) && tcp(14, TCP_CHECKSUM) && same(self.ip + 18, len)
    }
}

/// Length of the headers of a data segment without anything that a cut would repeat or lose.
fn data_segment(packet: &[u8], version: IpVersion, ip: usize) -> Option<usize> {
    let plain = match version {
        IpVersion::V4 => {
            usize::from(u16_at(packet, V4_TOTAL_LEN)) == packet.len()
                && u16_at(packet, V4_FRAGMENT) == V4_DONT_FRAGMENT
        }
        IpVersion::V6 => usize::from(u16_at(packet, V6_PAYLOAD_LEN)) + ip == packet.len(),
    };
    // The lower half of the byte with the offset: reserved bits, which a later segment might not have.
    let headers = ip + usize::from(packet[ip + TCP_OFFSET] >> 4) * 4;
    let flags = TcpFlags(packet[ip + TCP_FLAGS] & !TcpFlags::PSH.0);
    let fits = plain
        && flags == TcpFlags::ACK
        && packet[ip + TCP_OFFSET] & 0x0f == 0
        && (ip + TCP_HEADER_LEN..packet.len()).contains(&headers);
    fits.then_some(headers)
}

/// Where both addresses begin.
const fn addresses(version: IpVersion) -> usize {
    match version {
        IpVersion::V4 => 12,
        IpVersion::V6 => 8,
    }
}

/// Whether the TCP checksum is right.
fn is_intact(packet: &[u8], version: IpVersion, ip: usize) -> bool {
    pseudo_header(packet, version).bytes(&packet[ip..]).is_intact()
}

fn pseudo_header(packet: &[u8], version: IpVersion) -> Sum {
    let (source, destination, ip): (IpAddr, IpAddr, usize) = match version {
        IpVersion::V4 => {
            let at = |from: usize| <[u8; 4]>::try_from(&packet[from..from + 4]).expect("four bytes");
            (at(12).into(), at(16).into(), IPV4_HEADER_LEN)
        }
        IpVersion::V6 => {
            let at = |from: usize| <[u8; 16]>::try_from(&packet[from..from + 16]).expect("sixteen bytes");
            (at(8).into(), at(24).into(), IPV6_HEADER_LEN)
        }
    };
    Sum::pseudo_header(source, destination, Protocol::TCP, packet.len() - ip)
}

/// What became of a packet that was offered to a train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is of another connection.
    Other,
    /// It is of this connection, or may be, and has to go behind the train.
    Behind,
    /// It is part of the train now.
    Taken,
}

/// How long a train may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the packet, IP header included; at most 65,535 count.
    pub bytes: usize,
    /// Segments.
    pub segments: u32,
}

/// How a train is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Version of the IP header.
    pub version: IpVersion,
    /// Bytes of the IP header: the TCP header, which the checksum covers from on, begins there.
    pub ip_len: u16,
    /// Bytes of both headers, which each segment gets.
    pub headers_len: u16,
    /// Bytes of payload of each segment but the last.
    pub segment_len: u16,
}

/// Segments of one TCP connection in a row. Empty when new and when cleared.
#[derive(Debug)]
pub struct Train {
    /// Room, then the packet, if there is one.
    bytes: Vec<u8>,
    room: usize,
    limits: Limits,
    version: IpVersion,
    ip: usize,
    headers: usize,
    segment: usize,
    segments: u32,
    next: u32,
    /// Nothing fits behind what is there.
    ended: bool,
}

impl Train {
    /// An empty train; `room` bytes are left in front of the packet for other headers.
    #[must_use]
    pub fn new(room: usize, limits: Limits) -> Self {
        let limits = Limits { bytes: limits.bytes.min(LONGEST), ..limits };
        let mut bytes = Vec::with_capacity(room + limits.bytes);
        bytes.resize(room, 0);
        let (version, ip, headers, segment) = (IpVersion::V4, 0, 0, 0);
        Self { bytes, room, limits, version, ip, headers, segment, segments: 0, next: 0, ended: true }
    }

    /// How many segments it has.
    #[must_use]
    pub const fn segments(&self) -> u32 {
        self.segments
    }

    /// Bytes of the segments, headers of each included.
    #[must_use]
    pub const fn segments_len(&self) -> usize {
        (self.bytes.len() - self.room - self.headers) + self.headers * self.segments as usize
    }

    /// Begins with a packet, if that is a segment which others could follow. What was there before is forgotten.
    pub fn begin(&mut self, first: &Candidate<'_>) -> bool {
        self.clear();
        let Some(headers) = first.headers else { return false };
        let payload = first.packet.len() - headers;
        if first.pushes() || payload < LEAST || first.packet.len() > self.limits.bytes {
            return false;
        }
        self.bytes.extend_from_slice(first.packet);
        (self.version, self.ip, self.headers) = (first.version, first.ip, headers);
        (self.segment, self.segments) = (payload, 1);
        self.next = first.sequence().wrapping_add(payload as u32);
        self.ended = false;
        true
    }

    /// Offers the next packet.
    pub fn offer(&mut self, next: &Candidate<'_>) -> Offer {
        let headers = &self.bytes[self.room..self.room + self.headers];
        if self.segments == 0 || !next.is_of(headers, self.version) {
            return Offer::Other;
        }
        let Some(len) = next.headers else { return Offer::Behind };
        let payload = &next.packet[len..];
        let fits = !self.is_full()
            && next.sequence() == self.next
            && payload.len() <= self.segment
            && next.is_like(headers, len)
            && is_intact(next.packet, next.version, next.ip)
            // The first was not looked at before: most packets are followed by none.
            && (self.segments > 1 || is_intact(&self.bytes[self.room..], self.version, self.ip));
        if !fits {
            return Offer::Behind;
        }
        self.bytes.extend_from_slice(payload);
        self.next = self.next.wrapping_add(payload.len() as u32);
        self.segments += 1;
        if next.pushes() {
            self.bytes[self.room + self.ip + TCP_FLAGS] |= TcpFlags::PSH.0;
        }
        self.ended = next.pushes() || payload.len() < self.segment;
        Offer::Taken
    }

    /// Whether nothing fits behind what is there.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.ended
            || self.segments >= self.limits.segments
            || self.bytes.len() - self.room + self.segment > self.limits.bytes
    }

    /// The room with the only segment behind it, as it came; nothing of a train of several, or of none.
    pub fn single(&mut self) -> Option<&mut [u8]> {
        (self.segments == 1).then(|| &mut self.bytes[..])
    }

    /// Makes it one packet: lengths of the whole, and in place of the TCP checksum the sum of the pseudo-header that
    /// a cut begins with. Gives the room with the packet behind it, and how to cut it.
    pub fn couple(&mut self) -> (&mut [u8], Cut) {
        let cut = Cut {
            version: self.version,
            ip_len: self.ip as u16,
            headers_len: self.headers as u16,
            segment_len: self.segment as u16,
        };
        let packet = &mut self.bytes[self.room..];
        let len = packet.len();
        match self.version {
            IpVersion::V4 => {
                put_u16(packet, V4_TOTAL_LEN, len as u16);
                put_u16(packet, V4_CHECKSUM, 0);
                let sum = checksum(&packet[..IPV4_HEADER_LEN]);
                put_u16(packet, V4_CHECKSUM, sum);
            }
            IpVersion::V6 => put_u16(packet, V6_PAYLOAD_LEN, (len - IPV6_HEADER_LEN) as u16),
        }
        let pseudo = !pseudo_header(packet, self.version).checksum();
        put_u16(packet, self.ip + TCP_CHECKSUM, pseudo);
        (&mut self.bytes, cut)
    }

    /// Forgets all segments.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.room);
        (self.headers, self.segments, self.ended) = (0, 0, true);
    }
}
