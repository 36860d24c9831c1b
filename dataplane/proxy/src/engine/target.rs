//! Targets: what peers ask for is judged, resolved and reached.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use gridway_config::{HostPort, Layer4Protocol, Service};
use gridway_tunnel::ConnectionId;
use gridway_wire::frame::{ResetReason, StreamId, StreamOpen, StreamTarget};
use gridway_wire::time::Nanos;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::datagrams::Datagrams;
use super::ftp::Control;
use super::handle::Handle;
use super::session::{LocalEnd, Session, TcpEnd};
use super::timers::Timer;
use super::{Engine, Ready, SESSIONS};
use crate::Refusal;
use crate::engine::book::{Begin, Side};
use crate::engine::plan::{Grant, Plan, from_stream};
use crate::engine::resolver::Addresses;
use crate::engine::socket;
use crate::proxy_header::proxy_header;

/// What sessions by a range are counted under: their targets are the peers' choice, and so without bound.
pub const RANGES: &str = "";

/// A target that is not reached yet.
pub(super) struct Reaching {
    target: HostPort,
    /// Only addresses within the peer's ranges are tried.
    by_range: bool,
    protocol: Layer4Protocol,
    /// Where to connect from.
    source: Option<SocketAddr>,
    /// What the target is told of the client, when it is to be told.
    proxied: Option<(SocketAddr, SocketAddr)>,
    candidates: VecDeque<SocketAddr>,
    /// The attempt under way.
    socket: Option<TcpStream>,
    trying: Option<SocketAddr>,
    /// When the next address is tried.
    attempt_until: Option<Nanos>,
    ready: bool,
    /// Why the last attempt has failed.
    refusal: Refusal,
}

impl Reaching {
    fn new(
        target: HostPort,
        protocol: Layer4Protocol,
        by_range: bool,
        proxied: Option<(SocketAddr, SocketAddr)>,
    ) -> Self {
        Self {
            target,
            by_range,
            protocol,
            proxied,
            source: None,
            candidates: VecDeque::new(),
            socket: None,
            trying: None,
            attempt_until: None,
            ready: false,
            refusal: Refusal::Unreachable,
        }
    }

    /// The other end of a data connection of FTP, reached from an address that it knows.
    pub(super) fn data(address: SocketAddr, source: Option<SocketAddr>) -> Self {
        let target = HostPort { host: address.ip().to_string(), port: address.port() };
        let reaching = Self::new(target, Layer4Protocol::Tcp, false, None);
        Self { source, candidates: VecDeque::from([address]), ..reaching }
    }

    pub(super) fn set_ready(&mut self, event: &mio::event::Event) {
        self.ready |= event.is_writable() || event.is_error() || event.is_write_closed();
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        if let Some(socket) = &mut self.socket {
            drop(registry.deregister(socket));
        }
    }
}

