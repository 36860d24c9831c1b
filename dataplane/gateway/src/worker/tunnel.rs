//! The tunnel role of a worker: the connections it owns.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use gridway_control::Severity;
use gridway_forwarding::{Counters, DropReason};
use gridway_proxy::Engine;
use gridway_tunnel::arbiter::Claim;
use gridway_tunnel::{Closed, ConnectionId, Contents, Event, PeerHello, RecordBuffer, Verdict};
use gridway_wire::frame::{CloseReason, ConnectionKind, VnetId};
use gridway_wire::time::Nanos;
use mio::{Interest, Registry, Token};

use super::connection::{Connection, Deliver, Departed, End, NewConnection};
use super::survey::Surveyed;
use crate::doors::NodeDoors;
use crate::link::Link;
use crate::node::{Control, Node};
use crate::socket;

/// Tokens of connections lie above those of queues and the waker.
const FIRST_TOKEN: usize = 1 << 16;

/// The connections of one worker.
pub(crate) struct TunnelRole {
    node: Arc<Node>,
    worker: usize,
    counters: Arc<Counters>,
    registry: Registry,
    connections: HashMap<ConnectionId, Connection>,
    /// Connections with something to write or to find out by writing.
    dirty: Vec<ConnectionId>,
    /// Connections with something to read.
    readable: Vec<ConnectionId>,
    next_timeout: Nanos,
    /// What goes on in the connections for streams.
    proxy: Engine,
}

impl TunnelRole {
    pub(crate) fn new(node: Arc<Node>, worker: usize, registry: &Registry) -> io::Result<Self> {
        let counters = node.workers[worker].counters.clone();
        let shared = node.clone();
        let wake = Arc::new(move || shared.workers[worker].wake());
        let doors = Arc::new(NodeDoors(node.clone()));
        let mut proxy = Engine::new(worker, registry.try_clone()?, node.sessions.clone(), wake, doors);
        let (plan, mine) = node.plan_of(worker);
        proxy.configure(plan, &mine, node.clock.now());
        Ok(Self {
            node,
            worker,
            counters,
            registry: registry.try_clone()?,
            connections: HashMap::new(),
            dirty: Vec::new(),
            readable: Vec::new(),
            next_timeout: Nanos(u64::MAX),
            proxy,
        })
    }

    /// Takes a connection over from the handshake thread.
    pub(crate) fn adopt(&mut self, new: NewConnection, now: Nanos) {
        self.take_over(Connection::new(new), now);
    }

    /// Takes a connection over: its socket is not polled yet.
    fn take_over(&mut self, mut connection: Connection, now: Nanos) {
        let id = connection.link.id;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(&mut connection.stream, token(id), interest) {
            tracing::error!(%error, peer = connection.peer, "cannot poll a tunnel socket");
            let (peer, kind) = (&connection.peer, connection.session.kind());
            let why = (Severity::Error, &*error.to_string());
            self.node.book.ended((peer, kind), &connection.link, why, now);
            return;
        }
        self.next_timeout = self.next_timeout.min(connection.session.next_timeout());
        // A reload may have come between the handshake and this moment.
        connection.session.announce(self.node.announced_vnets());
        self.readable.push(id);
        self.dirty.push(id);
        self.connections.insert(id, connection);
    }

    /// All streams of a peer belong to one worker, so that nothing of a session crosses threads.
    fn settle(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else { return };
        let owner = self.node.streams_owner(connection.link.peer);
        if owner == self.worker {
            if let Err(error) = socket::tune_for_streams(&connection.stream) {
                tracing::warn!(%error, "cannot tune a tunnel socket");
            }
            self.proxy.attach(id, &connection.peer, connection.dialled);
        } else if let Some(mut connection) = self.connections.remove(&id) {
            drop(self.registry.deregister(&mut connection.stream));
            self.node.workers[owner].tell(Control::Settle(Box::new(connection)));
        }
    }

    /// Takes over a connection for streams that another worker had until the peer said so.
    pub(crate) fn settle_here(&mut self, connection: Connection, now: Nanos) {
        let (id, peer, kind) = (connection.link.id, connection.peer.clone(), connection.session.kind());
        self.take_over(connection, now);
        // It may have lost its place, or its peer its table, while it was on its way.
        if self.node.book.find(&peer).is_some() && self.node.book.has(&peer, kind, id) {
            self.settle(id);
        } else {
            self.close(&[id], CloseReason::Duplicate, "a newer connection took this place", now);
        }
    }

