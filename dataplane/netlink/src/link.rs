//! Link state and addresses of the interface.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::NetlinkError;

/// What the kernel says about the interface itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) mtu: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) up: bool,
    /// Deleted, or moved to another network namespace.
    pub(crate) gone: bool,
}

impl Link {
    /// Reads an answer about the interface `name`.
    pub(crate) fn read(name: &str, message: &LinkMessage) -> Result<Self, NetlinkError> {
        let (mut mtu, mut hardware_address) = (0, &[][..]);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Mtu(value) => mtu = *value,
                LinkAttribute::Address(value) => hardware_address = value,
                _ => {}
            }
        }
        let mac = hardware_address.try_into().map_err(|_| NetlinkError::NotEthernet {
            name: name.to_owned(),
            length: hardware_address.len(),
        })?;
        let up = message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
        Ok(Self { index: message.header.index, mtu, mac, up, gone: false })
    }
}

/// The address in an answer to a dump of the interface's addresses.
pub(crate) fn own_address(interface: u32, message: &AddressMessage) -> Option<IpAddr> {
    let ours = message.header.index == interface
        && matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6);
    if !ours {
        return None;
    }
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(value) => local = Some(*value),
            AddressAttribute::Address(value) => address = Some(*value),
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end; IPv6 has no IFA_LOCAL otherwise.
    local.or(address)
}