impl Engine {
    /// A peer opens a stream.
    pub(super) fn open_from_peer(
        &mut self,
        link: ConnectionId,
        stream: StreamId,
        open: &StreamOpen<'_>,
        now: Nanos,
    ) {
        if let StreamTarget::FtpPassive { .. } | StreamTarget::FtpActive { .. } = open.target {
            return self.open_data_from_peer(link, stream, open, now);
        }
        let (Some(peer), Some(plan)) = (self.links.peer(link), self.plan.clone()) else { return };
        let protocol = from_stream(open.protocol);
        let grant = open
            .client
            .ok_or(Refusal::Other)
            .and_then(|client| plan.grant(&peer, protocol, &open.target).map(|grant| (grant, client)));
        let counted_as = match (&grant, &open.target) {
            // A name that is no service is not counted by itself: there is no end of such names.
            (Ok((Grant::Ranges(_), _)) | Err(Refusal::UnknownService | Refusal::Other), _) => RANGES,
            (_, StreamTarget::Service(name)) => name,
            _ => RANGES,
        };
        let tally = self.book.tally(Side::Service, counted_as);
        let refuse = |engine: &mut Self, refusal: Refusal| {
            tally.refuse(refusal);
            tracing::debug!(%peer, target = ?open.target, reason = refusal.name(), "stream refused");
            engine.links.with(link, |streams| streams.refuse(stream, refusal.reset()));
        };
        let (client, (service, target, device, timeout, by_range, proxied)) = match grant {
            Err(refusal) => return refuse(self, refusal),
            Ok((Grant::Service(service), client)) => {
                let device =
                    service.source_interface.as_ref().map_or(plan.device(), |name| name.as_str()).into();
                let proxied =
                    open.listener.filter(|_| service.proxy_protocol).map(|listener| (client, listener));
                let (name, target) = (service.name.as_str().into(), service.target.clone());
                (client, (name, target, device, service.connect_timeout, false, proxied))
            }
            Ok((Grant::Ranges(target), client)) => {
                let (name, device) = (target.to_string().into(), plan.device().into());
                (client, (name, target, device, Service::DEFAULT_CONNECT_TIMEOUT, true, None))
            }
        };
        let begin = Begin {
            worker: self.worker,
            side: Side::Service,
            connector: None,
            peer: peer.clone(),
            service,
            protocol,
            client,
            now,
        };
        let Some(info) = self.book.begin(begin, &tally) else {
            return refuse(self, Refusal::TooManySessions);
        };
        tracing::debug!(session = info.id, %peer, service = &*info.service, %client, "session begins");
        let (key, deadline) = (self.sessions.vacant_key(), now + timeout);
        let handle = Handle { key, id: info.id };
        self.links.with(link, |streams| streams.accept(stream, key, now));
        let resolved = self.resolver.resolve(&target, by_range, handle, now);
        let control = (protocol == Layer4Protocol::Ftp).then(|| Box::new(Control::far()));
        let end = LocalEnd::Reaching(Box::new(Reaching::new(target, protocol, by_range, proxied)));
        let session = Session::new(link, stream, info, tally, device, end);
        self.sessions.insert(Session { control, deadline: Some(deadline), ..session });
        self.timers.set(deadline, Timer::Deadline(handle));
        if let Some(addresses) = resolved {
            self.resolved(key, addresses, now);
        }
    }

    /// Whether the plan in force allows a session of a service.
    pub(super) fn is_granted(&self, session: &Session) -> bool {
        let Some(plan) = &self.plan else { return false };
        let info = &session.info;
        if info.is_by_range() {
            return info.target().is_none_or(|target| plan.in_range(&info.peer, target.ip(), target.port()));
        }
        plan.grant(&info.peer, info.protocol, &StreamTarget::Service(&info.service)).is_ok()
    }

