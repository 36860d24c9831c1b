//! The handshake thread: TLS public-key work, away from the packets.
//!
//! Accepts and dials, verifies, and hands complete connections to tunnel workers. Bounded in
//! handshakes at once, per source and in time.

mod pending;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gridway_config::Peer;
use gridway_forwarding::PeerId;
use gridway_tunnel::{
    ConnectionId, Established, Handshake, PeerIdentity, RecordBuffer, Session, SessionOptions,
};
use gridway_wire::frame::{Close, CloseReason, ConnectionKind};
use gridway_wire::time::Nanos;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::dialler::{Attempt, Dialler, connections};
use crate::link::Link;
use crate::node::{Control, Node};
use crate::socket;
use crate::worker::connection::NewConnection;
use pending::{Failure, Pending};

/// How long a handshake may take, from the first byte to the last.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a refusal may take to reach the peer.
const FAREWELL: Duration = Duration::from_secs(1);
/// Connections accepted before others have their turn.
const ACCEPTED_A_TURN: usize = 256;
/// Handshakes at once from one /24 (IPv4) or /64 (IPv6).
const PER_SOURCE: usize = 16;

const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
const FIRST: usize = 2;

/// The state of the thread.
pub(crate) struct Handshakes {
    node: Arc<Node>,
    poll: Poll,
    listener: Option<TcpListener>,
    dialler: Dialler,
    pending: HashMap<Token, Pending>,
    sources: HashMap<IpAddr, usize>,
    next_token: usize,
    next_owner: usize,
    limit: usize,
}

impl Handshakes {
    pub(crate) fn new(
        node: Arc<Node>,
        poll: Poll,
        mut listener: Option<TcpListener>,
        waker: Arc<mio::Waker>,
    ) -> io::Result<Self> {
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        let limit = node.config.load().limits.handshakes as usize;
        Ok(Self {
            dialler: Dialler::new(node.clone(), waker),
            node,
            poll,
            listener,
            pending: HashMap::new(),
            sources: HashMap::new(),
            next_token: FIRST,
            next_owner: 0,
            limit,
        })
    }

