//! The sessions of one worker: everything of a peer's streams is in one place, so that no session crosses threads.
//!
//! A client's bytes are read from its socket straight into the record that leaves (see [`Engine::fill`]), and those of an
//! opened record are written straight to the socket; only what a socket does not take is kept, as much as the peer has
//! credit for.

mod accept;
mod backlog;
mod book;
mod datagrams;
mod doors;
mod ftp;
mod handle;
mod limiter;
mod links;
mod log_budget;
mod plan;
mod refusal;
mod resolver;
mod session;
pub mod socket;
mod target;
mod timers;
mod transfer;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gridway_tunnel::streams::{Given, Source, StreamError, StreamEvent};
use gridway_tunnel::{ConnectionId, RecordBuffer};
use gridway_wire::frame::{Frame, FrameReader, ResetReason};
use gridway_wire::time::Nanos;
use mio::{Registry, Token};
use slab::Slab;

pub use book::{SessionBook, SessionInfo, SessionState, Side, Tally};
pub use doors::Doors;
use log_budget::LogBudget;
pub use plan::{Listener, Plan};
pub use refusal::Refusal;
pub use resolver::Wake;
pub use target::RANGES;

use accept::Listening;
use doors::Door;
use ftp::DataListener;
use handle::Handle;
use links::Links;
use resolver::Resolver;
use session::{LocalEnd, Session};
use timers::{Timer, Timers};
use transfer::Gathered;

/// Tokens of listeners, data listeners and sessions: far above those of others.
const LISTENERS: usize = 1 << 40;
const DATA_LISTENERS: usize = 1 << 41;
const SESSIONS: usize = 1 << 42;
/// How long a door stays open behind a socket: the kernel may have bytes left, and acknowledgements to receive.
const DOOR_STAYS: Duration = Duration::from_secs(60);
/// Lines about sessions in the log; the rest is logged at a lower level.
const LINES_A_SECOND: u32 = 20;
/// Room for the largest UDP datagram.
const DATAGRAM: usize = 1 << 16;

/// Something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Listener(usize),
    Data(usize),
    Session(usize),
}

/// Layer 4 of one worker.
pub struct Engine {
    worker: usize,
    registry: Registry,
    book: Arc<SessionBook>,
    plan: Option<Arc<Plan>>,
    links: Links,
    listeners: Slab<Listening>,
    data_listeners: Slab<DataListener>,
    sessions: Slab<Session>,
    ready: Vec<Ready>,
    timers: Timers,
    resolver: Resolver,
    scratch: Box<[u8]>,
    doors: Arc<dyn Doors>,
    /// Doors of sockets that are closed here and may not be in the kernel yet, with the time of their end.
    closing: VecDeque<(Nanos, Door)>,
    /// A timer to make listeners is set.
    listening_again: bool,
    log: LogBudget,
}

impl Engine {
    /// The engine of the worker with this number, whose poll `registry` belongs to; `wake` ends its sleep.
    #[must_use]
    pub fn new(
        worker: usize,
        registry: Registry,
        book: Arc<SessionBook>,
        wake: Wake,
        doors: Arc<dyn Doors>,
    ) -> Self {
        Self {
            worker,
            registry,
            links: Links::new(book.credit()),
            book,
            plan: None,
            listeners: Slab::new(),
            data_listeners: Slab::new(),
            sessions: Slab::new(),
            ready: Vec::new(),
            timers: Timers::default(),
            resolver: Resolver::new(wake),
            scratch: vec![0; DATAGRAM].into_boxed_slice(),
            doors,
            closing: VecDeque::new(),
            listening_again: false,
            log: LogBudget::new(LINES_A_SECOND),
        }
    }

    /// Whether events with this token are the engine's.
    #[must_use]
    pub fn owns(token: Token) -> bool {
        (LISTENERS..usize::MAX).contains(&token.0)
    }

    /// Notes what the poll says of a listener or a session.
    pub fn set_ready(&mut self, event: &mio::event::Event) {
        if let Some(key) = event.token().0.checked_sub(SESSIONS) {
            let Some(session) = self.sessions.get_mut(key) else { return };
            match &mut session.end {
                LocalEnd::Tcp(tcp) => tcp.set_ready(event),
                LocalEnd::Reaching(reaching) => reaching.set_ready(event),
                LocalEnd::Datagrams(datagrams) => datagrams.set_ready(),
            }
            queue(&mut self.ready, session, key);
        } else if let Some(key) = event.token().0.checked_sub(DATA_LISTENERS) {
            self.ready.push(Ready::Data(key));
        } else if let Some(key) = event.token().0.checked_sub(LISTENERS) {
            self.ready.push(Ready::Listener(key));
        }
    }

    /// A connection for streams with `peer` is up.
    pub fn attach(&mut self, id: ConnectionId, peer: &str, dialled: bool) {
        self.links.attach(id, peer, dialled);
    }

    /// A connection has ended, and its sessions with it.
    pub fn detach(&mut self, id: ConnectionId, now: Nanos) {
        self.links.detach(id);
        let lost: Vec<usize> = self.keys(|session| session.link == id);
        for key in lost {
            self.lose(key, ResetReason::None, Some(Refusal::TunnelLost), now);
        }
    }

