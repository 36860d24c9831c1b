//! A session: a stream of the tunnel and what it is joined with here.

use std::io::{self, Read};
use std::sync::Arc;

use gridway_tunnel::ConnectionId;
use gridway_tunnel::streams::Given;
use gridway_wire::frame::{ResetReason, StreamId};
use gridway_wire::time::Nanos;
use mio::net::TcpStream;

use super::datagrams::Datagrams;
use super::ftp::Control;
use super::handle::Handle;
use super::target::Reaching;
use crate::engine::backlog::Backlog;
use crate::engine::book::{SessionInfo, Side, Tally, Way};
use crate::engine::doors::Door;

/// A session of this worker.
pub(super) struct Session {
    pub(super) link: ConnectionId,
    pub(super) stream: StreamId,
    pub(super) info: Arc<SessionInfo>,
    pub(super) tally: Arc<Tally>,
    /// The place of the listener that it came by, whose limits it obeys.
    pub(super) listener: Option<usize>,
    pub(super) end: LocalEnd,
    /// Interface that the local end is reached by.
    pub(super) device: Arc<str>,
    /// Of an FTP session: its control channel is followed.
    pub(super) control: Option<Box<Control>>,
    /// Of a data connection of FTP: the session of its control channel.
    pub(super) parent: Option<Handle>,
    /// Of a data connection at the address of a port forward.
    pub(super) door: Option<Door>,
    /// Bytes of the tunnel that wait for the local end.
    pub(super) to_local: Backlog,
    /// Bytes for the tunnel that were made or framed here, or read ahead.
    pub(super) to_tunnel: Backlog,
    /// The peer sends nothing more.
    pub(super) remote_finished: bool,
    /// The local end sends nothing more, and the peer is told.
    pub(super) local_finished: bool,
    /// Is to be looked at.
    pub(super) queued: bool,
    /// When it ends unless something happens.
    pub(super) deadline: Option<Nanos>,
}

/// What a stream is joined with.
pub(super) enum LocalEnd {
    /// A target that is not reached yet.
    Reaching(Box<Reaching>),
    /// A TCP connection, of a client or to a target.
    Tcp(TcpEnd),
    /// A client or a target that speaks in datagrams.
    Datagrams(Box<Datagrams>),
}

/// A TCP connection.
pub(super) struct TcpEnd {
    pub(super) socket: TcpStream,
    pub(super) readable: bool,
    /// The last read filled what it was given: there is much to read.
    is_bulk: bool,
    pub(super) writable: bool,
    /// The other end has closed at least its side.
    pub(super) hung_up: bool,
    /// The kernel has an error to tell.
    pub(super) failed: bool,
    /// Our side is shut.
    pub(super) shut: bool,
}

impl TcpEnd {
    /// A connection just accepted or made.
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            readable: true,
            is_bulk: false,
            writable: true,
            hung_up: false,
            failed: false,
            shut: false,
        }
    }

    pub(super) fn set_ready(&mut self, event: &mio::event::Event) {
        self.hung_up |= event.is_read_closed() || event.is_write_closed();
        self.failed |= event.is_error();
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable();
    }

    /// Reads what is there.
    fn read(&mut self, room: &mut [u8]) -> Given {
        while self.readable {
            match self.socket.read(room) {
                Ok(0) => return Given::End,
                Ok(count) => {
                    // A read that does not fill the buffer has emptied the socket, unless the end is behind it.
                    self.is_bulk = count == room.len();
                    self.readable = self.hung_up || self.is_bulk;
                    return Given::Bytes(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.failed = true;
                    return Given::Failed(ResetReason::Aborted);
                }
            }
        }
        Given::Nothing
    }
}

impl Session {
    /// A session of which nothing has come or gone.
    pub(super) fn new(
        link: ConnectionId,
        stream: StreamId,
        info: Arc<SessionInfo>,
        tally: Arc<Tally>,
        device: Arc<str>,
        end: LocalEnd,
    ) -> Self {
        Self {
            link,
            stream,
            info,
            tally,
            listener: None,
            end,
            device,
            control: None,
            parent: None,
            door: None,
            to_local: Backlog::default(),
            to_tunnel: Backlog::default(),
            remote_finished: false,
            local_finished: false,
            queued: false,
            deadline: None,
        }
    }

    /// Which way bytes go that come from the local end.
    pub(super) fn way_in(&self) -> Way {
        match self.info.side {
            Side::Connector => Way::FromClient,
            Side::Service => Way::ToClient,
        }
    }

    /// Which way bytes go that are for the local end.
    pub(super) fn way_out(&self) -> Way {
        match self.info.side {
            Side::Connector => Way::ToClient,
            Side::Service => Way::FromClient,
        }
    }

    /// Puts bytes for the tunnel into `room`. Of a socket that has much to give as many as `ahead` more are read with them,
    /// by way of `scratch`: the kernel has less to do for one large read than for several small ones.
    pub(super) fn give(&mut self, room: &mut [u8], ahead: usize, scratch: &mut [u8], now: Nanos) -> Given {
        let given = match &mut self.end {
            LocalEnd::Reaching(_) => Given::Nothing,
            LocalEnd::Tcp(tcp) => match &self.control {
                None if !self.to_tunnel.is_empty() => Given::Bytes(self.to_tunnel.read(room)),
                None if tcp.is_bulk && ahead > 0 => {
                    let most = scratch.len().min(room.len().saturating_add(ahead));
                    let given = tcp.read(&mut scratch[..most]);
                    if let Given::Bytes(count) = given {
                        let first = count.min(room.len());
                        room[..first].copy_from_slice(&scratch[..first]);
                        self.to_tunnel.push(&scratch[first..count]);
                        Given::Bytes(first)
                    } else {
                        given
                    }
                }
                None => tcp.read(room),
                Some(control) => match self.to_tunnel.read(room) {
                    0 if control.has_ended() => Given::End,
                    0 => Given::Nothing,
                    count => Given::Bytes(count),
                },
            },
            LocalEnd::Datagrams(_) => match self.to_tunnel.read(room) {
                0 => Given::Nothing,
                count => Given::Bytes(count),
            },
        };
        match given {
            // Datagrams are counted without their lengths, when they come.
            Given::Bytes(_) if matches!(self.end, LocalEnd::Datagrams(_)) => {}
            Given::Bytes(count) => self.info.count(self.way_in(), count, now),
            Given::End => {
                self.local_finished = true;
                self.info.closing();
            }
            Given::Nothing | Given::Failed(_) => {}
        }
        given
    }

    /// Whether the other end of an FTP control channel is being told why the session ends.
    fn says_farewell(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.has_failed())
    }

    /// Whether both ends have finished and everything has arrived.
    pub(super) fn is_over(&self) -> bool {
        let shut = match &self.end {
            // Closing a socket with unread bytes would destroy what its other end has not read.
            LocalEnd::Tcp(tcp) => tcp.shut && (tcp.hung_up || !self.says_farewell()),
            LocalEnd::Reaching(_) => false,
            LocalEnd::Datagrams(_) => true,
        };
        self.local_finished && self.remote_finished && self.to_local.is_empty() && shut
    }
}
