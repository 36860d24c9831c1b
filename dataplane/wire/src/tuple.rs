//! The 5-tuple that identifies a flow.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::protocol::Protocol;

/// Addresses, protocol and ports of a packet.
///
/// ICMP queries and their replies (echo and timestamp of ICMPv4, echo of ICMPv6) have their identifier in
/// both ports, so that the reply's tuple is the query's reversed. Protocols without ports, ICMP errors and
/// later fragments have 0 in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// Source address; of the same family as `destination`.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Transport protocol: in IPv6 the one after the extension headers.
    pub protocol: Protocol,
    /// Source port or ICMP identifier.
    pub source_port: u16,
    /// Destination port or ICMP identifier.
    pub destination_port: u16,
}

impl FiveTuple {
    /// The tuple of a packet in the opposite direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }
}

impl fmt::Display for FiveTuple {
    /// `tcp 10.1.0.2:4000 > 10.2.0.2:443`, `tcp [fd00::1]:4000 > [fd00::2]:443`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = SocketAddr::new(self.source, self.source_port);
        let destination = SocketAddr::new(self.destination, self.destination_port);
        write!(f, "{} {source} > {destination}", self.protocol)
    }
}
