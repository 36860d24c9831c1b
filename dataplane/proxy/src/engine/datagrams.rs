//! UDP and TFTP: datagrams travel in a stream, each behind its length (`u16`).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gridway_config::Layer4Protocol;
use gridway_wire::frame::{ResetReason, StreamId};
use gridway_wire::time::Nanos;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::accept::{Accepting, Listening};
use super::session::{LocalEnd, Session};
use super::timers::Timer;
use super::{Engine, Ready};
use crate::Refusal;
use crate::engine::backlog::Backlog;
use crate::engine::book::Way;
use crate::engine::socket;
use crate::tftp::{self, Transfer};

/// Datagrams taken from a socket before others have their turn.
const TAKEN_A_TURN: usize = 128;
/// Bytes of datagrams that may wait for the tunnel, a session; what comes then is lost, as it is where a link is full.
const WAITING: usize = 256 * 1024;
const LENGTH_LEN: usize = size_of::<u16>();

/// A client or a target that speaks in datagrams.
pub(super) struct Datagrams {
    end: Endpoint,
    /// The beginning of a datagram whose rest has not come.
    partial: Vec<u8>,
    idle: Duration,
}

enum Endpoint {
    /// Reached by the socket of its listener.
    Client(SocketAddr),
    Target {
        socket: UdpSocket,
        /// Where requests go.
        address: SocketAddr,
        /// Of TFTP: the server answers from another port.
        transfer: Option<Transfer>,
        readable: bool,
    },
}

impl Datagrams {
    /// A client of a listener, whose session ends after being idle for so long.
    pub(super) fn of_client(client: SocketAddr, idle: Duration) -> Self {
        Self { end: Endpoint::Client(client), partial: Vec::new(), idle }
    }

    /// A target.
    pub(super) fn to_target(
        address: SocketAddr,
        device: &str,
        protocol: Layer4Protocol,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
        };
        let mut socket = socket::datagrams(any, device)?;
        let transfer = (protocol == Layer4Protocol::Tftp).then(|| Transfer::new(address.ip()));
        if transfer.is_none() {
            socket.connect(address)?;
        }
        registry.register(&mut socket, token, Interest::READABLE)?;
        let end = Endpoint::Target { socket, address, transfer, readable: false };
        // The client's side ends what is idle.
        Ok(Self { end, partial: Vec::new(), idle: Duration::MAX })
    }

    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    pub(super) fn set_ready(&mut self) {
        if let Endpoint::Target { readable, .. } = &mut self.end {
            *readable = true;
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        if let Endpoint::Target { socket, .. } = &mut self.end {
            drop(registry.deregister(socket));
        }
    }

    /// Receives one datagram of a target; `None`: it was a stranger's.
    fn receive(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let Endpoint::Target { socket, transfer, .. } = &mut self.end else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let Some(transfer) = transfer else { return socket.recv(room).map(Some) };
        let (count, from) = socket.recv_from(room)?;
        Ok(transfer.accepts(from).then_some(count))
    }

    fn send(&self, datagram: &[u8], listening: Option<&Listening>) -> io::Result<usize> {
        match (&self.end, listening.map(|listening| &listening.socket)) {
            (Endpoint::Client(client), Some(Accepting::Datagrams(socket, _))) => {
                socket.send_to(datagram, *client)
            }
            (Endpoint::Client(_), _) => Err(io::ErrorKind::NotConnected.into()),
            (Endpoint::Target { socket, address, transfer: Some(transfer), .. }, _) => {
                socket.send_to(datagram, transfer.server().unwrap_or(*address))
            }
            (Endpoint::Target { socket, .. }, _) => socket.send(datagram),
        }
    }
}

/// Frames a datagram for the tunnel. False: there is no room for it.
fn frame(to_tunnel: &mut Backlog, datagram: &[u8]) -> bool {
    let Ok(length) = u16::try_from(datagram.len()) else { return false };
    if to_tunnel.len() + LENGTH_LEN + datagram.len() > WAITING {
        return false;
    }
    to_tunnel.push(&length.to_be_bytes());
    to_tunnel.push(datagram);
    true
}

impl Engine {
    /// Takes the datagrams that wait at a listener.
    pub(super) fn accept_datagrams(&mut self, listener: usize, now: Nanos) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for taken in 1.. {
            let Listening { socket: Accepting::Datagrams(socket, _), .. } = &self.listeners[listener] else {
                break;
            };
            match socket.recv_from(&mut scratch) {
                Ok((count, client)) => self.accept_datagram(listener, client, &scratch[..count], now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error that belongs to a client of before.
                Err(_) => {}
            }
            if taken == TAKEN_A_TURN {
                self.ready.push(Ready::Listener(listener));
                break;
            }
        }
        self.scratch = scratch;
    }

