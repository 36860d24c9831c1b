//! Rows 7 to 12: what IPv4 and IPv6 have in common once their headers are walked.

use gridway_steer_abi::{Address, DatagramId, Fate, FragmentKey, ListenerKey};

use crate::{
    context::Context,
    frame::{Frame, Unsteerable},
    maps,
};

pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;
/// Source and destination port, at the front of TCP and UDP alike.
const PORTS_LENGTH: usize = 4;
const DHCP_CLIENT_PORT: u16 = 68;

/// What follows the IP headers, as far as steering cares.
pub enum Transport {
    /// TCP or UDP. `first_fragment` is there when more fragments follow.
    Ports { protocol: u8, destination: u16, first_fragment: Option<DatagramId> },
    /// A fragment other than the first: no ports.
    LaterFragment(DatagramId),
    /// Anything else.
    Other,
}

impl Transport {
    /// Reads the ports at `offset`; the IP packet ends at `end`.
    #[inline(always)]
    pub fn ports(
        frame: &Frame<impl Context>,
        protocol: u8,
        offset: usize,
        end: usize,
        first_fragment: Option<DatagramId>,
    ) -> Result<Self, Unsteerable> {
        // A first fragment without ports is an attempt to evade filters (RFC 1858).
        if offset + PORTS_LENGTH > end {
            return Err(Unsteerable::Truncated);
        }
        let destination = u16::from_be(frame.read_computed(offset + 2)?);
        Ok(Self::Ports { protocol, destination, first_fragment })
    }
}

/// One well-formed IP packet.
pub struct Packet {
    pub source: Address,
    pub destination: Address,
    pub transport: Transport,
    /// The destination is a multicast address or 255.255.255.255.
    pub group: bool,
    /// UDP to port 68 is the DHCP client's.
    pub dhcp: bool,
    pub group_mac: bool,
}

impl Packet {
    #[inline(always)]
    fn fragment_key(&self, datagram: DatagramId) -> FragmentKey {
        FragmentKey { source: self.source, destination: self.destination, datagram }
    }
}

/// Rows 7 to 12.
#[inline(always)]
pub fn steer(packet: &Packet) -> Fate {
    if maps::is_denied(packet.source) {
        return Fate::DropDenied;
    }
    if maps::is_own(&packet.destination) {
        return Fate::ToKernelOwnAddress;
    }
    match packet.transport {
        Transport::Ports { protocol, destination, first_fragment } => {
            let listened = maps::is_listener(&ListenerKey::new(packet.destination, protocol, destination));
            if let Some(datagram) = first_fragment {
                maps::remember_fragments(&packet.fragment_key(datagram), listened);
            }
            if listened {
                return Fate::ToKernelListener;
            }
            if packet.dhcp && protocol == PROTOCOL_UDP && destination == DHCP_CLIENT_PORT {
                return Fate::ToKernelDhcp;
            }
        }
        Transport::LaterFragment(datagram) => {
            if maps::follows_listener(&packet.fragment_key(datagram)) {
                return Fate::ToKernelListener;
            }
        }
        Transport::Other => {}
    }
    if packet.group {
        Fate::ToKernelGroup
    } else if packet.group_mac {
        Fate::DropGroupUnicast
    } else {
        Fate::ToWorkerIp
    }
}
