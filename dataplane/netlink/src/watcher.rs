//! Following one interface: subscribe, dump, then keep up.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token, Waker};

use crate::events::{Event, Events};
use crate::link::Link;
use crate::managed::Managed;
use crate::neighbour::{self, Neighbours};
use crate::requests::{Keep, Requests};
use crate::{NetlinkError, Resolver, Snapshot, Via};

mod keeper;
mod refresh;

const EVENTS: Token = Token(0);
const WAKER: Token = Token(1);

/// A burst of notifications is over when this long passed without one.
const QUIET: Duration = Duration::from_millis(5);
/// A burst that does not end is acted upon after this long.
const BURST: Duration = Duration::from_millis(100);
/// Longest wait at a stretch, in case a caller asks for eternity.
const LONGEST: Duration = Duration::from_secs(3600);

/// What went wrong without stopping the watcher; each only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages skipped because they were malformed.
    pub malformed: u64,
    /// Times the kernel lost notifications because they were not read fast enough; a fresh dump follows.
    pub overruns: u64,
    /// Neighbour requests the kernel refused.
    pub refused: u64,
    /// Neighbour requests dropped because too many waited.
    pub dropped: u64,
}

/// What has to be read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stale {
    link: bool,
    addresses: bool,
    routes: bool,
    neighbours: bool,
}

impl Stale {
    const NOTHING: Self = Self { link: false, addresses: false, routes: false, neighbours: false };
    const EVERYTHING: Self = Self { link: true, addresses: true, routes: true, neighbours: true };
}

/// Follows one interface in the network namespace of the thread that opened it.
pub struct Watcher {
    name: String,
    link: Link,
    own: Vec<IpAddr>,
    routes: Vec<(IpNet, u32, Via)>,
    neighbours: Neighbours,
    stale: Stale,
    /// Something changed that [`Self::wait`] has not reported yet.
    changed: bool,
    poll: Poll,
    poll_events: mio::Events,
    events: Events,
    requests: Requests,
    resolver: Resolver,
    managed: Managed,
    keep: Keep,
    next_serve: Instant,
    next_sweep: Instant,
    counters: Counters,
}

impl Watcher {
    /// Subscribes to the kernel's notifications, then reads everything, so nothing is missed in between.
    ///
    /// The interface is followed by index from then on: one that is renamed stays, one that is deleted and made anew
    /// does not come back.
    pub fn open(interface: &str) -> Result<Self, NetlinkError> {
        let poll_failed = |source| NetlinkError::Socket { action: "set up polling", source };
        let events = Events::subscribe()?;
        let poll = Poll::new().map_err(poll_failed)?;
        poll.registry()
            .register(&mut SourceFd(&events.descriptor()), EVENTS, Interest::READABLE)
            .map_err(poll_failed)?;
        let resolver = Resolver::new(Waker::new(poll.registry(), WAKER).map_err(poll_failed)?);
        let mut requests = Requests::open()?;
        let link = Link::read(interface, &requests.link_named(interface)?)?;
        let now = Instant::now();
        let mut watcher = Self {
            name: interface.to_owned(),
            link,
            own: Vec::new(),
            routes: Vec::new(),
            neighbours: Neighbours::default(),
            stale: Stale::EVERYTHING,
            changed: false,
            poll,
            poll_events: mio::Events::with_capacity(4),
            events,
            requests,
            resolver,
            managed: Managed::default(),
            keep: Keep::Managed,
            next_serve: now,
            next_sweep: now,
            counters: Counters::default(),
        };
        watcher.refresh()?;
        watcher.changed = false;
        Ok(watcher)
    }

    /// What the kernel knew when the watcher last looked: at [`Self::open`], then at the end of each [`Self::wait`].
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            routes: self.routes.clone(),
            neighbours: self.neighbours.resolved().collect(),
            own: self.own.clone(),
            mtu: self.link.mtu,
            mac: self.link.mac,
            up: self.link.up,
        }
    }

    /// Follows the kernel until the [`Snapshot`] is another one (true), or until `timeout` is over or
    /// [`Resolver::interrupt`] was called (false). A burst of notifications counts as one change. Requests of
    /// [`Resolver`]s are served meanwhile, so a thread should always be here.
    ///
    /// After an error what is known stays as it was, and the next call tries again.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, NetlinkError> {
        let deadline = Instant::now() + timeout.min(LONGEST);
        let mut burst: Option<(Instant, Instant)> = None;
        loop {
            let drained = self.drain()?;
            let now = Instant::now();
            self.serve(now);
            let interrupted = self.resolver.take_interrupt();
            if self.changed || self.stale != Stale::NOTHING {
                let (start, last) = burst.get_or_insert((now, now));
                if drained.any {
                    *last = now;
                }
                let settled = (*last + QUIET).min(*start + BURST).min(deadline);
                if interrupted || now >= settled {
                    self.refresh()?;
                    burst = None;
                    if std::mem::take(&mut self.changed) {
                        return Ok(true);
                    }
                }
            }
            if interrupted || now >= deadline {
                return Ok(false);
            }
            if drained.all {
                let settled = burst.map(|(start, last)| (last + QUIET).min(start + BURST));
                self.sleep_until(settled.unwrap_or(deadline).min(deadline), now)?;
            }
        }
    }

    /// A handle for other threads.
    pub fn requests(&self) -> Resolver {
        self.resolver.clone()
    }

    /// What went wrong so far without stopping the watcher.
    pub fn counters(&self) -> Counters {
        Counters {
            malformed: self.counters.malformed + self.requests.malformed,
            dropped: self.resolver.dropped(),
            ..self.counters
        }
    }

    fn sleep_until(&mut self, until: Instant, now: Instant) -> Result<(), NetlinkError> {
        let mut until = until.min(self.next_sweep);
        if self.resolver.has_requests() {
            until = until.min(self.next_serve);
        }
        match self.poll.poll(&mut self.poll_events, Some(until.saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(NetlinkError::Socket { action: "wait for notifications", source: error })
            }
            _ => Ok(()),
        }
    }

    /// Reads the notifications that have arrived.
    fn drain(&mut self) -> Result<Drained, NetlinkError> {
        let mut any = false;
        let Self { events, stale, neighbours, managed, counters, link, changed, keep, .. } = self;
        let all = events.drain(|event| {
            any = true;
            match event {
                // IPv4 routes go with a link or an address, without a notification.
                Event::Link => *stale = Stale { link: true, routes: true, ..*stale },
                Event::Address => *stale = Stale { addresses: true, routes: true, ..*stale },
                Event::Route => stale.routes = true,
                Event::NewNeighbour(message) => {
                    if let Some((address, entry)) = neighbour::read(link.index, &message) {
                        *changed |= neighbours.insert(address, entry);
                        keeper::observe(managed, *keep, address, Some(&entry));
                    }
                }
                Event::DelNeighbour(message) => {
                    if let Some((address, _)) = neighbour::read(link.index, &message) {
                        *changed |= neighbours.remove(address);
                        keeper::observe(managed, *keep, address, None);
                    }
                }
                Event::Overrun => {
                    counters.overruns += 1;
                    *stale = Stale::EVERYTHING;
                }
                Event::Malformed => counters.malformed += 1,
            }
        })?;
        Ok(Drained { any, all })
    }
}

/// What [`Watcher::drain`] found.
struct Drained {
    /// Notifications arrived.
    any: bool,
    /// And none is left.
    all: bool,
}