    /// Lets sessions go on whose sockets are ready or whose time has come. Returns whether there was anything to do.
    pub(crate) fn work(&mut self, now: Nanos) -> bool {
        let worked = self.proxy.work(now);
        let Self { proxy, connections, dirty, .. } = self;
        proxy.pending(|id| {
            if let Some(connection) = connections.get_mut(&id) {
                mark_dirty(dirty, connection);
            }
        });
        worked
    }

    /// Whether there is something to do before anything new has come.
    pub(crate) fn has_more(&self) -> bool {
        !self.dirty.is_empty() || self.proxy.has_more()
    }

    /// The sessions of Layer 4.
    pub(crate) fn proxy(&mut self) -> &mut Engine {
        &mut self.proxy
    }

    /// Notes what the poll says of a connection or of a session's socket.
    pub(crate) fn set_ready(&mut self, event: &mio::event::Event) {
        if Engine::owns(event.token()) {
            return self.proxy.set_ready(event);
        }
        if let Some(id) = connection_of(event.token())
            && let Some(connection) = self.connections.get_mut(&id)
        {
            if connection.set_ready(event) {
                self.readable.push(id);
            }
            mark_dirty(&mut self.dirty, connection);
        }
    }

    /// Takes a record for one of the connections.
    pub(crate) fn enqueue(&mut self, link: &Link, record: RecordBuffer) {
        match self.connections.get_mut(&link.id) {
            Some(connection) => {
                connection.enqueue(record, &self.node.pools);
                mark_dirty(&mut self.dirty, connection);
            }
            None => {
                // The connection ended while the record was on its way.
                count_lost(&self.counters, record.contents(), DropReason::ConnectionLost);
                link.release(record.passes);
                self.node.pools.give_record(record);
            }
        }
    }

    /// Writes to every connection that has something to send.
    pub(crate) fn flush(&mut self, now: Nanos) {
        if self.dirty.is_empty() {
            return;
        }
        let (mut ended, mut still_dirty) = (Vec::new(), Vec::new());
        for id in self.dirty.drain(..) {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.dirty = false;
            let mut departed = Departed::default();
            let flushed = connection.flush(now, &self.node.pools, Some(&mut self.proxy), &mut departed);
            count_departed(&self.counters, &connection.link, departed);
            match flushed {
                // Frames that found no room in the records it may have of its own, or streams that must wait their turn.
                Ok(()) => {
                    let streams_wait = || connection.carries_streams() && self.proxy.is_pending(id);
                    if connection.is_writable() && (connection.owes() || streams_wait()) {
                        still_dirty.push(id);
                    }
                }
                Err(end) => ended.push((connection.link.id, end)),
            }
        }
        for id in still_dirty {
            if let Some(connection) = self.connections.get_mut(&id) {
                mark_dirty(&mut self.dirty, connection);
            }
        }
        self.end_all(ended, now);
    }

    /// Reads from every connection that has something to say. Returns whether there was, or still is,
    /// something to read.
    pub(crate) fn read(&mut self, now: Nanos, deliver: &mut impl Deliver) -> bool {
        let (mut ended, mut events, mut total) = (Vec::new(), Vec::new(), 0);
        let mut still_readable = 0;
        for index in 0..self.readable.len() {
            let id = self.readable[index];
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            match connection.read(now, &self.node.pools, deliver, &mut self.proxy) {
                Ok(count) => total += count,
                Err(end) => ended.push((connection.link.id, end)),
            }
            while let Some(event) = connection.session.poll_event() {
                events.push((connection.link.id, event));
            }
            self.counters.unknown_frames.add(connection.session.take_unknown_frames());
            if connection.owes() {
                mark_dirty(&mut self.dirty, connection);
            }
            if connection.is_readable() {
                self.readable[still_readable] = id;
                still_readable += 1;
            }
        }
        self.readable.truncate(still_readable);
        // What a peer said before it left still counts.
        for (id, event) in events {
            self.handle_event(id, event, now);
        }
        self.end_all(ended, now);
        total > 0 || !self.readable.is_empty()
    }

