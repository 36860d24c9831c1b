//! Data connections: one for each that the control channel has announced.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gridway_config::Layer4Protocol;
use gridway_tunnel::ConnectionId;
use gridway_wire::frame::{StreamId, StreamOpen, StreamProtocol, StreamTarget};
use gridway_wire::time::Nanos;
use mio::net::TcpListener;
use mio::{Interest, Token};

use super::Machine;
use crate::Refusal;
use crate::engine::book::Begin;
use crate::engine::doors::Door;
use crate::engine::handle::{self, Handle};
use crate::engine::session::{LocalEnd, Session, TcpEnd};
use crate::engine::socket;
use crate::engine::target::Reaching;
use crate::engine::timers::Timer;
use crate::engine::{DATA_LISTENERS, Engine, Ready, SESSIONS};

/// How long a data connection may be waited for.
const WAIT: Duration = Duration::from_secs(60);
/// How long a data connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How soon one is accepted again when there was no descriptor for it.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Where a data connection is waited for.
pub(in crate::engine) struct DataListener {
    socket: TcpListener,
    /// The session that it belongs to.
    control: Handle,
    /// Only from here.
    from: IpAddr,
    /// Beside the client: the port that the server has announced.
    far_port: Option<u16>,
    door: Option<Door>,
    /// How long it waits.
    until: Nanos,
}

impl Engine {
    /// Opens a listener for a data connection, at the address that the local end of the session knows.
    pub(super) fn listen_for_data(
        &mut self,
        key: usize,
        far_port: Option<u16>,
        now: Nanos,
    ) -> io::Result<SocketAddr> {
        let session = self.sessions.get(key).ok_or(io::ErrorKind::NotConnected)?;
        let LocalEnd::Tcp(tcp) = &session.end else { return Err(io::ErrorKind::NotConnected.into()) };
        let (local, from) = (tcp.socket.local_addr()?, tcp.socket.peer_addr()?.ip());
        let mut socket = socket::listen(with_port(local, 0), &session.device)?;
        let local = socket.local_addr()?;
        let control = session.handle(key);
        let door = self.door(session, local)?;
        // One is enough: the last that was announced is the one that counts.
        self.data_listeners.retain(|_, listener| listener.control != control);
        let place = self.data_listeners.vacant_key();
        self.registry.register(&mut socket, Token(DATA_LISTENERS + place), Interest::READABLE)?;
        let until = now + WAIT;
        self.data_listeners.insert(DataListener { socket, control, from, far_port, door, until });
        self.timers.set(until, Timer::Expire(place));
        Ok(local)
    }

    /// A data connection was waited for long enough.
    pub(in crate::engine) fn expire_data(&mut self, key: usize, now: Nanos) {
        // Another may have the place by then.
        if self.data_listeners.get(key).is_some_and(|listener| listener.until <= now) {
            self.data_listeners.remove(key);
        }
    }

    /// The session has ended, and so nothing is waited for.
    pub(in crate::engine) fn forget_data(&mut self, control: Handle) {
        self.data_listeners.retain(|_, listener| listener.control != control);
    }

