//! The interface's neighbour table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage, NeighbourState,
};

/// One entry, in whatever state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// The MAC address, when the entry's state is valid and the address unicast.
    pub(crate) mac: Option<[u8; 6]>,
    /// Permanent or noarp: an administrator's or the kernel's own, never to be touched.
    pub(crate) fixed: bool,
    /// The kernel keeps it fresh (`NTF_EXT_MANAGED`).
    pub(crate) managed: bool,
}

/// Reads an entry on this interface; `None` for others and for proxy entries.
pub(crate) fn read(interface: u32, message: &NeighbourMessage) -> Option<(IpAddr, Neighbour)> {
    if message.header.ifindex != interface || message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let (mut address, mut mac, mut managed) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(value)) => address = Some((*value).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(value)) => {
                address = Some((*value).into());
            }
            NeighbourAttribute::LinkLayerAddress(value) => mac = <[u8; 6]>::try_from(value.as_slice()).ok(),
            NeighbourAttribute::ExtFlags(flags) => managed = flags.contains(NeighbourExtFlags::Managed),
            _ => {}
        }
    }
    let state = message.header.state;
    let valid = matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    // The kernel lists multicast groups and directed broadcasts too; packets must not be sent there (RFC 2644).
    let mac = mac.filter(|mac| valid && mac[0] & 1 == 0 && *mac != [0; 6]);
    let fixed = matches!(state, NeighbourState::Permanent | NeighbourState::Noarp);
    Some((address?, Neighbour { mac, fixed, managed }))
}

/// The entries of the interface; as many as the kernel holds (`net.ipv4.neigh.default.gc_thresh3`).
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    entries: BTreeMap<IpAddr, Neighbour>,
}

impl Neighbours {
    /// Takes a new entry or the new state of one. True when the address resolves differently now.
    pub(crate) fn insert(&mut self, address: IpAddr, neighbour: Neighbour) -> bool {
        self.entries.insert(address, neighbour).and_then(|old| old.mac) != neighbour.mac
    }

    /// Drops an entry. True when the address was resolved until now.
    pub(crate) fn remove(&mut self, address: IpAddr) -> bool {
        self.entries.remove(&address).is_some_and(|old| old.mac.is_some())
    }

    /// Takes the whole table anew. True when any address resolves differently now.
    pub(crate) fn replace(&mut self, entries: BTreeMap<IpAddr, Neighbour>) -> bool {
        let old = std::mem::replace(&mut self.entries, entries);
        let resolved = |(address, neighbour): (&IpAddr, &Neighbour)| neighbour.mac.map(|mac| (*address, mac));
        !old.iter().filter_map(resolved).eq(self.resolved())
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&Neighbour> {
        self.entries.get(&address)
    }

    /// Addresses with their MAC addresses, ordered.
    pub(crate) fn resolved(&self) -> impl Iterator<Item = (IpAddr, [u8; 6])> {
        self.entries.iter().filter_map(|(address, neighbour)| Some((*address, neighbour.mac?)))
    }
}
