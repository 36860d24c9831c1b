//! Asking the kernel: one request, its whole answer.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressMessage,
    link::{LinkAttribute, LinkExtentMask, LinkMessage},
    neighbour::{NeighbourAttribute, NeighbourMessage},
    route::{RouteAttribute, RouteMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::NetlinkError;
use crate::wire::{Datagram, messages};

mod changes;

pub(crate) use changes::Keep;

/// The kernel works on a request while it is sent, so an answer that takes this long (milliseconds) was lost.
const PATIENCE: u16 = 5_000;
/// An interface name has at most this many bytes (`IFNAMSIZ`, without the terminating zero).
const NAME: usize = 15;

/// Both families; the order of [`crate::Snapshot::routes`].
pub(crate) const FAMILIES: [AddressFamily; 2] = [AddressFamily::Inet, AddressFamily::Inet6];

/// A netlink socket for requests and their answers.
pub(crate) struct Requests {
    socket: Socket,
    sequence: u32,
    datagram: Datagram,
    /// Messages skipped because they were malformed.
    pub(crate) malformed: u64,
}

impl Requests {
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let failed = |action| move |source| NetlinkError::Socket { action, source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a socket"))?;
        socket.bind_auto().map_err(failed("bind a socket"))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed("connect to the kernel"))?;
        socket.set_non_blocking(true).map_err(failed("make a socket non-blocking"))?;
        // Lets the kernel filter dumps by table and interface.
        socket.set_netlink_get_strict_chk(true).map_err(failed("ask for strict checking"))?;
        Ok(Self { socket, sequence: 0, datagram: Datagram::new(), malformed: 0 })
    }

    /// The interface of this name; that there is none is an error.
    pub(crate) fn link_named(&mut self, name: &str) -> Result<LinkMessage, NetlinkError> {
        let unknown = || NetlinkError::NoSuchInterface { name: name.to_owned() };
        if name.is_empty() || name.len() > NAME || name.contains('\0') {
            return Err(unknown());
        }
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.link(link)?.ok_or_else(unknown)
    }

    /// The interface of this index.
    pub(crate) fn link_at(&mut self, index: u32) -> Result<Option<LinkMessage>, NetlinkError> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.link(link)
    }

    fn link(&mut self, mut link: LinkMessage) -> Result<Option<LinkMessage>, NetlinkError> {
        link.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let action = "read the link";
        let mut answer = None;
        let asked = self.call(action, RouteNetlinkMessage::GetLink(link), NLM_F_ACK, |message| {
            if let RouteNetlinkMessage::NewLink(link) = message {
                answer = Some(link);
            }
        });
        match asked {
            Err(error) if error.refusal() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
            Ok(_) => answer.map(Some).ok_or(NetlinkError::NoAnswer { action }),
        }
    }

    /// Dumps the routes of one table and address family. False when the table changed meanwhile.
    pub(crate) fn routes(
        &mut self,
        family: AddressFamily,
        table: u8,
        mut each: impl FnMut(&RouteMessage),
    ) -> Result<bool, NetlinkError> {
        let mut route = RouteMessage::default();
        route.header.address_family = family;
        route.attributes.push(RouteAttribute::Table(u32::from(table)));
        self.dump("dump the routes", RouteNetlinkMessage::GetRoute(route), |message| {
            if let RouteNetlinkMessage::NewRoute(route) = message {
                each(&route);
            }
        })
    }

    /// Dumps the neighbours on an interface. False when the table changed meanwhile.
    pub(crate) fn neighbours(
        &mut self,
        family: AddressFamily,
        interface: u32,
        mut each: impl FnMut(&NeighbourMessage),
    ) -> Result<bool, NetlinkError> {
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.family = family;
        neighbour.attributes.push(NeighbourAttribute::IfIndex(interface));
        self.dump("dump the neighbours", RouteNetlinkMessage::GetNeighbour(neighbour), |message| {
            if let RouteNetlinkMessage::NewNeighbour(neighbour) = message {
                each(&neighbour);
            }
        })
    }

    /// Dumps the addresses of an interface. False when they changed meanwhile.
    pub(crate) fn addresses(
        &mut self,
        family: AddressFamily,
        interface: u32,
        mut each: impl FnMut(&AddressMessage),
    ) -> Result<bool, NetlinkError> {
        let mut address = AddressMessage::default();
        address.header.family = family;
        address.header.index = interface;
        self.dump("dump the addresses", RouteNetlinkMessage::GetAddress(address), |message| {
            if let RouteNetlinkMessage::NewAddress(address) = message {
                each(&address);
            }
        })
    }

    fn dump(
        &mut self,
        action: &'static str,
        message: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<bool, NetlinkError> {
        match self.call(action, message, NLM_F_DUMP, each) {
            // No such table yet, no such interface any more, or a kernel without IPv6: nothing to report.
            Err(error) if matches!(error.refusal(), Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP)) => {
                Ok(true)
            }
            other => other,
        }
    }

    /// Sends a request and hands on every message of its answer. False when the kernel said that what it dumped
    /// changed meanwhile (`NLM_F_DUMP_INTR`).
    fn call(
        &mut self,
        action: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<bool, NetlinkError> {
        self.send(action, message, flags)?;
        let mut consistent = true;
        loop {
            self.await_answer(action)?;
            let datagram = match self.datagram.receive(&self.socket) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => {
                    self.malformed += 1;
                    continue;
                }
                Err(error) if retry(&error) => continue,
                Err(source) => return Err(NetlinkError::Socket { action, source }),
            };
            for raw in messages(datagram) {
                let Some(message) = raw.and_then(|raw| raw.decode()) else {
                    self.malformed += 1;
                    continue;
                };
                if message.header.sequence_number != self.sequence {
                    // The rest of an answer that an earlier request gave up on.
                    continue;
                }
                consistent &= message.header.flags & NLM_F_DUMP_INTR == 0;
                let code = match message.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        each(inner);
                        continue;
                    }
                    NetlinkPayload::Done(done) => done.code,
                    NetlinkPayload::Error(error) => error.raw_code(),
                    _ => continue,
                };
                return match code {
                    0.. => Ok(consistent),
                    _ => {
                        let source = io::Error::from_raw_os_error(code.saturating_neg());
                        Err(NetlinkError::Refused { action, source })
                    }
                };
            }
        }
    }

    fn send(
        &mut self,
        action: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        loop {
            match self.socket.send(&bytes, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NetlinkError::Socket { action, source }),
            }
        }
    }

    fn await_answer(&self, action: &'static str) -> Result<(), NetlinkError> {
        let mut wanted = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut wanted, PollTimeout::from(PATIENCE)) {
                Ok(0) => return Err(NetlinkError::NoAnswer { action }),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(NetlinkError::Socket { action, source: errno.into() }),
            }
        }
    }
}

fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// The address family of an address.
pub(crate) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
