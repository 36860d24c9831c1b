//! The information elements that are used, each with how it is written (IANA "IPFIX Information Elements").

use std::net::IpAddr;

use crate::flow::{Event, Flow};

/// Enterprise number of elements that describe the other direction (RFC 5103, 6.1).
pub const REVERSE: u32 = 29_305;

/// Length of an element that says its length itself (RFC 7011, 7).
const VARIABLE: u16 = u16::MAX;
/// `biflowDirection`: the source began the flow (RFC 5103, 6.3).
const INITIATOR: u8 = 1;

/// An information element of our templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// `sourceIPv4Address` (8) or `sourceIPv6Address` (27).
    Source,
    /// `destinationIPv4Address` (12) or `destinationIPv6Address` (28).
    Destination,
    /// `sourceTransportPort` (7); the identifier of ICMP queries (RFC 8158).
    SourcePort,
    /// `destinationTransportPort` (11); 0 of ICMP.
    DestinationPort,
    /// `protocolIdentifier` (4).
    Protocol,
    /// `postNATSourceIPv4Address` (225) or `postNATSourceIPv6Address` (281).
    TranslatedSource,
    /// `postNATDestinationIPv4Address` (226) or `postNATDestinationIPv6Address` (282).
    TranslatedDestination,
    /// `postNAPTSourceTransportPort` (227).
    TranslatedSourcePort,
    /// `postNAPTDestinationTransportPort` (228).
    TranslatedDestinationPort,
    /// `biflowDirection` (239): always 1, initiator.
    BiflowDirection,
    /// `firewallEvent` (233): 1 of a flow that began, 2 of one that ended.
    FirewallEvent,
    /// `flowStartMilliseconds` (152).
    Start,
    /// `flowEndMilliseconds` (153).
    End,
    /// `flowEndReason` (136).
    EndReason,
    /// `octetDeltaCount` (1).
    Octets,
    /// `packetDeltaCount` (2).
    Packets,
    /// `tcpControlBits` (6).
    TcpControlBits,
    /// `reverseOctetDeltaCount`.
    ReverseOctets,
    /// `reversePacketDeltaCount`.
    ReversePackets,
    /// `reverseTcpControlBits`.
    ReverseTcpControlBits,
    /// `VRFname` (236): the virtual network.
    Vnet,
    /// `interfaceName` (82): the peer, whose tunnel is the interface.
    Peer,
}

impl Item {
    /// Its number and length in bytes, for IPv4 or IPv6.
    const fn shape(self, v6: bool) -> (u16, u16) {
        match self {
            Self::Source if v6 => (27, 16),
            Self::Source => (8, 4),
            Self::Destination if v6 => (28, 16),
            Self::Destination => (12, 4),
            Self::TranslatedSource if v6 => (281, 16),
            Self::TranslatedSource => (225, 4),
            Self::TranslatedDestination if v6 => (282, 16),
            Self::TranslatedDestination => (226, 4),
            Self::SourcePort => (7, 2),
            Self::DestinationPort => (11, 2),
            Self::Protocol => (4, 1),
            Self::TranslatedSourcePort => (227, 2),
            Self::TranslatedDestinationPort => (228, 2),
            Self::BiflowDirection => (239, 1),
            Self::FirewallEvent => (233, 1),
            Self::Start => (152, 8),
            Self::End => (153, 8),
            Self::EndReason => (136, 1),
            Self::Octets | Self::ReverseOctets => (1, 8),
            Self::Packets | Self::ReversePackets => (2, 8),
            Self::TcpControlBits | Self::ReverseTcpControlBits => (6, 2),
            Self::Vnet => (236, VARIABLE),
            Self::Peer => (82, VARIABLE),
        }
    }

    const fn is_reverse(self) -> bool {
        matches!(self, Self::ReverseOctets | Self::ReversePackets | Self::ReverseTcpControlBits)
    }

    /// Writes its field specifier (RFC 7011, 3.2).
    pub(crate) fn specify(self, v6: bool, out: &mut Vec<u8>) {
        const ENTERPRISE: u16 = 1 << 15;
        let (number, length) = self.shape(v6);
        let number = if self.is_reverse() { number | ENTERPRISE } else { number };
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        if self.is_reverse() {
            out.extend_from_slice(&REVERSE.to_be_bytes());
        }
    }

    /// Writes its value.
    pub(crate) fn write(self, flow: &Flow<'_>, out: &mut Vec<u8>) {
        let number = |out: &mut Vec<u8>, number: u64| out.extend_from_slice(&number.to_be_bytes());
        let port = |out: &mut Vec<u8>, port: u16| out.extend_from_slice(&port.to_be_bytes());
        // Both ports of an ICMP query's tuple are its identifier.
        let destination_port = |port: u16| if flow.tuple.protocol.is_icmp() { 0 } else { port };
        match self {
            Self::Source => address(flow.tuple.source, out),
            Self::Destination => address(flow.tuple.destination, out),
            Self::SourcePort => port(out, flow.tuple.source_port),
            Self::DestinationPort => port(out, destination_port(flow.tuple.destination_port)),
            Self::Protocol => out.push(flow.tuple.protocol.0),
            Self::TranslatedSource => address(flow.translated.source, out),
            Self::TranslatedDestination => address(flow.translated.destination, out),
            Self::TranslatedSourcePort => port(out, flow.translated.source_port),
            Self::TranslatedDestinationPort => port(out, destination_port(flow.translated.destination_port)),
            Self::BiflowDirection => out.push(INITIATOR),
            Self::FirewallEvent => out.push(if flow.event == Event::Start { 1 } else { 2 }),
            Self::Start => number(out, flow.start_ms),
            Self::End => number(out, flow.end_ms),
            Self::EndReason => out.push(match flow.event {
                // Not in a template of beginnings; 0 is reserved.
                Event::Start => 0,
                Event::End(reason) => reason as u8,
            }),
            Self::Octets => number(out, flow.forward.bytes),
            Self::Packets => number(out, flow.forward.packets),
            Self::TcpControlBits => port(out, u16::from(flow.forward.tcp_flags.0)),
            Self::ReverseOctets => number(out, flow.reverse.bytes),
            Self::ReversePackets => number(out, flow.reverse.packets),
            Self::ReverseTcpControlBits => port(out, u16::from(flow.reverse.tcp_flags.0)),
            Self::Vnet => text(flow.vnet, out),
            Self::Peer => text(flow.peer, out),
        }
    }
}

fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

/// A text with its length in front, in the short form (RFC 7011, 7), which ends at 254 bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    const LONGEST: usize = 254;
    let text = &text[..text.floor_char_boundary(LONGEST)];
    out.push(u8::try_from(text.len()).expect("it was cut to 254 bytes"));
    out.extend_from_slice(text.as_bytes());
}
