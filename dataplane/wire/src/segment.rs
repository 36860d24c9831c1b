//! TCP segments that a node makes: resets, and the probes of route monitors (RFC 9293).

use std::net::IpAddr;

use crate::bytes::{put, put_u16, u32_at};
use crate::checksum::Sum;
use crate::header::{Header, header_len, write_ip_header};
use crate::packet::{Fragment, Packet, Transport};
use crate::protocol::Protocol;
use crate::tcp::TcpFlags;

const TCP_HEADER_LEN: usize = 20;
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const OFFSET: usize = 12;
const CHECKSUM: usize = 16;

/// Most bytes of a segment that is made here: an IPv6 and a TCP header.
pub const MAX_SEGMENT_LEN: usize = 60;

/// A segment without data or options. Its window is 0: nobody here reads a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sender.
    pub source: (IpAddr, u16),
    /// Receiver, of the same family.
    pub destination: (IpAddr, u16),
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; 0 without the flag.
    pub acknowledgement: u32,
    /// Flags.
    pub flags: TcpFlags,
}

impl Segment {
    /// The segment that resets the connection which the TCP packet in `offending`, from which `packet` was
    /// parsed, belongs to, as its destination would (RFC 9293 3.10.7.1). `None` about a reset, about anything that
    /// is no TCP header, about later fragments, and about a first one that acknowledges nothing: how much would
    /// have to be acknowledged is not known.
    #[must_use]
    pub fn reset(offending: &[u8], packet: &Packet) -> Option<Self> {
        let Transport::Tcp { flags } = packet.transport else { return None };
        if flags.rst() || packet.fragment == Fragment::Later {
            return None;
        }
        let header = offending.get(packet.l4_offset..packet.total_len)?;
        let header: &[u8; TCP_HEADER_LEN] = header.first_chunk()?;
        let tuple = &packet.tuple;
        let (sequence, acknowledgement, reset) = if flags.ack() {
            (u32_at(header, ACKNOWLEDGEMENT), 0, TcpFlags::RST)
        } else if packet.fragment == Fragment::First {
            return None;
        } else {
            let data_offset = usize::from(header[OFFSET] >> 4) * 4;
            let data = (packet.total_len - packet.l4_offset).saturating_sub(data_offset);
            let length = data as u32 + u32::from(flags.syn()) + u32::from(flags.fin());
            (0, u32_at(header, SEQUENCE).wrapping_add(length), TcpFlags::RST | TcpFlags::ACK)
        };
        Some(Self {
            source: (tuple.destination, tuple.destination_port),
            destination: (tuple.source, tuple.source_port),
            sequence,
            acknowledgement,
            flags: reset,
        })
    }

    /// Reads sequence and acknowledgement number of the TCP packet in `bytes`, from which `packet` was parsed.
    #[must_use]
    pub fn numbers(bytes: &[u8], packet: &Packet) -> Option<(u32, u32)> {
        let header: &[u8; TCP_HEADER_LEN] = bytes.get(packet.l4_offset..)?.first_chunk()?;
        matches!(packet.transport, Transport::Tcp { .. })
            .then(|| (u32_at(header, SEQUENCE), u32_at(header, ACKNOWLEDGEMENT)))
    }

    /// Writes the IP packet with the segment into `out` and gives its length, at most [`MAX_SEGMENT_LEN`]. `None`
    /// where the families differ or `out` is too short.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let (source, destination) = (self.source.0, self.destination.0);
        if source.is_ipv4() != destination.is_ipv4() {
            return None;
        }
        let header_len = header_len(source);
        let out = out.get_mut(..header_len + TCP_HEADER_LEN)?;
        let (header, segment) = out.split_at_mut(header_len);
        segment.fill(0);
        put_u16(segment, 0, self.source.1);
        put_u16(segment, 2, self.destination.1);
        put(segment, SEQUENCE, self.sequence.to_be_bytes());
        put(segment, ACKNOWLEDGEMENT, self.acknowledgement.to_be_bytes());
        segment[OFFSET] = (TCP_HEADER_LEN as u8 / 4) << 4;
        segment[OFFSET + 1] = self.flags.0;
        let sum = Sum::pseudo_header(source, destination, Protocol::TCP, TCP_HEADER_LEN).bytes(segment);
        put_u16(segment, CHECKSUM, sum.checksum());
        let protocol = Protocol::TCP;
        write_ip_header(
            header,
            Header { source, destination, protocol, class: 0, payload_len: TCP_HEADER_LEN },
        );
        Some(header_len + TCP_HEADER_LEN)
    }
}
