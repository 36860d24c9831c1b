//! The kernel's notifications.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

use crate::NetlinkError;
use crate::wire::{Datagram, Raw, messages};

// linux/rtnetlink.h, `enum rtnetlink_groups`.
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_NEIGH: u32 = 3;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;
const RTNLGRP_NEXTHOP: u32 = 32;

// linux/rtnetlink.h, message types.
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

/// Receive buffer in bytes; the kernel caps it at `net.core.rmem_max`. An overrun costs a fresh dump, nothing else.
const RECEIVE_BUFFER: i32 = 4 << 20;
/// Datagrams read at a stretch, so that a flood of notifications cannot hold up everything else.
const BUDGET: usize = 1024;

/// Something may have changed.
#[derive(Debug)]
pub(crate) enum Event {
    Link,
    Address,
    Route,
    NewNeighbour(NeighbourMessage),
    DelNeighbour(NeighbourMessage),
    /// Notifications were lost (`ENOBUFS`).
    Overrun,
    /// A notification that could not be understood.
    Malformed,
}

/// A netlink socket subscribed to links, addresses, routes, next-hop objects and neighbours.
pub(crate) struct Events {
    socket: Socket,
    datagram: Datagram,
}

impl Events {
    pub(crate) fn subscribe() -> Result<Self, NetlinkError> {
        let failed = |action| move |source| NetlinkError::Socket { action, source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a socket"))?;
        socket.bind_auto().map_err(failed("bind a socket"))?;
        socket.set_non_blocking(true).map_err(failed("make a socket non-blocking"))?;
        socket.set_rx_buf_sz(RECEIVE_BUFFER).map_err(failed("enlarge a receive buffer"))?;
        for group in [
            RTNLGRP_LINK,
            RTNLGRP_NEIGH,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV6_ROUTE,
            RTNLGRP_NEXTHOP,
        ] {
            socket.add_membership(group).map_err(failed("subscribe"))?;
        }
        Ok(Self { socket, datagram: Datagram::new() })
    }

    /// For readiness, edge-triggered: [`Self::drain`] until it says that nothing is left.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Hands on what has arrived. True when nothing is left, false when there may be more.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Event)) -> Result<bool, NetlinkError> {
        for _ in 0..BUDGET {
            match self.datagram.receive(&self.socket) {
                Ok(Some(datagram)) => messages(datagram).filter_map(event).for_each(&mut each),
                // Too long to be read whole, or not from the kernel: whatever it was, look again.
                Ok(None) => each(Event::Overrun),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => each(Event::Overrun),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NetlinkError::Socket { action: "read notifications", source }),
            }
        }
        Ok(false)
    }
}

/// Everything but neighbours is read again rather than patched: a notification does not tell the whole story. (IPv4
/// routes vanish silently with a link or an address, an IPv6 multipath route changes hop by hop, and a next-hop
/// object changes the routes that use it.)
fn event(message: Option<Raw<'_>>) -> Option<Event> {
    let Some(raw) = message else { return Some(Event::Malformed) };
    match raw.kind {
        RTM_NEWLINK | RTM_DELLINK => Some(Event::Link),
        RTM_NEWADDR | RTM_DELADDR => Some(Event::Address),
        RTM_NEWROUTE | RTM_DELROUTE | RTM_NEWNEXTHOP | RTM_DELNEXTHOP => Some(Event::Route),
        RTM_NEWNEIGH | RTM_DELNEIGH => Some(match raw.decode().map(|message| message.payload) {
            Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(neighbour))) => {
                Event::NewNeighbour(neighbour)
            }
            Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(neighbour))) => {
                Event::DelNeighbour(neighbour)
            }
            _ => Event::Malformed,
        }),
        _ => None,
    }
}
