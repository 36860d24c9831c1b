//! Flows: what is remembered of packets that passed.

use std::net::IpAddr;
use std::time::Duration;

use gridway_config::FlowTimeouts;

use crate::packet::{ACK, Carries, FIN, Packet, RST, SYN};
use crate::tuple::{ICMP, ICMPV6, TCP, Tuple};

/// Where packets of a flow come from. Of a relayed flow the side that began it is `Overlay`, the other
/// one `Local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The data NIC.
    Local = 0,
    /// The tunnel.
    Overlay = 1,
}

/// What kind of a flow it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Between a local host and the overlay.
    Local,
    /// Between two peers.
    Relayed,
}

/// A remote host's share of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// IANA number.
    pub protocol: u8,
    /// Virtual address of the remote host.
    pub host: IpAddr,
    /// Its port.
    pub host_port: u16,
    /// Address in the pool.
    pub address: IpAddr,
    /// Port at that address.
    pub port: u16,
}

/// State of a TCP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// The handshake is not complete.
    Opening,
    /// The handshake is complete, or the flow was taken up in mid-stream and has packets both ways.
    Established,
    /// A FIN or a reset was seen.
    Closing,
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Names the flow for good; 0: not in the table yet.
    pub id: u64,
    /// Name of its vnet.
    pub vnet: String,
    /// Kind.
    pub kind: Kind,
    /// Tuple of packets from the overlay; of a relayed flow that of the packet that began it.
    pub overlay: Tuple,
    /// Tuple of packets from local hosts; of a relayed flow that of the answers.
    pub local: Tuple,
    /// The side whose packet began it.
    pub begun_by: Side,
    /// Its local host is a shared address: packets from the overlay go back there.
    pub hairpin: bool,
    /// Peers that packets from each [`Side`] go to. Packets from the overlay to local hosts go to none.
    pub peers: [Option<String>; 2],
    /// The remote host's share of a pool.
    pub mapping: Option<Mapping>,
    /// When the last packet passed.
    pub last_seen: Duration,
    /// TCP flags seen from each [`Side`].
    pub flags: [u8; 2],
    /// Whether a packet has passed from each [`Side`].
    pub passed: [bool; 2],
}

impl Flow {
    /// The tuple of the packet that began it, in virtual addresses.
    #[must_use]
    pub fn begun(&self) -> Tuple {
        match self.begun_by {
            Side::Local => self.overlay.reversed(),
            Side::Overlay => self.overlay,
        }
    }

    /// An ICMP query from the overlay, and its replies.
    #[must_use]
    pub fn is_query_from_overlay(&self) -> bool {
        self.begun_by == Side::Overlay && matches!(self.overlay.protocol, ICMP | ICMPV6)
    }

    /// A packet passed.
    pub(crate) fn saw(&mut self, side: Side, packet: &Packet, now: Duration) {
        self.last_seen = now;
        self.passed[side as usize] = true;
        if let Carries::Tcp(flags) = packet.carries() {
            self.flags[side as usize] |= flags;
        }
    }

    /// State by the flags seen (RFC 9293 3.3.2, as far as one in the middle can tell).
    #[must_use]
    pub fn tcp_state(&self) -> TcpState {
        let [local, overlay] = self.flags;
        if (local | overlay) & (FIN | RST) != 0 {
            TcpState::Closing
        } else if self.passed == [true; 2] && ((local | overlay) & SYN == 0 || local & overlay & ACK != 0) {
            TcpState::Established
        } else {
            TcpState::Opening
        }
    }

    /// How long the flow may be idle (RFC 5382 REQ-5, RFC 4787 REQ-5, RFC 5508 REQ-2).
    #[must_use]
    pub fn idle_limit(&self, limits: &FlowTimeouts) -> Duration {
        match (self.overlay.protocol, self.tcp_state()) {
            (TCP, TcpState::Established) => limits.tcp_established,
            (TCP, _) => limits.tcp_transitory,
            (ICMP | ICMPV6, _) => limits.icmp,
            _ => limits.udp,
        }
    }
}
