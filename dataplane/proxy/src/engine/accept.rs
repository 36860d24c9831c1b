//! Clients of connectors and port forwards.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gridway_config::{Layer4Protocol, ServiceRef};
use gridway_wire::frame::{ResetReason, StreamOpen, StreamTarget};
use gridway_wire::time::Nanos;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Token};

use super::ftp::Control;
use super::session::{LocalEnd, Session, TcpEnd};
use super::timers::Timer;
use super::{Engine, LISTENERS, Ready, SESSIONS, handle};
use crate::Refusal;
use crate::engine::book::{Begin, Side, Tally, Way};
use crate::engine::limiter::Limiter;
use crate::engine::plan::{Listener, Plan, to_stream};
use crate::engine::socket;

/// Clients accepted before others have their turn.
const ACCEPTED_A_TURN: usize = 64;
/// How soon clients are accepted again when there was no descriptor for one.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);
/// How soon a listener that could not be made is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A connector or port forward at work.
pub(super) struct Listening {
    pub(super) plan: Arc<Listener>,
    pub(super) tally: Arc<Tally>,
    pub(super) socket: Accepting,
    limits: [Limiter; 2],
    /// A timer to accept again is set.
    held_up: bool,
    name: Arc<str>,
    service: Arc<str>,
}

/// Where clients come.
pub(super) enum Accepting {
    /// The socket could not be made; it is tried again.
    Nothing,
    Tcp(TcpListener),
    /// With the sessions by the address of their client.
    Datagrams(UdpSocket, HashMap<SocketAddr, usize>),
}

impl Listening {
    pub(super) fn limit(&mut self, way: Way) -> &mut Limiter {
        &mut self.limits[way as usize]
    }

    pub(super) fn is_limited(&self, way: Way) -> bool {
        self.limits[way as usize].is_limited()
    }

    /// The session `key` of a client that spoke in datagrams has ended.
    pub(super) fn forget(&mut self, client: SocketAddr, key: usize) {
        if let Accepting::Datagrams(_, clients) = &mut self.socket
            && clients.get(&client) == Some(&key)
        {
            clients.remove(&client);
        }
    }
}

impl Engine {
    /// Takes a new plan into force. `mine`: the listeners that this worker owns. Those that stay the same are not
    /// touched, nor are sessions that the plan still allows.
    pub fn configure(&mut self, plan: Arc<Plan>, mine: &[Arc<Listener>], now: Nanos) {
        self.plan = Some(plan);
        let old: Vec<usize> = self.listeners.iter().map(|(key, _)| key).collect();
        let mut kept = Vec::new();
        for key in old {
            let listening = &mut self.listeners[key];
            let name = listening.plan.connector.name.clone();
            match mine.iter().find(|listener| listener.connector.name == name) {
                Some(new) if new.leads_as(&listening.plan) => {
                    listening.limits.iter_mut().for_each(|limit| limit.set_mbps(new.connector.max_mbps));
                    listening.plan = new.clone();
                    kept.push(name);
                }
                _ => self.remove_listener(key, now),
            }
        }
        for listener in mine.iter().filter(|listener| !kept.contains(&listener.connector.name)) {
            let Listener { connector, .. } = &**listener;
            let name: Arc<str> = connector.name.as_str().into();
            self.listeners.insert(Listening {
                tally: self.book.tally(Side::Connector, &name),
                limits: [Limiter::new(connector.max_mbps), Limiter::new(connector.max_mbps)],
                held_up: false,
                socket: Accepting::Nothing,
                service: connector.service.to_string().into(),
                name,
                plan: listener.clone(),
            });
        }
        self.listen_again(now);
        self.end_forbidden(now);
    }

    /// Ends sessions that the plan in force does not allow any more.
    fn end_forbidden(&mut self, now: Nanos) {
        // Data connections go with the control channel that they belong to.
        let forbidden = self.keys(|session| {
            session.parent.is_none()
                && match session.listener {
                    Some(listener) => {
                        let connector = &self.listeners[listener].plan.connector;
                        !connector.allows(session.info.client.ip())
                    }
                    None => !self.is_granted(session),
                }
        });
        for key in forbidden {
            self.lose(key, ResetReason::Ended, None, now);
        }
    }

    fn remove_listener(&mut self, listener: usize, now: Nanos) {
        for key in self.keys(|session| session.listener == Some(listener)) {
            self.lose(key, ResetReason::Ended, None, now);
        }
        // Closing takes a socket out of the poll.
        self.listeners.remove(listener);
    }

    /// Makes the sockets that are missing.
    pub(super) fn listen_again(&mut self, now: Nanos) {
        let mut again = false;
        for (key, listening) in &mut self.listeners {
            if !matches!(listening.socket, Accepting::Nothing) {
                continue;
            }
            let (connector, device) = (&listening.plan.connector, &listening.plan.device);
            let token = Token(LISTENERS + key);
            let made = if connector.protocol.is_over_udp() {
                socket::datagrams(connector.listen, device).and_then(|mut socket| {
                    self.registry.register(&mut socket, token, Interest::READABLE)?;
                    Ok(Accepting::Datagrams(socket, HashMap::new()))
                })
            } else {
                socket::listen(connector.listen, device).and_then(|mut socket| {
                    self.registry.register(&mut socket, token, Interest::READABLE)?;
                    Ok(Accepting::Tcp(socket))
                })
            };
            let error = match made {
                Ok(socket) => {
                    tracing::info!(connector = &*listening.name, listen = %connector.listen, "listening");
                    listening.socket = socket;
                    None
                }
                Err(error) => {
                    again = true;
                    Some(format!("cannot listen at {}: {error}", connector.listen))
                }
            };
            listening.tally.set_error(error);
        }
        if again && !std::mem::replace(&mut self.listening_again, true) {
            self.timers.set(now + LISTEN_AGAIN, Timer::Listen);
        }
    }

