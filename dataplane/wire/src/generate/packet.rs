//! Valid packets, put together by etherparse.

use std::net::IpAddr;

use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header, Ipv4Options, Ipv6Header,
    TcpHeader, UdpHeader,
};

use crate::packet::IpVersion;
use crate::protocol::Protocol;
use crate::tuple::FiveTuple;

/// What a generated packet carries.
#[derive(Clone, Debug)]
pub enum Content {
    /// TCP with these flags (byte 13) and up to ten words of options.
    Tcp {
        /// Ports.
        ports: (u16, u16),
        /// Flags.
        flags: u8,
        /// No-operation options, in words of 4 bytes.
        option_words: usize,
    },
    /// UDP.
    Udp {
        /// Ports.
        ports: (u16, u16),
        /// Has a checksum (always in IPv6).
        checksum: bool,
    },
    /// Echo request or reply.
    Echo {
        /// Identifier.
        identifier: u16,
        /// Sequence number.
        sequence: u16,
        /// A reply.
        reply: bool,
    },
    /// An ICMP error with the payload as quote.
    Error {
        /// ICMP type, of the packet's IP version.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// Anything else.
    Other(Protocol),
}

/// A packet to be.
#[derive(Clone, Debug)]
pub struct PacketSpec {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub class: u8,
    /// IPv4: words of no-operation options (up to 10). IPv6: destination options headers of that many padding
    /// options (up to 4).
    pub extras: usize,
    /// The transport.
    pub content: Content,
    /// What the transport carries.
    pub payload: Vec<u8>,
}

impl PacketSpec {
    /// IP version of the packet.
    pub fn version(&self) -> IpVersion {
        if self.source.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// The tuple that a parser finds.
    pub fn tuple(&self) -> FiveTuple {
        let icmp = match self.version() {
            IpVersion::V4 => Protocol::ICMP,
            IpVersion::V6 => Protocol::ICMPV6,
        };
        let (protocol, (source_port, destination_port)) = match self.content {
            Content::Tcp { ports, .. } => (Protocol::TCP, ports),
            Content::Udp { ports, .. } => (Protocol::UDP, ports),
            Content::Echo { identifier, .. } => (icmp, (identifier, identifier)),
            Content::Error { .. } => (icmp, (0, 0)),
            Content::Other(protocol) => (protocol, (0, 0)),
        };
        FiveTuple {
            source: self.source,
            destination: self.destination,
            protocol,
            source_port,
            destination_port,
        }
    }

    /// The packet, with all lengths and checksums right.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut transport = self.transport_header();
        transport.extend(&self.payload);
        let protocol = IpNumber(self.tuple().protocol.0);
        let mut packet = Vec::new();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header::new(
                    transport.len() as u16,
                    self.ttl,
                    protocol,
                    source.octets(),
                    destination.octets(),
                )
                .expect("generated payloads are short");
                header.dscp = (self.class >> 2).try_into().expect("six bits");
                header.ecn = (self.class & 3).try_into().expect("two bits");
                header.options =
                    Ipv4Options::try_from(&[1u8; 40][..self.extras.min(10) * 4]).expect("up to 40 bytes");
                header.set_payload_len(transport.len()).expect("generated payloads are short");
                header.header_checksum = header.calc_header_checksum();
                packet.extend(header.to_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let extensions = destination_options(protocol, self.extras.min(4));
                let header = Ipv6Header {
                    traffic_class: self.class,
                    flow_label: Default::default(),
                    payload_length: (extensions.len() + transport.len()) as u16,
                    next_header: if extensions.is_empty() {
                        protocol
                    } else {
                        IpNumber::IPV6_DESTINATION_OPTIONS
                    },
                    hop_limit: self.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                packet.extend(header.to_bytes());
                packet.extend(extensions);
            }
            mixed => panic!("addresses of two families: {mixed:?}"),
        }
        packet.extend(transport);
        packet
    }