    fn handle_event(&mut self, id: ConnectionId, event: Event, now: Nanos) {
        match event {
            Event::Hello(hello) => self.handle_hello(id, &hello, now),
            Event::VnetMap(vnets) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.peer_vnets = vnets;
                    set_vnets(&self.node, connection);
                }
            }
            Event::RoundTrip(time) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.round_trips.add(time, now);
                    match connection.session.kind() {
                        ConnectionKind::Packets => self.node.book.round_trip(&connection.peer, time),
                        ConnectionKind::Streams => self.proxy.set_round_trip(id, time),
                    }
                }
            }
        }
    }

    fn handle_hello(&mut self, id: ConnectionId, hello: &PeerHello, now: Nanos) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if hello.node != connection.peer {
            let text = format!("hello says {}, the certificate {}", hello.node, connection.peer);
            return self.close(&[id], CloseReason::NameMismatch, &text, now);
        }
        let own = &self.node.config.load().node.name;
        let dialler_is_smaller = (own.as_str() < connection.peer.as_str()) == connection.dialled;
        let claim =
            Claim { instance: hello.instance, index: hello.index, dialled_by_smaller: dialler_is_smaller };
        let (book, address) = (&self.node.book, &connection.address);
        match book.claim(&connection.peer, hello, claim, address, &connection.link, now) {
            Some(Verdict::Keep { close }) => {
                connection.session.accept();
                connection.up_since = now;
                let (index, streams) = (hello.index, hello.kind == ConnectionKind::Streams);
                let (peer, address) = (&connection.peer, &connection.address);
                tracing::debug!(peer, address, index, streams, "connection up");
                if streams {
                    self.settle(id);
                }
                if !close.is_empty() {
                    self.node.tell_all(|| {
                        let text = "a newer connection took this place".to_owned();
                        Control::Close(close.clone(), CloseReason::Duplicate, text)
                    });
                }
            }
            Some(Verdict::Refuse) => {
                self.close(&[id], CloseReason::Duplicate, "another connection has this place", now);
            }
            None => self.close(&[id], CloseReason::UnknownPeer, "not configured here", now),
        }
    }

    /// Closes those of `ids` that are this worker's, telling the peer why.
    pub(crate) fn close(&mut self, ids: &[ConnectionId], reason: CloseReason, text: &str, now: Nanos) {
        for id in ids {
            if let Some(mut connection) = self.connections.remove(id) {
                connection.session.close(reason, text);
                let why = if text.is_empty() {
                    reason.name().to_owned()
                } else {
                    format!("{}: {text}", reason.name())
                };
                self.bury(connection, (severity(reason), &why), now);
            }
        }
    }

    fn end_all(&mut self, ended: Vec<(ConnectionId, End)>, now: Nanos) {
        for (id, end) in ended {
            let Some(mut connection) = self.connections.remove(&id) else { continue };
            if let End::Session(closed) = &end
                && let Some(notice) = closed.notice()
            {
                connection.session.close(notice, &closed.to_string());
            }
            let severity = match &end {
                End::Session(Closed::ByPeer { reason, .. }) => severity(*reason),
                _ => Severity::Error,
            };
            self.bury(connection, (severity, &end.to_string()), now);
        }
    }

    fn bury(&mut self, mut connection: Connection, (severity, why): (Severity, &str), now: Nanos) {
        let was_up = connection.session.is_up();
        let (peer, kind, link) =
            (connection.peer.clone(), connection.session.kind(), connection.link.clone());
        let (updates_sent, updates_received) = connection.key_updates();
        tracing::debug!(
            peer,
            address = connection.address,
            was_up,
            updates_sent,
            updates_received,
            "connection ended: {why}"
        );
        // The registry forgets a socket that is closed; this only spares it a stale event.
        drop(self.registry.deregister(&mut connection.stream));
        link.mark_closed();
        let mut departed = Departed::default();
        let lost = connection.end(now, &self.node.pools, &mut departed);
        count_departed(&self.counters, &link, departed);
        count_lost(&self.counters, lost, DropReason::ConnectionLost);
        self.node.book.ended((&peer, kind), &link, (severity, why), now);
        if kind == ConnectionKind::Streams {
            self.proxy.detach(link.id, now);
        }
    }

    /// Keeps time for the tunnel's sessions.
    pub(crate) fn handle_timeouts(&mut self, now: Nanos) {
        if now < self.next_timeout {
            return;
        }
        let mut ended = Vec::new();
        self.next_timeout = Nanos(u64::MAX);
        for connection in self.connections.values_mut() {
            match connection.session.handle_timeout(now) {
                Ok(()) => {
                    if connection.owes() {
                        mark_dirty(&mut self.dirty, connection);
                    }
                    self.next_timeout = self.next_timeout.min(connection.session.next_timeout());
                }
                Err(closed) => ended.push((connection.link.id, End::Session(closed))),
            }
        }
        self.end_all(ended, now);
    }

    /// When [`Self::handle_timeouts`] has something to do.
    pub(crate) fn next_timeout(&self) -> Nanos {
        self.next_timeout.min(self.proxy.next_timeout())
    }

    /// Announces vnets anew, and resolves those of the peers by today's configuration.
    pub(crate) fn announce(&mut self, vnets: &[(VnetId, String)]) {
        for connection in self.connections.values_mut() {
            connection.session.announce(vnets.to_vec());
            mark_dirty(&mut self.dirty, connection);
            set_vnets(&self.node, connection);
        }
    }

    /// Closes connections whose certificate is no longer good.
    pub(crate) fn rejudge(&mut self, now: Nanos) {
        let credentials = self.node.credentials.load();
        let wall = SystemTime::now();
        let rejected: Vec<_> = self
            .connections
            .values()
            .filter_map(|connection| {
                Some((connection.link.id, credentials.rejects(&connection.identity, wall)?))
            })
            .collect();
        for (id, why) in rejected {
            let reason = if why.ends_with("revoked") { CloseReason::Revoked } else { CloseReason::Expired };
            self.close(&[id], reason, why, now);
        }
    }

    /// Closes connections on which no stream is left and no other can be opened: the dialler makes new ones.
    pub(crate) fn replace_worn(&mut self, now: Nanos) {
        let worn = self.proxy.worn();
        self.close(&worn, CloseReason::None, "all stream numbers are used up", now);
    }

    /// Tells of the connections that are up.
    pub(crate) fn survey(&self, now: Nanos) -> Vec<Surveyed> {
        let up = self.connections.values().filter(|connection| connection.session.is_up());
        up.map(|connection| connection.survey(self.worker, now)).collect()
    }

    /// Takes a new configuration into force.
    pub(crate) fn reconfigure(&mut self, now: Nanos) {
        let (plan, mine) = self.node.plan_of(self.worker);
        self.proxy.configure(plan, &mine, now);
        self.drop_unconfigured(now);
    }

    /// Closes connections to peers that are not configured any more.
    fn drop_unconfigured(&mut self, now: Nanos) {
        let config = self.node.config.load_full();
        let gone: Vec<_> = self
            .connections
            .values()
            .filter(|connection| {
                let Some((_, peer)) = self.node.book.find(&connection.peer) else { return true };
                // Whoever dialled for streams ends what has none any more.
                let for_streams = connection.dialled && connection.session.kind() == ConnectionKind::Streams;
                for_streams && !config.streams_with(&peer.name)
            })
            .map(|connection| connection.link.id)
            .collect();
        self.close(&gone, CloseReason::Policy, "no longer configured", now);
    }

    /// Tells every peer that the node stops, and closes all connections.
    pub(crate) fn stop(&mut self, now: Nanos) {
        let all: Vec<_> = self.connections.keys().copied().collect();
        self.close(&all, CloseReason::ShuttingDown, "", now);
    }
}