    /// Runs until the node stops.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !self.node.stopping.load(Ordering::Acquire) {
            let now = self.node.clock.now();
            let timeout = self.next_deadline(now);
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = self.node.clock.now();
            for event in &events {
                match event.token() {
                    LISTENER | WAKER => {}
                    token => self.advance(token, now),
                }
            }
            // Every turn: after an error the rest of the backlog makes no event of its own.
            self.accept(now);
            self.dial(now);
            self.expire(now);
            self.node.handshakes.running.store(self.pending.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn next_deadline(&self, now: Nanos) -> Duration {
        let handshakes = self.pending.values().map(|pending| pending.deadline).min();
        let due = handshakes.into_iter().chain(self.dialler.next_attempt(now)).min();
        due.map_or(Duration::from_secs(1), |due| due.since(now) + Duration::from_millis(1))
            .min(Duration::from_secs(1))
    }

    fn accept(&mut self, now: Nanos) {
        for _ in 0..ACCEPTED_A_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, address)) => self.begin_accepted(stream, address, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // A connection that was reset in the queue, or no file descriptor left.
                    tracing::debug!(%error, "accept failed");
                    return;
                }
            }
        }
    }

    fn begin_accepted(&mut self, stream: TcpStream, address: SocketAddr, now: Nanos) {
        let source = source_of(address.ip());
        let of_source = self.sources.get(&source).copied().unwrap_or(0);
        if self.pending.len() >= self.limit || of_source >= PER_SOURCE {
            // Closing is the cheapest answer.
            self.node.handshakes.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match Handshake::accept(&self.node.credentials.load()) {
            Ok(handshake) => {
                *self.sources.entry(source).or_default() += 1;
                self.begin(stream, address, handshake, None, now);
            }
            Err(error) => tracing::error!(%error, "cannot accept"),
        }
    }

    fn dial(&mut self, now: Nanos) {
        while let Some(attempt) = self.dialler.poll(now) {
            let dns_name = format!("{}.{}", attempt.place.peer, self.node.config.load().node.domain);
            let device = self.node.config.load().management.interface.as_str().to_owned();
            let begun = Handshake::dial(&self.node.credentials.load(), &dns_name)
                .map_err(Failure::from)
                .and_then(|handshake| Ok((handshake, socket::connect(attempt.address, &device)?)));
            match begun {
                Ok((handshake, stream)) => {
                    let address = attempt.address;
                    self.begin(stream, address, handshake, Some(attempt), now);
                }
                Err(failure) => {
                    let (peer, at) = (&attempt.place.peer, attempt.address.to_string());
                    self.node.book.refused((peer, Some(&at)), &failure.to_string(), now);
                    self.dialler.failed(&attempt, now);
                }
            }
        }
    }

    fn begin(
        &mut self,
        mut stream: TcpStream,
        address: SocketAddr,
        handshake: Handshake,
        attempt: Option<Attempt>,
        now: Nanos,
    ) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, token, interest);
        let patience = if attempt.is_some() { crate::dialler::PATIENCE } else { PATIENCE };
        let pending = Pending {
            stream,
            address,
            handshake: Some(handshake),
            established: None,
            attempt,
            output: Vec::new(),
            deadline: now + patience,
            leaving: false,
        };
        self.pending.insert(token, pending);
        match registered {
            Ok(()) => self.advance(token, now),
            Err(error) => self.fail(token, &error.into(), now),
        }
    }

    /// Does what can be done for one handshake now.
    fn advance(&mut self, token: Token, now: Nanos) {
        let Some(pending) = self.pending.get_mut(&token) else { return };
        // Strangers reach this code before anything is known of them: should a library panic over what
        // they sent, it costs them their connection and not everybody the node.
        let outcome = catch_unwind(AssertUnwindSafe(|| pending.advance())).unwrap_or(Err(Failure::Panic));
        match outcome {
            Ok(false) => {}
            Ok(true) if pending.leaving => self.remove(token),
            Ok(true) => self.complete(token, now),
            Err(failure) => self.fail(token, &failure, now),
        }
    }

    /// The handshake is complete and all of its output is sent.
    fn complete(&mut self, token: Token, now: Nanos) {
        let Some(pending) = self.pending.get_mut(&token) else { return };
        let Some(established) = pending.established.take() else { return };
        let expected = pending.attempt.as_ref().map(|attempt| attempt.place.peer.clone());
        let verdict = established
            .identity
            .clone()
            .map_err(|error| (CloseReason::Policy, error.to_string()))
            .and_then(|identity| self.recognise(identity, expected.as_deref()))
            .and_then(|(identity, id, peer)| match self.node.book.admit(peer.name.as_str()) {
                Some(connection) => Ok((identity, (connection, id), peer)),
                None => {
                    Err((CloseReason::Policy, "too many of its connections have not said hello".to_owned()))
                }
            });
        match verdict {
            Ok((identity, ids, peer)) => self.hand_over(token, *established, identity, ids, &peer, now),
            Err((reason, text)) => self.refuse(token, *established, reason, &text, now),
        }
    }

    /// Who the certificate belongs to, if that is a configured peer (and the one that was dialled).
    fn recognise(
        &self,
        identity: PeerIdentity,
        expected: Option<&str>,
    ) -> Result<(PeerIdentity, PeerId, Peer), (CloseReason, String)> {
        let config = self.node.config.load();
        let name = identity.node_in(config.node.domain.as_ref()).map(str::to_owned);
        let Some(name) = name else {
            return Err((CloseReason::UnknownPeer, format!("{} is not of this domain", identity.dns_name)));
        };
        if let Some(expected) = expected
            && expected != name
        {
            return Err((CloseReason::NameMismatch, format!("dialled {expected}, found {name}")));
        }
        match self.node.book.find(&name) {
            Some((id, peer)) => Ok((identity, id, peer)),
            None => Err((CloseReason::UnknownPeer, format!("{name} is not a configured peer"))),
        }
    }

    fn hand_over(
        &mut self,
        token: Token,
        established: Established,
        identity: PeerIdentity,
        (connection, id): (ConnectionId, PeerId),
        peer: &Peer,
        now: Nanos,
    ) {
        let Some(mut pending) = self.pending.remove(&token) else { return };
        self.forget_source(&pending);
        // The worker registers the socket with a poll of its own.
        drop(self.poll.registry().deregister(&mut pending.stream));
        if let Err(error) = socket::tune(&pending.stream) {
            tracing::warn!(%error, "cannot tune a tunnel socket");
        }
        let config = self.node.config.load();
        let place = pending.attempt.as_ref().map(|attempt| &attempt.place);
        let (kind, index) = place.map_or((ConnectionKind::Packets, 0), |place| (place.kind, place.index));
        let options = SessionOptions {
            node: config.node.name.as_str().to_owned(),
            instance: self.node.instance,
            dialled: pending.attempt.is_some(),
            index,
            count: connections(peer, kind).max(index + 1),
            kind,
            data_mtu: self.node.data_mtu(),
            ping_interval: config.tunnel.ping_interval,
            dead_after: config.tunnel.dead_after,
        };
        let owner = match kind {
            ConnectionKind::Packets => self.choose_owner(),
            ConnectionKind::Streams => self.node.streams_owner(id),
        };
        let data_worker = self.choose_data_worker(owner, connection.0);
        let for_packets = config.peers.iter().map(|peer| usize::from(peer.connections)).sum();
        let quota = self.node.pools.quota(for_packets);
        let link = Arc::new(Link::new(connection, id, owner, data_worker, quota));
        if let Some(attempt) = &pending.attempt {
            self.dialler.connected(attempt, link.clone(), now);
        }
        self.node.workers[owner].tell(Control::Adopt(Box::new(NewConnection {
            stream: pending.stream,
            address: pending.address.to_string(),
            peer: peer.name.as_str().to_owned(),
            identity,
            dialled: pending.attempt.is_some(),
            link,
            records: established.records,
            session: Session::new(options, self.node.announced_vnets(), now),
            leftover: established.leftover,
        })));
    }

    fn choose_owner(&mut self) -> usize {
        let owners: Vec<usize> =
            (0..self.node.workers.len()).filter(|index| self.node.workers[*index].has_tunnels).collect();
        self.next_owner = (self.next_owner + 1) % owners.len();
        owners[self.next_owner]
    }

    /// The worker itself if it has queues, so that nothing crosses threads.
    fn choose_data_worker(&self, owner: usize, connection: u64) -> usize {
        if self.node.workers[owner].has_queues {
            return owner;
        }
        let with_queues: Vec<usize> =
            (0..self.node.workers.len()).filter(|index| self.node.workers[*index].has_queues).collect();
        with_queues.get(connection as usize % with_queues.len().max(1)).copied().unwrap_or(owner)
    }

    /// The chain is good, the peer is not: tell it in words, then close.
    fn refuse(
        &mut self,
        token: Token,
        mut established: Established,
        reason: CloseReason,
        text: &str,
        now: Nanos,
    ) {
        let Some(pending) = self.pending.get_mut(&token) else { return };
        let who = match &established.identity {
            Ok(identity) => identity.dns_name.clone(),
            Err(_) => pending.address.ip().to_string(),
        };
        let mut record = RecordBuffer::new();
        let written = record.push_frames(|writer| writer.close(&Close { reason, text }));
        if written.is_ok() && established.records.seal(&mut record).is_ok() {
            pending.output.extend_from_slice(record.sealed());
        }
        if established.records.close_notify(&mut record).is_ok() {
            pending.output.extend_from_slice(record.sealed());
        }
        (pending.leaving, pending.deadline) = (true, now + FAREWELL);
        let (at, dialled) =
            (pending.place(), pending.attempt.as_ref().map(|attempt| attempt.place.peer.clone()));
        let domain = self.node.config.load().node.domain.as_str().to_owned();
        let name = dialled.unwrap_or_else(|| {
            who.strip_suffix(&domain).and_then(|name| name.strip_suffix('.')).unwrap_or(&who).to_owned()
        });
        self.note_refusal(&name, &at, text, now);
        self.advance(token, now);
    }

    fn fail(&mut self, token: Token, failure: &Failure, now: Nanos) {
        let Some(pending) = self.pending.get_mut(&token) else { return };
        if pending.leaving {
            return self.remove(token);
        }
        let domain = self.node.config.load().node.domain.as_str().to_owned();
        let claimed = pending.handshake.as_ref().map(Handshake::claimed_names).unwrap_or_default();
        let name = match (&pending.attempt, &claimed[..]) {
            (Some(attempt), _) => attempt.place.peer.clone(),
            (None, [name]) => {
                name.strip_suffix(&domain).and_then(|name| name.strip_suffix('.')).unwrap_or(name).to_owned()
            }
            (None, _) => pending.address.ip().to_string(),
        };
        let (at, leaving) = (pending.place(), matches!(failure, Failure::Handshake(_)));
        if leaving {
            // The alert that says why.
            if let Some(mut handshake) = pending.handshake.take() {
                pending.output.append(handshake.output());
            }
            (pending.leaving, pending.deadline) = (true, now + FAREWELL);
        }
        self.note_refusal(&name, &at, &failure.to_string(), now);
        if leaving {
            self.advance(token, now);
        } else {
            self.remove(token);
        }
    }

    fn note_refusal(&self, name: &str, at: &str, reason: &str, now: Nanos) {
        self.node.handshakes.refused.fetch_add(1, Ordering::Relaxed);
        self.node.book.refused((name, Some(at)), reason, now);
    }

    fn expire(&mut self, now: Nanos) {
        let late: Vec<Token> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.deadline <= now)
            .map(|(token, _)| *token)
            .collect();
        late.into_iter().for_each(|token| self.fail(token, &Failure::TimedOut, now));
    }

    fn remove(&mut self, token: Token) {
        if let Some(mut pending) = self.pending.remove(&token) {
            drop(self.poll.registry().deregister(&mut pending.stream));
            self.forget_source(&pending);
            if let Some(attempt) = &pending.attempt {
                self.dialler.failed(attempt, self.node.clock.now());
            }
        }
    }

    fn forget_source(&mut self, pending: &Pending) {
        if pending.attempt.is_some() {
            return;
        }
        let source = source_of(pending.address.ip());
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

/// The network that counts as one source.
fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}
