//! Beginnings and ends of flows, kept for whoever logs them.
//!
//! Workers write, one reader takes. Nobody waits: a record that finds no room is counted and gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use super::FlowView;

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// No packet for longer than its idle limit.
    Idle,
    /// Its TCP connection was over: a FIN from both sides, or a reset.
    Closed,
    /// The table was full, and another flow got its place.
    Evicted,
    /// An operator ended it.
    Killed,
    /// The policy does not allow it any more, or translates it in another way.
    Policy,
    /// Another flow has one of its tuples now.
    Replaced,
    /// The node stopped.
    Stopped,
}

/// What happened to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It began. Nothing was counted of it yet.
    Start,
    /// It ended.
    End(EndReason),
}

/// A beginning or an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which of them.
    pub event: Event,
    /// The flow, as it was then.
    pub flow: FlowView,
}

/// A bounded queue of [`Record`]s, off until it is switched on.
#[derive(Debug)]
pub struct Journal {
    on: AtomicBool,
    limit: usize,
    /// Has memory once the journal was switched on.
    records: OnceLock<ArrayQueue<Record>>,
    dropped: AtomicU64,
}

impl Journal {
    /// Records that a journal holds unless told otherwise.
    pub const DEFAULT_LIMIT: usize = 65_536;

    pub(super) fn new(limit: usize) -> Self {
        Self {
            on: AtomicBool::new(false),
            limit: limit.max(1),
            records: OnceLock::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Switches it on or off. What it holds stays.
    pub fn switch(&self, on: bool) {
        if on {
            self.records.get_or_init(|| ArrayQueue::new(self.limit));
        }
        self.on.store(on, Ordering::Release);
    }

    /// Writes a record down, if the journal is on.
    pub(super) fn note(&self, record: impl FnOnce() -> Option<Record>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        if let (Some(records), Some(record)) = (self.records.get(), record())
            && records.push(record).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the oldest record.
    #[must_use]
    pub fn take(&self) -> Option<Record> {
        self.records.get()?.pop()
    }

    /// Records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.get().map_or(0, ArrayQueue::len)
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records it can hold.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Records that found no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
