//! Frames of any content, put on an interface through a packet socket (`packet(7)`).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// Sends frames as they are, garbage included, from an interface of a namespace.
#[derive(Debug)]
pub struct RawSender {
    socket: OwnedFd,
    interface: String,
    mac: [u8; 6],
}

impl RawSender {
    /// Opens a packet socket bound to the interface.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Unsupported`] when there is no such Ethernet interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let what = format!("open a packet socket on {interface} in {}", namespace.name());
        let open = || -> nix::Result<Option<(OwnedFd, [u8; 6])>> {
            let Some(address) = link_address(interface)? else {
                return Ok(None);
            };
            let Some(mac) = address.addr() else {
                return Ok(None);
            };
            // No protocol: the socket sends and receives nothing.
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
            bind(socket.as_raw_fd(), &address)?;
            Ok(Some((socket, mac)))
        };
        match namespace.enter(open)?.map_err(LabError::io::<Errno>(what))? {
            Some((socket, mac)) => Ok(Self { socket, interface: interface.to_owned(), mac }),
            None => Err(LabError::Unsupported(format!(
                "{} has no Ethernet interface {interface}",
                namespace.name()
            ))),
        }
    }

    /// The interface's own MAC address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Sends one frame, Ethernet header first, without checksum of its own (the driver adds none either).
    ///
    /// # Errors
    /// [`LabError::Io`]; the kernel refuses frames shorter than an Ethernet header or longer than the MTU allows.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        sent.map(drop).map_err(LabError::io(format!("send {} bytes on {}", frame.len(), self.interface)))
    }
}

/// The packet-socket address of an interface in the calling thread's namespace.
fn link_address(interface: &str) -> nix::Result<Option<LinkAddr>> {
    let mut entries = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    Ok(entries.find_map(|entry| entry.address?.as_link_addr().copied()))
}