    fn accept_datagram(&mut self, listener: usize, client: SocketAddr, datagram: &[u8], now: Nanos) {
        let Listening { socket: Accepting::Datagrams(_, clients), plan, .. } = &self.listeners[listener]
        else {
            return;
        };
        let (protocol, idle) = (plan.connector.protocol, plan.connector.idle);
        let known = clients.get(&client).copied();
        // A request begins a transfer of its own, with a port of its own at the server.
        let begins = protocol == Layer4Protocol::Tftp && tftp::is_request(datagram).is_some();
        let key = match known.filter(|_| !begins) {
            Some(key) => key,
            None => {
                if let Some(key) = known {
                    self.lose(key, ResetReason::Ended, None, now);
                }
                if protocol == Layer4Protocol::Tftp && !begins {
                    return self.listeners[listener].tally.lose();
                }
                let end = LocalEnd::Datagrams(Box::new(Datagrams::of_client(client, idle)));
                let key = match self.begin(listener, client, None, end, now) {
                    Ok(key) => key,
                    Err((refusal, _)) => return self.refuse(listener, client, refusal),
                };
                if let Accepting::Datagrams(_, clients) = &mut self.listeners[listener].socket {
                    clients.insert(client, key);
                }
                let session = &mut self.sessions[key];
                session.deadline = Some(now + idle);
                self.timers.set(now + idle, Timer::Deadline(session.handle(key)));
                key
            }
        };
        let Session { to_tunnel, info, tally, link, stream, .. } = &mut self.sessions[key];
        if !frame(to_tunnel, datagram) {
            return tally.lose();
        }
        info.count(Way::FromClient, datagram.len(), now);
        self.links.with(*link, |streams| streams.wants_to_send(*stream));
    }

    /// Takes apart what has come for a client or a target, and sends it.
    pub(super) fn deliver_datagrams(&mut self, key: usize, stream: StreamId, bytes: &[u8], now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (way, waiter) = (session.way_out(), session.handle(key));
        let Session { end: LocalEnd::Datagrams(datagrams), info, tally, listener, link, .. } = session else {
            return;
        };
        datagrams.partial.extend_from_slice(bytes);
        let mut at = 0;
        let mut failed = None;
        while let Some((length, rest)) = datagrams.partial[at..].split_first_chunk::<LENGTH_LEN>()
            && let Some(datagram) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            at += LENGTH_LEN + datagram.len();
            if let Some(key) = *listener {
                let limit = self.listeners[key].limit(way);
                // Nobody waits with datagrams: beyond the rate they are lost.
                if limit.share(waiter, now) == 0 {
                    tally.lose();
                    continue;
                }
                limit.spend(datagram.len(), now);
            }
            let listening = listener.map(|key| &self.listeners[key]);
            match datagrams.send(datagram, listening) {
                Ok(_) => info.count(way, datagram.len(), now),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => failed = Some(error),
                Err(_) => tally.lose(),
            }
        }
        datagrams.partial.drain(..at);
        if datagrams.partial.is_empty() {
            datagrams.partial = Vec::new();
        }
        self.links.with(*link, |streams| streams.taken(stream, bytes.len()));
        if let Some(error) = failed {
            self.lose_target(key, &error, now);
        }
    }

    /// Takes what a target has sent.
    pub(super) fn advance_datagrams(&mut self, key: usize, now: Nanos) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.receive_datagrams(key, &mut scratch, now);
        self.scratch = scratch;
        if let Err(error) = outcome {
            self.lose_target(key, &error, now);
        }
    }

    fn receive_datagrams(&mut self, key: usize, scratch: &mut [u8], now: Nanos) -> io::Result<()> {
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let way = session.way_in();
        let Session { end: LocalEnd::Datagrams(datagrams), to_tunnel, info, tally, .. } = session else {
            return Ok(());
        };
        let mut taken = 0;
        while let Endpoint::Target { readable: true, .. } = &datagrams.end
            && taken < TAKEN_A_TURN
        {
            taken += 1;
            match datagrams.receive(scratch) {
                Ok(Some(count)) if frame(to_tunnel, &scratch[..count]) => info.count(way, count, now),
                Ok(_) => tally.lose(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Endpoint::Target { readable, .. } = &mut datagrams.end {
                        *readable = false;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if taken == TAKEN_A_TURN {
            super::queue(&mut self.ready, session, key);
        }
        if session.remote_finished {
            self.lose(key, ResetReason::Ended, None, now);
            return Ok(());
        }
        if !session.to_tunnel.is_empty() {
            self.links.with(session.link, |streams| streams.wants_to_send(session.stream));
        }
        Ok(())
    }

    /// The target's host says that nothing listens there. That counts as a refusal, though the session had begun.
    fn lose_target(&mut self, key: usize, error: &io::Error, now: Nanos) {
        if let Some(session) = self.sessions.get(key) {
            let refusal = Refusal::of(error);
            session.tally.refuse(refusal);
            self.lose(key, refusal.reset(), None, now);
        }
    }
}