    /// A ping on a connection was answered.
    pub fn set_round_trip(&mut self, id: ConnectionId, time: Duration) {
        self.links.with(id, |streams| streams.set_round_trip(time));
    }

    /// Takes the frames of each of `records`, which were received together.
    ///
    /// # Errors
    /// [`StreamError`]: the connection must end.
    pub fn receive<'a>(
        &mut self,
        id: ConnectionId,
        records: impl Iterator<Item = &'a [u8]>,
        now: Nanos,
    ) -> Result<(), StreamError> {
        let mut gathered = Gathered::default();
        let mut outcome = Ok(());
        // Other frames were handled, and the records were judged, by the tunnel's session.
        for frame in records.flat_map(FrameReader::new).flatten() {
            let Frame::Stream(frame) = frame else { continue };
            let Some(handled) = self.links.with(id, |streams| streams.handle(frame)) else { return Ok(()) };
            match handled {
                Ok(Some(StreamEvent::Data(key, stream, bytes))) => {
                    // What is for the same socket goes there in one call.
                    if !gathered.add(key, stream, bytes) {
                        self.deliver(&gathered, now);
                        gathered = Gathered::of(key, stream, bytes);
                    }
                }
                Ok(Some(StreamEvent::Change(change))) => {
                    self.deliver(&std::mem::take(&mut gathered), now);
                    self.handle(id, change, now);
                }
                Ok(None) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.deliver(&gathered, now);
        outcome
    }

    /// Writes what streams of a connection have to send into `record`.
    pub fn fill(&mut self, id: ConnectionId, record: &mut RecordBuffer, now: Nanos) {
        let Self { links, sessions, listeners, timers, ready, scratch, .. } = self;
        let mut sources = Sources { sessions, listeners, timers, ready, scratch, now };
        links.fill(id, record, &mut sources, now);
    }

    /// Whether [`Self::fill`] may have something to write.
    #[must_use]
    pub fn is_pending(&self, id: ConnectionId) -> bool {
        self.links.is_pending(id)
    }

    /// Visits the connections that may have something to write since the last call.
    pub fn pending(&mut self, visit: impl FnMut(ConnectionId)) {
        self.links.take_marked().into_iter().for_each(visit);
    }

    /// Goes on with what is ready or due. Returns whether there was anything.
    pub fn work(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        while let Some((askers, addresses)) = self.resolver.poll(now) {
            worked = true;
            for asker in askers {
                if handle::find(&mut self.sessions, asker).is_some() {
                    self.resolved(asker.key, addresses.clone(), now);
                }
            }
        }
        while let Some(timer) = self.timers.pop(now) {
            worked = true;
            self.handle_timer(timer, now);
        }
        while self.closing.front().is_some_and(|(until, _)| *until <= now) {
            self.closing.pop_front();
        }
        for ready in std::mem::take(&mut self.ready) {
            worked = true;
            match ready {
                Ready::Listener(key) => self.accept(key, now),
                Ready::Data(key) => self.accept_data(key, now),
                Ready::Session(key) => self.advance(key, now),
            }
        }
        worked
    }

    /// Whether [`Self::work`] has something to do now.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.ready.is_empty() || self.resolver.has_news()
    }

    /// Connections that must be replaced: no stream is left on them and no other can be opened.
    #[must_use]
    pub fn worn(&self) -> Vec<ConnectionId> {
        self.links.worn()
    }

    /// When [`Self::work`] has something to do at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Nanos {
        let closing = self.closing.front().map_or(Nanos(u64::MAX), |(until, _)| *until);
        self.timers.next().min(closing)
    }

    /// Ends those of the sessions `ids` that are this worker's.
    pub fn end_sessions(&mut self, ids: &[u64], now: Nanos) {
        let ids: HashSet<u64> = ids.iter().copied().collect();
        for key in self.keys(|session| ids.contains(&session.info.id)) {
            self.lose(key, ResetReason::Ended, None, now);
        }
    }

    fn handle_timer(&mut self, timer: Timer, now: Nanos) {
        match timer {
            Timer::Deadline(session) => self.deadline(session, now),
            Timer::Release(listener, way) => self.release(listener, way, now),
            Timer::Accept(key) => self.accept_again(key),
            Timer::Expire(key) => self.expire_data(key, now),
            Timer::AcceptData(key) => self.ready.push(Ready::Data(key)),
            Timer::Line(session) => self.line_due(session, now),
            Timer::Listen => {
                self.listening_again = false;
                self.listen_again(now);
            }
        }
    }

    /// A session's time may have come.
    fn deadline(&mut self, handle: Handle, now: Nanos) {
        let Some(session) = handle::find(&mut self.sessions, handle) else { return };
        let key = handle.key;
        match (session.deadline, &session.end) {
            (_, LocalEnd::Reaching(_)) => self.give_up_attempt(key, now),
            (Some(deadline), _) if deadline > now => self.timers.set(deadline, Timer::Deadline(handle)),
            (Some(_), LocalEnd::Datagrams(datagrams)) => {
                let idle_at = session.info.last() + datagrams.idle();
                if idle_at <= now {
                    self.lose(key, ResetReason::Idle, None, now);
                } else {
                    session.deadline = Some(idle_at);
                    self.timers.set(idle_at, Timer::Deadline(handle));
                }
            }
            (Some(_), LocalEnd::Tcp(_)) => self.lose(key, ResetReason::ProtocolError, None, now),
            (None, _) => {}
        }
    }

    fn keys(&self, wanted: impl Fn(&Session) -> bool) -> Vec<usize> {
        self.sessions.iter().filter(|(_, session)| wanted(session)).map(|(key, _)| key).collect()
    }

    /// Ends a session at once: both ends are told. `refusal` counts where it had not begun.
    fn lose(&mut self, key: usize, reason: ResetReason, refusal: Option<Refusal>, now: Nanos) {
        let Some(session) = self.sessions.get(key) else { return };
        self.links.with(session.link, |streams| streams.reset(session.stream, reason));
        if let LocalEnd::Tcp(tcp) = &session.end {
            tcp.abort();
        }
        let connecting = session.info.state() == SessionState::Connecting;
        let family = session.control.is_some().then(|| session.handle(key));
        match refusal.filter(|_| connecting) {
            Some(refusal) => {
                session.tally.refuse(refusal);
                tracing::debug!(
                    session = session.info.id,
                    service = &*session.info.service,
                    reason = refusal.name(),
                    "session refused"
                );
            }
            None => tracing::debug!(session = session.info.id, ?reason, "session ended at once"),
        }
        self.forget(key, now);
        // A control channel that ends at once takes its data connections with it.
        if let Some(parent) = family {
            for key in self.keys(|session| session.parent == Some(parent)) {
                self.lose(key, reason, None, now);
            }
        }
    }

    /// Forgets a session: its socket closes.
    fn forget(&mut self, key: usize, now: Nanos) {
        let Some(mut session) = self.sessions.try_remove(key) else { return };
        match &mut session.end {
            LocalEnd::Tcp(tcp) => drop(self.registry.deregister(&mut tcp.socket)),
            LocalEnd::Reaching(reaching) => reaching.deregister(&self.registry),
            LocalEnd::Datagrams(datagrams) => {
                datagrams.deregister(&self.registry);
                if let Some(listener) = session.listener {
                    self.listeners[listener].forget(session.info.client, key);
                }
            }
        }
        if session.control.is_some() {
            self.forget_data(session.handle(key));
        }
        if let Some(door) = session.door.take() {
            self.closing.push_back((now + DOOR_STAYS, door));
        }
        self.book.end(&session.info, &session.tally);
        let SessionInfo { id, peer, service, client, began, .. } = &*session.info;
        let ([bytes_in, bytes_out], seconds) = (session.info.bytes(), now.since(*began).as_secs());
        let target = session.info.target();
        if self.log.take(now) {
            tracing::info!(
                session = id, %peer, %service, %client, ?target, bytes_in, bytes_out, seconds, "session ended"
            );
        } else {
            tracing::debug!(session = id, %client, bytes_in, bytes_out, seconds, "session ended");
        }
    }
}