    /// Takes a data connection.
    pub(in crate::engine) fn accept_data(&mut self, key: usize, now: Nanos) {
        let Some(listener) = self.data_listeners.get(key) else { return };
        let (stream, address) = match listener.socket.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return self.timers.set(now + NO_DESCRIPTOR, Timer::AcceptData(key)),
        };
        let mut tcp = TcpEnd::new(stream);
        if address.ip().to_canonical() != listener.from.to_canonical() || socket::tune(&tcp.socket).is_err() {
            tracing::info!(%address, "a data connection of FTP from a stranger is refused");
            tcp.abort();
            return self.ready.push(Ready::Data(key));
        }
        let DataListener { control, far_port, door, .. } = self.data_listeners.remove(key);
        let token = Token(SESSIONS + self.sessions.vacant_key());
        let registered =
            self.registry.register(&mut tcp.socket, token, Interest::READABLE | Interest::WRITABLE).is_ok();
        let session = if registered { self.begin_data(control, far_port, address, tcp, now) } else { None };
        match session {
            Some(session) => session.door = door,
            None => tracing::debug!(%address, "no session for a data connection of FTP"),
        }
    }

    /// Opens a door for a socket of a session that came by a port forward; others need none.
    pub(in crate::engine) fn door(&self, session: &Session, at: SocketAddr) -> io::Result<Option<Door>> {
        let Some(listener) = session.listener else { return Ok(None) };
        if self.listeners[listener].plan.vnet.is_none() {
            return Ok(None);
        }
        let door = Door::open(&self.doors, at);
        door.map(Some).ok_or_else(|| io::Error::other("too many data connections at port forwards"))
    }

    /// Begins the session of a data connection that was accepted here.
    fn begin_data(
        &mut self,
        control: Handle,
        far_port: Option<u16>,
        address: SocketAddr,
        tcp: TcpEnd,
        now: Nanos,
    ) -> Option<&mut Session> {
        let parent = handle::find(&mut self.sessions, control)?;
        let target = match far_port {
            Some(port) => StreamTarget::FtpPassive { control: parent.stream, port },
            None => StreamTarget::FtpActive { control: parent.stream },
        };
        let open =
            StreamOpen { protocol: StreamProtocol::Tcp, client: Some(address), listener: None, target };
        let begin = data_session(parent, self.worker, now);
        let (link, listener, tally, device) =
            (parent.link, parent.listener, parent.tally.clone(), parent.device.clone());
        let info = self.book.begin(begin, &tally)?;
        let key = self.sessions.vacant_key();
        let Some(stream) = self.links.with(link, |streams| streams.open(&open, key, now)).flatten() else {
            self.book.end(&info, &tally);
            return None;
        };
        let end = LocalEnd::Tcp(tcp);
        self.sessions.insert(Session {
            listener,
            queued: true,
            parent: Some(control),
            ..Session::new(link, stream, info, tally, device, end)
        });
        self.ready.push(Ready::Session(key));
        self.sessions.get_mut(key)
    }

    /// A peer opens a stream for a data connection.
    pub(in crate::engine) fn open_data_from_peer(
        &mut self,
        link: ConnectionId,
        stream: StreamId,
        open: &StreamOpen<'_>,
        now: Nanos,
    ) {
        if let Err(refusal) = self.try_open_data(link, stream, open, now) {
            tracing::debug!(target = ?open.target, reason = refusal.name(), "stream refused");
            self.links.with(link, |streams| streams.refuse(stream, refusal.reset()));
        }
    }

    fn try_open_data(
        &mut self,
        link: ConnectionId,
        stream: StreamId,
        open: &StreamOpen<'_>,
        now: Nanos,
    ) -> Result<(), Refusal> {
        let (control, port) = match open.target {
            StreamTarget::FtpPassive { control, port } => (control, Some(port)),
            StreamTarget::FtpActive { control } => (control, None),
            StreamTarget::Service(_) | StreamTarget::Host { .. } => return Err(Refusal::UnknownService),
        };
        let owner = self.links.with(link, |streams| streams.owner(control)).flatten();
        let parent = owner.and_then(|owner| self.sessions.get_mut(owner)).ok_or(Refusal::PeerNotAllowed)?;
        let local = match &parent.end {
            LocalEnd::Tcp(tcp) => tcp.socket.local_addr().ok(),
            LocalEnd::Reaching(_) | LocalEnd::Datagrams(_) => None,
        };
        let channel = parent.control.as_deref_mut().ok_or(Refusal::PeerNotAllowed)?;
        let address = match (&mut channel.machine, port) {
            (Machine::Near(near), None) => near.take_active_endpoint().ok_or(Refusal::PeerNotAllowed)?,
            (Machine::Far(_), Some(port)) => {
                let place = channel.announced.iter().position(|announced| *announced == port);
                channel.announced.remove(place.ok_or(Refusal::PeerNotAllowed)?);
                let server = with_port(parent.info.target().ok_or(Refusal::PeerNotAllowed)?, port);
                let (plan, peer) = (self.plan.as_ref(), &parent.info.peer);
                let in_range = || plan.is_some_and(|plan| plan.in_range(peer, server.ip(), port));
                // What a server of the peer's choice announces opens no port that the peer may not name.
                if parent.info.is_by_range() && !in_range() {
                    return Err(Refusal::NotInRange);
                }
                server
            }
            _ => return Err(Refusal::PeerNotAllowed),
        };
        // From the address that the other end of the control channel knows.
        let source = local.map(|local| with_port(local, 0));
        let begin = data_session(parent, self.worker, now);
        let parent_handle = owner.map(|owner| parent.handle(owner));
        let (listener, tally, device) = (parent.listener, parent.tally.clone(), parent.device.clone());
        let info = self.book.begin(begin, &tally).ok_or(Refusal::TooManySessions)?;
        let (key, deadline) = (self.sessions.vacant_key(), now + CONNECT);
        let handle = Handle { key, id: info.id };
        self.links.with(link, |streams| streams.accept(stream, key, now));
        let end = LocalEnd::Reaching(Box::new(Reaching::data(address, source)));
        let session = Session::new(link, stream, info, tally, device, end);
        self.sessions.insert(Session {
            listener,
            parent: parent_handle,
            deadline: Some(deadline),
            ..session
        });
        self.timers.set(deadline, Timer::Deadline(handle));
        self.reach_next(key, now);
        Ok(())
    }
}

/// Another port of the same address, its scope included.
fn with_port(mut at: SocketAddr, port: u16) -> SocketAddr {
    at.set_port(port);
    at
}

/// The session of a data connection is one of its own, with the names of the control channel's.
fn data_session(parent: &Session, worker: usize, now: Nanos) -> Begin {
    let info = &parent.info;
    Begin {
        worker,
        side: info.side,
        connector: info.connector.clone(),
        peer: info.peer.clone(),
        service: info.service.clone(),
        protocol: Layer4Protocol::Ftp,
        client: info.client,
        now,
    }
}
