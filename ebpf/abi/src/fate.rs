//! The fate of a frame: the table "Steering on the data NIC", one variant a row or a reason of a row.

/// What became of one frame. Every frame that reaches the program has exactly one fate, and each is counted.
///
/// The discriminant is the index into the counter map ([`crate::maps::COUNTERS`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Fate {
    /// Unicast destination MAC that is not the interface's: only seen in promiscuous mode.
    DropForeignMac = 0,
    /// VLAN id other than 0, or more tags than the program peels.
    DropVlan,
    /// Truncated, contradicts itself, or breaks a "must be discarded" of the protocol's RFC.
    DropMalformed,
    /// IP source inside the deny list.
    DropDenied,
    /// Group MAC around a unicast IP destination that is not ours (RFC 1122 3.3.6). The kernel would take
    /// such a packet for the address of *any* of its interfaces.
    DropGroupUnicast,
    /// Meant for AF_XDP, but no socket is registered for the receive queue.
    DropNoSocket,
    /// Meant for AF_XDP, at the tc hook: the node has no vnet.
    DropNoVnet,
    /// ARP that the data plane does not answer.
    ToKernelArp,
    /// Neighbour discovery (RFC 4861) that the data plane does not answer.
    ToKernelNeighbourDiscovery,
    /// Multicast or limited broadcast.
    ToKernelGroup,
    /// IP to an address of the data interface itself.
    ToKernelOwnAddress,
    /// IP to an address, protocol and port that Layer 4 listens on.
    ToKernelListener,
    /// UDP to port 68: the DHCP client's, whose address may not exist yet.
    ToKernelDhcp,
    /// Neither IP nor ARP: LLDP, EAPOL, spanning tree.
    ToKernelNonIp,
    /// ARP request for a proxied prefix.
    ToWorkerArpRequest,
    /// Neighbour solicitation for a proxied prefix.
    ToWorkerNeighbourSolicitation,
    /// Any other IP.
    ToWorkerIp,
}

/// Who a frame was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Dropped: `XDP_DROP`, `TC_ACT_SHOT`.
    Drop,
    /// The host's network stack: `XDP_PASS`, `TC_ACT_UNSPEC`.
    Kernel,
    /// The AF_XDP socket of the receive queue: `XDP_REDIRECT`.
    Worker,
}

impl Fate {
    /// Number of fates, and of entries in the counter map.
    pub const COUNT: usize = Self::ALL.len();

    /// Every fate, in the order of the counter map.
    pub const ALL: [Self; 17] = [
        Self::DropForeignMac,
        Self::DropVlan,
        Self::DropMalformed,
        Self::DropDenied,
        Self::DropGroupUnicast,
        Self::DropNoSocket,
        Self::DropNoVnet,
        Self::ToKernelArp,
        Self::ToKernelNeighbourDiscovery,
        Self::ToKernelGroup,
        Self::ToKernelOwnAddress,
        Self::ToKernelListener,
        Self::ToKernelDhcp,
        Self::ToKernelNonIp,
        Self::ToWorkerArpRequest,
        Self::ToWorkerNeighbourSolicitation,
        Self::ToWorkerIp,
    ];

    /// Index into the counter map.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// Name of the counter, and for drops of the drop reason: snake_case, stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropForeignMac => "drop_foreign_mac",
            Self::DropVlan => "drop_vlan",
            Self::DropMalformed => "drop_malformed",
            Self::DropDenied => "drop_denied",
            Self::DropGroupUnicast => "drop_group_unicast",
            Self::DropNoSocket => "drop_no_socket",
            Self::DropNoVnet => "drop_no_vnet",
            Self::ToKernelArp => "to_kernel_arp",
            Self::ToKernelNeighbourDiscovery => "to_kernel_neighbour_discovery",
            Self::ToKernelGroup => "to_kernel_group",
            Self::ToKernelOwnAddress => "to_kernel_own_address",
            Self::ToKernelListener => "to_kernel_listener",
            Self::ToKernelDhcp => "to_kernel_dhcp",
            Self::ToKernelNonIp => "to_kernel_non_ip",
            Self::ToWorkerArpRequest => "to_worker_arp_request",
            Self::ToWorkerNeighbourSolicitation => "to_worker_neighbour_solicitation",
            Self::ToWorkerIp => "to_worker_ip",
        }
    }

    /// Who the frame was given to.
    #[inline(always)]
    pub const fn kind(self) -> Kind {
        match self {
            Self::DropForeignMac
            | Self::DropVlan
            | Self::DropMalformed
            | Self::DropDenied
            | Self::DropGroupUnicast
            | Self::DropNoSocket
            | Self::DropNoVnet => Kind::Drop,
            Self::ToKernelArp
            | Self::ToKernelNeighbourDiscovery
            | Self::ToKernelGroup
            | Self::ToKernelOwnAddress
            | Self::ToKernelListener
            | Self::ToKernelDhcp
            | Self::ToKernelNonIp => Kind::Kernel,
            Self::ToWorkerArpRequest | Self::ToWorkerNeighbourSolicitation | Self::ToWorkerIp => Kind::Worker,
        }
    }
}

/// `ALL` holds every fate at its own index; the last variant closes the list.
const _: () = {
    let mut index = 0;
    while index < Fate::ALL.len() {
        assert!(Fate::ALL[index] as usize == index);
        index += 1;
    }
    assert!(Fate::ToWorkerIp as usize + 1 == Fate::COUNT);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique_and_begins_with_its_kind() {
        for (index, fate) in Fate::ALL.iter().enumerate() {
            let prefix = match fate.kind() {
                Kind::Drop => "drop_",
                Kind::Kernel => "to_kernel_",
                Kind::Worker => "to_worker_",
            };
            assert!(fate.name().starts_with(prefix), "{fate:?}");
            assert!(Fate::ALL[index + 1..].iter().all(|other| other.name() != fate.name()), "{fate:?}");
        }
    }
}