/// Has a session looked at.
fn queue(ready: &mut Vec<Ready>, session: &mut Session, key: usize) {
    if !std::mem::replace(&mut session.queued, true) {
        ready.push(Ready::Session(key));
    }
}

/// Where the data of streams comes from.
struct Sources<'a> {
    sessions: &'a mut Slab<Session>,
    listeners: &'a mut Slab<Listening>,
    timers: &'a mut Timers,
    ready: &'a mut Vec<Ready>,
    scratch: &'a mut [u8],
    now: Nanos,
}

impl Source for Sources<'_> {
    fn give(&mut self, owner: usize, room: &mut [u8], ahead: usize) -> Given {
        let Some(session) = self.sessions.get_mut(owner) else { return Given::Failed(ResetReason::Ended) };
        let way = session.way_in();
        let limited = session.listener.filter(|key| self.listeners[*key].is_limited(way));
        let waiter = session.handle(owner);
        let share = limited.map_or(usize::MAX, |key| self.listeners[key].limit(way).share(waiter, self.now));
        let most = share.min(room.len());
        let ahead = ahead.min(share - most);
        let given = if most == 0 {
            Given::Nothing
        } else {
            session.give(&mut room[..most], ahead, self.scratch, self.now)
        };
        if let Some(key) = limited
            && (most == 0 || matches!(given, Given::Bytes(_)))
        {
            // One share, then others have theirs.
            let limit = self.listeners[key].limit(way);
            limit.spend(if let Given::Bytes(count) = given { count } else { 0 }, self.now);
            if let Some(at) = limit.wait(waiter, self.now) {
                self.timers.set(at, Timer::Release(key, way));
            }
        }
        match given {
            // Its control channel is read again when there is room for what that says.
            Given::Bytes(_) if session.control.is_some() => queue(self.ready, session, owner),
            // It may be over now; that is seen when it is looked at.
            Given::End | Given::Failed(_) => queue(self.ready, session, owner),
            Given::Bytes(_) | Given::Nothing => {}
        }
        given
    }
}
