//! Plans of packets.

use std::net::IpAddr;

use gridway_config::Config;
use proptest::prelude::*;
use proptest::sample::select;

use super::addresses::{inbound_pair, outbound_pair, usual_peer};
use super::{PEERS, VNETS};
use crate::packet::build::{Segment, echo, icmp, packet, tcp, udp};
use crate::packet::{ACK, FIN, Header, Packet, RST, SYN};
use crate::step::Whence;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// TCP.
    Tcp {
        /// Ports.
        ports: (u16, u16),
        /// Flags.
        flags: u8,
        /// MSS option.
        mss: Option<u16>,
    },
    /// UDP.
    Udp {
        /// Ports.
        ports: (u16, u16),
    },
    /// Echo request or reply.
    Echo {
        /// Identifier.
        identifier: u16,
        /// A reply.
        reply: bool,
    },
    /// An ICMP message that nobody forwards (redirect), or timestamp request where the flag says so.
    OtherIcmp {
        /// Timestamp request; in IPv6 a message of an unknown type.
        timestamp: bool,
    },
    /// A protocol without ports (GRE).
    Other,
}

/// A packet to be. Hosts are given by their places in the lists of this module's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketPlan {
    /// Where it comes from.
    pub whence: Whence,
    /// Family.
    pub ipv6: bool,
    /// Which source.
    pub source: usize,
    /// Which destination.
    pub destination: usize,
    /// Source, destination or peer are such that the configuration in force lets the packet far in.
    pub aimed: bool,
    /// What it carries.
    pub content: Content,
    /// Bytes behind the transport header.
    pub data: usize,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub class: u8,
    /// IPv4: don't fragment.
    pub dont_fragment: bool,
}

impl PacketPlan {
    /// The packet, and where it comes from.
    #[must_use]
    pub fn packet(&self, config: &Config) -> (Whence, Packet) {
        let aim = self.aimed.then_some(config);
        match &self.whence {
            Whence::Local => {
                let (source, destination) = outbound_pair(self.ipv6, self.source, self.destination, aim);
                (Whence::Local, self.between(source, destination))
            }
            Whence::Overlay { peer, vnet } => {
                let aim = aim.and_then(|config| config.vnet(vnet));
                let (source, destination) = inbound_pair(self.ipv6, self.source, self.destination, aim);
                let peer = aim.and_then(|vnet| usual_peer(vnet, source)).unwrap_or(peer.clone());
                (Whence::Overlay { peer, vnet: vnet.clone() }, self.between(source, destination))
            }
        }
    }

    fn between(&self, source: IpAddr, destination: IpAddr) -> Packet {
        let data: Vec<u8> = (0..self.data).map(|index| index as u8).collect();
        let made = match self.content {
            Content::Tcp { ports, flags, mss } => {
                let options = mss.map_or(Vec::new(), |mss| [vec![2, 4], mss.to_be_bytes().to_vec()].concat());
                let segment =
                    Segment { flags, sequence: 1_000, acknowledgement: 2_000, window: 4096, options };
                tcp(source, destination, ports, &segment, &data)
            }
            Content::Udp { ports } => udp(source, destination, ports, &data),
            Content::Echo { identifier, reply } => echo(source, destination, identifier, reply, &data),
            Content::OtherIcmp { timestamp } => {
                let kind = match (source.is_ipv4(), timestamp) {
                    (true, true) => (13, 0),
                    (true, false) => (5, 0),
                    (false, true) => (200, 0),
                    (false, false) => (137, 0),
                };
                icmp(source, destination, kind, [0, 5, 0, 1], &[0; 12])
            }
            Content::Other => packet(source, destination, 47, data),
        };
        let mut made = Packet { ttl: self.ttl, class: self.class, ..made };
        if let Header::V4 { identification, dont_fragment, .. } = &mut made.header {
            *dont_fragment = self.dont_fragment;
            // What may be cut needs a name (RFC 6864).
            *identification = if self.dont_fragment { 0 } else { 0x1d00 };
            made.piece.identification = (*identification).into();
        }
        made
    }
}

fn content() -> impl Strategy<Value = Content> {
    let ports = || {
        let one = || prop_oneof![12 => select(vec![80u16, 53, 1000, 1001]), 1 => select(vec![0u16, 60_000])];
        (one(), one())
    };
    let flags = prop_oneof![
        6 => Just(SYN),
        3 => Just(ACK),
        1 => Just(SYN | ACK),
        1 => Just(FIN | ACK),
        1 => Just(RST),
        1 => Just(RST | ACK),
    ];
    let mss = select(vec![None, Some(1460), Some(1440), Some(536)]);
    prop_oneof![
        5 => (ports(), flags, mss).prop_map(|(ports, flags, mss)| Content::Tcp { ports, flags, mss }),
        5 => ports().prop_map(|ports| Content::Udp { ports }),
        4 => (1u16..4, proptest::bool::weighted(0.2))
            .prop_map(|(identifier, reply)| Content::Echo { identifier, reply }),
        1 => any::<bool>().prop_map(|timestamp| Content::OtherIcmp { timestamp }),
        3 => Just(Content::Other),
    ]
}

/// A packet from a local host or a peer, with up to 1200 bytes of data.
pub fn packet_plan() -> impl Strategy<Value = PacketPlan> {
    plan(0usize..1200)
}

/// A packet from a local host or a peer.
pub(super) fn plan(data: impl Strategy<Value = usize>) -> impl Strategy<Value = PacketPlan> {
    let ttl = prop_oneof![12 => Just(64u8), 1 => Just(2u8), 1 => Just(1u8)];
    let overlay = (select(&PEERS[..]), prop_oneof![3 => Just(VNETS[0]), 1 => Just(VNETS[1])]);
    let whence = prop_oneof![
        1 => Just(Whence::Local),
        1 => overlay.prop_map(|(peer, vnet)| Whence::Overlay { peer: peer.to_owned(), vnet: vnet.to_owned() }),
    ];
    let pair = (proptest::bool::weighted(0.3), 0usize..1000, 0usize..1000, proptest::bool::weighted(0.85));
    (whence, pair, content(), data, ttl, select(vec![0u8, 0xb8, 0x02]), any::<bool>()).prop_map(
        |(whence, (ipv6, source, destination, aimed), content, data, ttl, class, dont_fragment)| PacketPlan {
            whence,
            ipv6,
            source,
            destination,
            aimed,
            content,
            data,
            ttl,
            class,
            dont_fragment,
        },
    )
}