    /// The addresses of a session's target are known.
    pub(super) fn resolved(&mut self, key: usize, addresses: Addresses, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let LocalEnd::Reaching(reaching) = &mut session.end else { return };
        match addresses {
            Err(error) => {
                tracing::debug!(session = session.info.id, target = %reaching.target, %error, "cannot resolve");
                reaching.refusal = Refusal::ResolveFailed;
            }
            Ok(addresses) => {
                reaching.candidates = addresses
                    .into_iter()
                    .map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()))
                    .collect();
            }
        }
        self.reach_next(key, now);
    }

    /// Tries the next address of a session's target.
    pub(super) fn reach_next(&mut self, key: usize, now: Nanos) {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return };
            let LocalEnd::Reaching(reaching) = &mut session.end else { return };
            let Some(address) = reaching.candidates.pop_front() else {
                let refusal = reaching.refusal;
                return self.lose(key, refusal.reset(), Some(refusal), now);
            };
            if reaching.by_range {
                let in_range =
                    |plan: &Arc<Plan>| plan.in_range(&session.info.peer, address.ip(), address.port());
                // The node itself is not behind it: what listens here for others is not the peer's to reach.
                if !self.plan.as_ref().is_some_and(in_range) || socket::is_own(address.ip()) {
                    reaching.refusal = Refusal::NotInRange;
                    continue;
                }
            }
            match self.begin_attempt(key, address, now) {
                Ok(()) => return,
                Err(error) => self.attempt_failed(key, &error),
            }
        }
    }

    /// Begins to reach one address; datagrams need no more than that.
    fn begin_attempt(&mut self, key: usize, address: SocketAddr, now: Nanos) -> io::Result<()> {
        let token = Token(SESSIONS + key);
        let session = &self.sessions[key];
        let LocalEnd::Reaching(reaching) = &session.end else { return Ok(()) };
        if reaching.protocol.is_over_udp() {
            let registry = &self.registry;
            let datagrams =
                Datagrams::to_target(address, &session.device, reaching.protocol, registry, token)?;
            let session = &mut self.sessions[key];
            session.end = LocalEnd::Datagrams(Box::new(datagrams));
            session.deadline = None;
            self.reached(key, address, now);
            return Ok(());
        }
        let mut door = None;
        let mut socket = socket::connect(address, &session.device, reaching.source, |local| {
            door = self.door(session, local)?;
            Ok(())
        })?;
        self.registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let session = &mut self.sessions[key];
        session.door = door;
        let LocalEnd::Reaching(reaching) = &mut session.end else { return Ok(()) };
        (reaching.socket, reaching.trying, reaching.ready) = (Some(socket), Some(address), false);
        // Those that are left have their time, too.
        if let Some(deadline) = session.deadline
            && let Some(others) = u32::try_from(reaching.candidates.len()).ok().filter(|others| *others > 0)
        {
            let until = now + deadline.since(now) / (others + 1);
            reaching.attempt_until = Some(until);
            let handle = session.handle(key);
            self.timers.set(until, Timer::Deadline(handle));
        }
        Ok(())
    }

    fn attempt_failed(&mut self, key: usize, error: &io::Error) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let LocalEnd::Reaching(reaching) = &mut session.end else { return };
        tracing::debug!(session = session.info.id, target = %reaching.target, %error, "cannot reach the target");
        reaching.refusal = Refusal::of(error);
        // Closed, it leaves the poll.
        (reaching.socket, reaching.trying, reaching.attempt_until) = (None, None, None);
    }

    /// The time of an attempt, or of all, is over.
    pub(super) fn give_up_attempt(&mut self, key: usize, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let LocalEnd::Reaching(reaching) = &mut session.end else { return };
        if session.deadline.is_some_and(|deadline| deadline <= now) {
            return self.lose(key, ResetReason::ConnectTimeout, Some(Refusal::ConnectTimeout), now);
        }
        if reaching.attempt_until.is_some_and(|until| until <= now) {
            self.attempt_failed(key, &io::ErrorKind::TimedOut.into());
            self.reach_next(key, now);
        }
    }

    /// The attempt under way has come to something.
    pub(super) fn go_on_reaching(&mut self, key: usize, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let LocalEnd::Reaching(reaching) = &mut session.end else { return };
        let (Some(socket), Some(address), true) = (&mut reaching.socket, reaching.trying, reaching.ready)
        else {
            return;
        };
        let failed = match (socket.take_error(), socket.peer_addr()) {
            (Ok(None), Ok(_)) => socket::tune(socket).err(),
            (Ok(Some(error)) | Err(error), _) => Some(error),
            (Ok(None), Err(error)) if error.kind() == io::ErrorKind::NotConnected => return,
            (Ok(None), Err(error)) => Some(error),
        };
        if let Some(error) = failed {
            self.attempt_failed(key, &error);
            return self.reach_next(key, now);
        }
        let header = reaching.proxied.map(|(client, listener)| proxy_header(client, listener));
        if let Some(header) = header {
            session.to_local.prepend(&header);
        }
        if let Some(socket) = reaching.socket.take() {
            session.end = LocalEnd::Tcp(TcpEnd::new(socket));
            session.deadline = None;
            self.reached(key, address, now);
        }
    }

    /// The target is reached.
    fn reached(&mut self, key: usize, address: SocketAddr, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.info.set_target(address);
        session.tally.open();
        session.info.opened();
        if session.remote_finished {
            session.info.closing();
        }
        let (link, stream) = (session.link, session.stream);
        self.links.with(link, |streams| streams.opened(stream));
        if session.control.is_some() {
            self.control_reached(key, address, now);
        } else if let LocalEnd::Datagrams(_) = &session.end {
            // What has come meanwhile was not taken apart yet.
            let early = session.to_local.take();
            self.deliver_datagrams(key, stream, &early, now);
        }
        self.ready.push(Ready::Session(key));
    }
}