    /// Clients are accepted again.
    pub(super) fn accept_again(&mut self, listener: usize) {
        if let Some(listening) = self.listeners.get_mut(listener) {
            listening.held_up = false;
            self.ready.push(Ready::Listener(listener));
        }
    }

    /// Lets those sessions of a listener go on that wait for their share of its rate.
    pub(super) fn release(&mut self, listener: usize, way: Way, now: Nanos) {
        let Some(listening) = self.listeners.get_mut(listener) else { return };
        for waiter in listening.limit(way).release(now) {
            if let Some(session) = handle::find(&mut self.sessions, waiter) {
                super::queue(&mut self.ready, session, waiter.key);
            }
        }
    }

    /// Takes the clients that wait at a listener.
    pub(super) fn accept(&mut self, listener: usize, now: Nanos) {
        match self.listeners.get(listener).map(|listening| &listening.socket) {
            Some(Accepting::Tcp(_)) => self.accept_streams(listener, now),
            Some(Accepting::Datagrams(..)) => self.accept_datagrams(listener, now),
            Some(Accepting::Nothing) | None => {}
        }
    }

    fn accept_streams(&mut self, listener: usize, now: Nanos) {
        for _ in 0..ACCEPTED_A_TURN {
            let Listening { socket: Accepting::Tcp(socket), .. } = &self.listeners[listener] else { return };
            match socket.accept() {
                Ok((stream, client)) => self.accept_stream(listener, stream, client, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // No descriptor left, most likely: the client waits in the queue.
                    let listening = &mut self.listeners[listener];
                    if !std::mem::replace(&mut listening.held_up, true) {
                        tracing::warn!(%error, connector = &*listening.name, "cannot accept a client");
                        listening.tally.refuse(Refusal::NoSocket);
                        self.timers.set(now + NO_DESCRIPTOR, Timer::Accept(listener));
                    }
                    return;
                }
            }
        }
        self.ready.push(Ready::Listener(listener));
    }

    fn accept_stream(&mut self, listener: usize, stream: TcpStream, client: SocketAddr, now: Nanos) {
        // Whatever goes wrong, the client is told by a reset.
        let local = stream.local_addr().ok();
        let tuned = socket::tune(&stream);
        let mut tcp = TcpEnd::new(stream);
        if tuned.is_err() {
            // The client has left already.
            return tcp.abort();
        }
        let token = Token(SESSIONS + self.sessions.vacant_key());
        let both = Interest::READABLE | Interest::WRITABLE;
        if self.registry.register(&mut tcp.socket, token, both).is_err() {
            return tcp.abort();
        }
        if let Err((refusal, LocalEnd::Tcp(tcp))) =
            self.begin(listener, client, local, LocalEnd::Tcp(tcp), now)
        {
            tcp.abort();
            self.refuse(listener, client, refusal);
        }
    }

    pub(super) fn refuse(&mut self, listener: usize, client: SocketAddr, refusal: Refusal) {
        let listening = &self.listeners[listener];
        listening.tally.refuse(refusal);
        tracing::debug!(connector = &*listening.name, %client, reason = refusal.name(), "client refused");
    }

    /// Begins a session for a client: asks the peer for the connector's service. The session has the place that is
    /// vacant now.
    pub(super) fn begin(
        &mut self,
        listener: usize,
        client: SocketAddr,
        local: Option<SocketAddr>,
        end: LocalEnd,
        now: Nanos,
    ) -> Result<usize, (Refusal, LocalEnd)> {
        let listening = &self.listeners[listener];
        let plan = listening.plan.clone();
        let connector = &plan.connector;
        if !connector.allows(client.ip()) {
            return Err((Refusal::NotAllowed, end));
        }
        let Some(link) = self.links.best(connector.peer.as_str(), now) else {
            return Err((Refusal::PeerDown, end));
        };
        let begin = Begin {
            worker: self.worker,
            side: Side::Connector,
            connector: Some(listening.name.clone()),
            peer: connector.peer.as_str().into(),
            service: listening.service.clone(),
            protocol: connector.protocol,
            client,
            now,
        };
        let tally = listening.tally.clone();
        let Some(info) = self.book.begin(begin, &tally) else { return Err((Refusal::TooManySessions, end)) };
        let open = StreamOpen {
            protocol: to_stream(connector.protocol),
            client: Some(client),
            listener: Some(local.unwrap_or(connector.listen)),
            target: match &connector.service {
                ServiceRef::Named(name) => StreamTarget::Service(name.as_str()),
                ServiceRef::Target(target) => StreamTarget::Host { host: &target.host, port: target.port },
            },
        };
        let key = self.sessions.vacant_key();
        let Some(stream) = self.links.with(link, |streams| streams.open(&open, key, now)).flatten() else {
            self.book.end(&info, &tally);
            return Err((Refusal::PeerDown, end));
        };
        tracing::debug!(
            session = info.id,
            connector = &*listening.name,
            %client,
            peer = connector.peer.as_str(),
            service = &*listening.service,
            "session begins"
        );
        let control = (connector.protocol == Layer4Protocol::Ftp).then(|| Box::new(Control::near(client)));
        let session = Session::new(link, stream, info, tally, plan.device.clone(), end);
        self.sessions.insert(Session { listener: Some(listener), control, queued: true, ..session });
        self.ready.push(Ready::Session(key));
        Ok(key)
    }
}
