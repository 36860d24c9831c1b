//! Why a packet was not forwarded.

use gridway_wire::malformed::Malformed;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// The one reason a packet was dropped for. Names are those of `gridway counters`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            /// The packet itself is wrong, or of a kind that is never forwarded.
            Malformed(Malformed),
            $($(#[$doc])+ $variant,)+
        }

        impl DropReason {
            const PLAIN: &'static [Self] = &[$(Self::$variant),+];

            /// The name of the reason, in snake case.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    Self::Malformed(malformed) => malformed.name(),
                    $(Self::$variant => $name,)+
                }
            }

            fn plain_index(self) -> Option<usize> {
                #[derive(Clone, Copy)]
                enum Index { $($variant),+ }
                match self {
                    Self::Malformed(_) => None,
                    $(Self::$variant => Some(Index::$variant as usize),)+
                }
            }
        }
    };
}

reasons! {
    /// The destination (or source) belongs to no virtual network.
    NoVnet => "no_vnet",
    /// The peer announced no virtual network under this id, or one that is not configured here.
    UnknownVnet => "unknown_vnet",
    /// No inside NAT rule matches the local host.
    NoInsideNat => "no_inside_nat",
    /// No outside NAT rule matches the remote host.
    NoOutsideNat => "no_outside_nat",
    /// An IPv6 address that prefix translation has no counterpart for (RFC 6296, 3.5).
    Untranslatable => "untranslatable",
    /// A local packet to a shared address and a port that no remote host has at present.
    PatNoMapping => "pat_no_mapping",
    /// No port of the shared addresses is free.
    PatExhausted => "pat_exhausted",
    /// An access rule says drop.
    AclDeny => "acl_deny",
    /// An access rule says reject.
    AclReject => "acl_reject",
    /// No access rule matches.
    AclNoMatch => "acl_no_match",
    /// No route leads to the destination.
    NoRoute => "no_route",
    /// Every route's peer is down.
    PeerDown => "peer_down",
    /// The virtual source of a packet from a peer is not routed to that peer.
    SourceCheck => "source_check",
    /// The virtual source of a local packet is routed to a peer, or this node's own.
    SpoofedLocal => "spoofed_local",
    /// An overlay packet whose destination is routed to another peer: this node does not relay.
    TransitRefused => "transit_refused",
    /// TTL or hop limit ran out here.
    TtlExceeded => "ttl_exceeded",
    /// Larger than the next link or the peer takes, and not to be fragmented.
    TooBig => "too_big",
    /// A fragment that came before the first of its datagram, which did not come in time.
    FragmentExpired => "fragment_expired",
    /// Too many fragments wait for the first of their datagram, or too many datagrams are fragmented.
    FragmentLimit => "fragment_limit",
    /// An ICMP message other than a query, a reply or an error.
    IcmpUnsupported => "icmp_unsupported",
    /// An ICMP error about a packet that no flow has sent, or that cannot be told from what it quotes.
    IcmpNoFlow => "icmp_no_flow",
    /// Above the rate that the node is throttled to.
    Throttled => "throttled",
    /// A reply, or a TCP segment in mid-stream with `flows.midstream = false`, without a flow.
    NoFlow => "no_flow",
    /// The flow table has no room and nothing may be evicted.
    FlowTableFull => "flow_table_full",
    /// Translated to an address of this node itself.
    ToOwnAddress => "to_own_address",
    /// The kernel's main table does not lead to the destination through the data NIC.
    NoLocalRoute => "no_local_route",
    /// The neighbour did not answer in time.
    NeighbourFailed => "neighbour_failed",
    /// Too many packets wait for neighbours.
    HeldFull => "held_full",
    /// The connection has its share of buffers in use, or none is left at all.
    QueueFull => "queue_full",
    /// Dropped early to keep the queue short.
    EarlyDrop => "early_drop",
    /// The connection ended while the packet waited for its socket.
    ConnectionLost => "connection_lost",
    /// The transmit ring of the data NIC is full.
    TxFull => "tx_full",
    /// No frame is free to carry the packet to the data NIC.
    NoFrame => "no_frame",
    /// ARP or neighbour discovery that is not a question this node answers.
    NotAnswered => "not_answered",
}

impl DropReason {
    /// Number of reasons.
    pub const COUNT: usize = Self::PLAIN.len() + Malformed::ALL.len();

    /// The reason's place in an array of [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        match (self.plain_index(), self) {
            (Some(index), _) => index,
            (None, Self::Malformed(malformed)) => Self::PLAIN.len() + malformed as usize,
            (None, _) => unreachable!("only malformed packets have no plain index"),
        }
    }

    /// Every reason, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.iter().copied().chain(Malformed::ALL.iter().copied().map(Self::Malformed))
    }
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_and_a_name_of_its_own() {
        let all: Vec<_> = DropReason::all().collect();
        assert_eq!(all.len(), DropReason::COUNT);
        for (place, reason) in all.iter().enumerate() {
            assert_eq!(reason.index(), place, "{}", reason.name());
        }
        let names: std::collections::HashSet<_> = all.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::COUNT);
    }
}