/// How bad it is that a tunnel ends because one of its nodes wants it to.
fn severity(reason: CloseReason) -> Severity {
    match reason {
        CloseReason::None | CloseReason::ShuttingDown | CloseReason::Duplicate | CloseReason::Policy => {
            Severity::Warning
        }
        _ => Severity::Error,
    }
}

/// Counts packets that will not leave.
fn count_lost(counters: &Counters, lost: Contents, reason: DropReason) {
    for (books, packets) in [(&counters.outbound, lost.local), (&counters.inbound, lost.relayed)] {
        books.dequeued.add(packets);
        books.drop(reason, packets);
    }
}

/// Counts packets that left with whole records, and those that waited too long.
fn count_departed(counters: &Counters, link: &Link, Departed { written, expired }: Departed) {
    count_lost(counters, expired, DropReason::QueueFull);
    let (outbound, inbound, traffic) = (&counters.outbound, &counters.inbound, &link.traffic);
    outbound.forwarded.add(written.local);
    outbound.forwarded_bytes.add(written.local_bytes);
    outbound.dequeued.add(written.local);
    inbound.relayed.add(written.relayed);
    inbound.relayed_bytes.add(written.relayed_bytes);
    inbound.dequeued.add(written.relayed);
    traffic.tx_packets.add(written.packets());
    traffic.tx_bytes.add(written.bytes());
}

/// Makes packets that the peer sends in its vnets packets of ours, by name.
fn set_vnets(node: &Node, connection: &Connection) {
    let known =
        connection.peer_vnets.iter().filter_map(|(theirs, name)| Some((*theirs, node.vnet_named(name)?)));
    connection.link.set_vnets(known.collect());
}

fn mark_dirty(dirty: &mut Vec<ConnectionId>, connection: &mut Connection) {
    if !connection.dirty {
        connection.dirty = true;
        dirty.push(connection.link.id);
    }
}

fn token(id: ConnectionId) -> Token {
    Token(FIRST_TOKEN + usize::try_from(id.0).unwrap_or(usize::MAX - FIRST_TOKEN))
}

fn connection_of(token: Token) -> Option<ConnectionId> {
    token.0.checked_sub(FIRST_TOKEN).map(|id| ConnectionId(id as u64))
}