    /// Length of the IP header with its options or extension headers.
    pub fn ip_header_len(&self) -> usize {
        self.to_bytes().len() - self.transport_header().len() - self.payload.len()
    }

    fn transport_header(&self) -> Vec<u8> {
        let payload = &self.payload;
        match self.content {
            Content::Tcp { ports, flags, option_words } => {
                let mut header = TcpHeader::new(ports.0, ports.1, 0x0102_0304, 0xffff);
                header.set_options_raw(&[1; 40][..option_words.min(10) * 4]).expect("up to 40 bytes");
                header.acknowledgment_number = 0x0506_0708;
                let bit = |mask: u8| flags & mask != 0;
                (header.fin, header.syn, header.rst, header.psh) =
                    (bit(0x01), bit(0x02), bit(0x04), bit(0x08));
                (header.ack, header.urg, header.ece, header.cwr) =
                    (bit(0x10), bit(0x20), bit(0x40), bit(0x80));
                header.checksum = match (self.source, self.destination) {
                    (IpAddr::V4(s), IpAddr::V4(d)) => {
                        header.calc_checksum_ipv4_raw(s.octets(), d.octets(), payload)
                    }
                    (IpAddr::V6(s), IpAddr::V6(d)) => {
                        header.calc_checksum_ipv6_raw(s.octets(), d.octets(), payload)
                    }
                    mixed => panic!("addresses of two families: {mixed:?}"),
                }
                .expect("generated payloads are short");
                header.to_bytes().to_vec()
            }
            Content::Udp { ports, checksum } => {
                let (source_port, destination_port) = ports;
                let length = (UdpHeader::LEN + payload.len()) as u16;
                let mut header = UdpHeader { source_port, destination_port, length, checksum: 0 };
                header.checksum = match (self.source, self.destination) {
                    (IpAddr::V4(_), _) if !checksum => Ok(0),
                    (IpAddr::V4(s), IpAddr::V4(d)) => {
                        header.calc_checksum_ipv4_raw(s.octets(), d.octets(), payload)
                    }
                    (IpAddr::V6(s), IpAddr::V6(d)) => {
                        header.calc_checksum_ipv6_raw(s.octets(), d.octets(), payload)
                    }
                    mixed => panic!("addresses of two families: {mixed:?}"),
                }
                .expect("generated payloads are short");
                header.to_bytes().to_vec()
            }
            Content::Echo { identifier, sequence, reply } => {
                let kind = match self.version() {
                    IpVersion::V4 => {
                        if reply {
                            0
                        } else {
                            8
                        }
                    }
                    IpVersion::V6 => 128 + u8::from(reply),
                };
                let [a, b] = identifier.to_be_bytes();
                let [c, d] = sequence.to_be_bytes();
                self.icmp_header(kind, 0, [a, b, c, d])
            }
            Content::Error { kind, code } => self.icmp_header(kind, code, [0; 4]),
            Content::Other(_) => Vec::new(),
        }
    }

    fn icmp_header(&self, type_u8: u8, code_u8: u8, bytes5to8: [u8; 4]) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let kind = Icmpv6Type::Unknown { type_u8, code_u8, bytes5to8 };
                Icmpv6Header::with_checksum(kind, source.octets(), destination.octets(), &self.payload)
                    .expect("generated payloads are short")
                    .to_bytes()
                    .to_vec()
            }
            _ => {
                let kind = Icmpv4Type::Unknown { type_u8, code_u8, bytes5to8 };
                Icmpv4Header::with_checksum(kind, &self.payload).to_bytes().to_vec()
            }
        }
    }
}

/// `count` destination options headers in front of `last`; the n-th is n units long.
fn destination_options(last: IpNumber, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let next = if index + 1 == count { last } else { IpNumber::IPV6_DESTINATION_OPTIONS };
        bytes.extend([next.0, index as u8]);
        // Pad1 options.
        bytes.resize(bytes.len() + 6 + index * 8, 0);
    }
    bytes
}
