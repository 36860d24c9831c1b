//! Requests to resolve neighbours, from the data workers to the watcher.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use mio::Waker;

/// Requests that wait for the watcher; more are dropped, counted, and asked again with the next packet.
const QUEUE: usize = 1024;
/// Slots that remember which addresses wait. Twice the queue keeps collisions rare; a collision costs a duplicate.
const SLOTS: usize = 2 * QUEUE;

/// Asks the [`crate::Watcher`] to resolve neighbours. One per thread; cloning is cheap.
///
/// Neither method takes a lock, and at most one system call (waking the watcher) is made.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<IpAddr>,
    /// Hashes of the waiting addresses; 0 is an empty slot.
    waiting: Box<[AtomicU64]>,
    hasher: RandomState,
    dropped: AtomicU64,
    interrupted: AtomicBool,
    waker: Waker,
}

impl Resolver {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: ArrayQueue::new(QUEUE),
                waiting: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
                hasher: RandomState::new(),
                dropped: AtomicU64::new(0),
                interrupted: AtomicBool::new(false),
                waker,
            }),
        }
    }

    /// Asks for the MAC address of a neighbour on the interface, and that it be kept fresh from now on.
    ///
    /// Best effort: never blocks, asks once for an address that is already waiting, and drops the request when too
    /// many wait (counted). The answer shows up as a neighbour in a later [`crate::Snapshot`], or never. Call it
    /// again for every packet that misses, and now and then for neighbours in use: the least recently asked for are
    /// given up first when there are too many.
    pub fn resolve(&self, address: IpAddr) {
        let address = address.to_canonical();
        let (slot, hash) = self.slot(address);
        // Acquire/release with `next`: whoever finds the hash here is served by the pop that follows its removal.
        if slot.swap(hash, Ordering::AcqRel) == hash {
            return;
        }
        if self.shared.queue.push(address).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            let _ = slot.compare_exchange(hash, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.wake();
    }

    /// Makes the running [`crate::Watcher::wait`], or else the next one, return at once: for shutdown.
    pub fn interrupt(&self) {
        self.shared.interrupted.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // An eventfd write fails only when the counter is full, and then the watcher is awake anyway.
        if let Err(error) = self.shared.waker.wake() {
            tracing::debug!(%error, "cannot wake the netlink watcher");
        }
    }

    /// The next address to resolve.
    pub(crate) fn next(&self) -> Option<IpAddr> {
        let address = self.shared.queue.pop()?;
        let (slot, hash) = self.slot(address);
        let _ = slot.compare_exchange(hash, 0, Ordering::AcqRel, Ordering::Relaxed);
        Some(address)
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.shared.queue.is_empty()
    }

    /// Whether [`Self::interrupt`] was called since the last time this was asked.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.shared.interrupted.swap(false, Ordering::AcqRel)
    }

    /// Requests dropped because too many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn slot(&self, address: IpAddr) -> (&AtomicU64, u64) {
        // Keyed: a stranger who picks destinations must not be able to pick slots.
        let hash = self.shared.hasher.hash_one(address) | 1;
        let index = (hash >> 32) as usize % SLOTS;
        (&self.shared.waiting[index], hash)
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    fn resolver() -> (Resolver, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        (Resolver::new(waker), poll)
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    #[test]
    fn asks_once_for_an_address_that_waits() {
        let (resolver, _poll) = resolver();
        for _ in 0..10_000 {
            resolver.resolve(address(1));
        }
        assert_eq!(resolver.next(), Some(address(1)));
        assert_eq!(resolver.next(), None);
        resolver.resolve(address(1));
        assert_eq!(resolver.next(), Some(address(1)), "and again once it was served");
    }

    #[test]
    fn drops_and_counts_what_is_too_much() {
        let (resolver, _poll) = resolver();
        for n in 0..QUEUE as u32 + 100 {
            resolver.resolve(address(n));
        }
        assert_eq!(resolver.dropped(), 100);
        let served = std::iter::from_fn(|| resolver.next()).count();
        assert_eq!(served, QUEUE);
        let late = address(QUEUE as u32 + 50);
        resolver.resolve(late);
        assert_eq!(resolver.next(), Some(late), "a dropped request does not block a later one");
    }

    #[test]
    fn no_request_is_lost_between_threads() {
        let (resolver, _poll) = resolver();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let resolver = resolver.clone();
                std::thread::spawn(move || {
                    for n in 0..200 {
                        resolver.resolve(address(worker * 200 + n));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        let mut served: Vec<_> = std::iter::from_fn(|| resolver.next()).collect();
        served.sort_unstable();
        served.dedup();
        assert_eq!(served.len(), 800);
    }
}
