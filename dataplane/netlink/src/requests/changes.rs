//! What the kernel is told: neighbours and routes, added and deleted.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
};
use netlink_packet_route::route::RouteMessage;

use super::{Requests, family};
use crate::NetlinkError;

/// How a neighbour entry is kept fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `NTF_EXT_MANAGED`: the kernel probes it for as long as it exists.
    Managed,
    /// `NTF_USE`: the kernel resolves it once, as if a packet had been sent; to be repeated.
    Use,
}

impl Requests {
    /// Has the kernel resolve a neighbour and keep it fresh.
    pub(crate) fn add_neighbour(
        &mut self,
        interface: u32,
        address: IpAddr,
        keep: Keep,
    ) -> Result<(), NetlinkError> {
        let mut neighbour = entry(interface, address);
        match keep {
            Keep::Managed => {
                neighbour.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
            }
            Keep::Use => neighbour.header.flags = NeighbourFlags::Use,
        }
        let message = RouteNetlinkMessage::NewNeighbour(neighbour);
        self.call("resolve a neighbour", message, NLM_F_ACK | NLM_F_CREATE, |_| ()).map(drop)
    }

    /// Deletes a neighbour entry; one that is not there is no error.
    pub(crate) fn delete_neighbour(&mut self, interface: u32, address: IpAddr) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelNeighbour(entry(interface, address));
        match self.call("delete a neighbour", message, NLM_F_ACK, |_| ()) {
            Err(error) if matches!(error.refusal(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes a route; one with the same key (destination, TOS or source, metric) must not be there yet (`EEXIST`).
    pub(crate) fn add_route(&mut self, route: RouteMessage) -> Result<(), NetlinkError> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        self.call("add a route", RouteNetlinkMessage::NewRoute(route), flags, |_| ()).map(drop)
    }

    /// Deletes a route; one that is not there is no error.
    pub(crate) fn delete_route(&mut self, route: RouteMessage) -> Result<(), NetlinkError> {
        match self.call("delete a route", RouteNetlinkMessage::DelRoute(route), NLM_F_ACK, |_| ()) {
            Err(error) if matches!(error.refusal(), Some(libc::ESRCH | libc::ENODEV)) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// A neighbour entry in state `NUD_NONE`, without a MAC address.
fn entry(interface: u32, address: IpAddr) -> NeighbourMessage {
    let mut neighbour = NeighbourMessage::default();
    neighbour.header.family = family(address);
    neighbour.header.ifindex = interface;
    neighbour.attributes.push(NeighbourAttribute::Destination(address.into()));
    neighbour
}
