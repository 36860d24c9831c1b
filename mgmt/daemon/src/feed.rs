//! Events on their way to those who follow: a short tail that each reads at a pace of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gridway_control::{EventRow, Severity};
use tokio::sync::watch;

use crate::store::Store;
use crate::time::now_ms;

/// Events that are remembered for those who are slow, or come again.
const TAIL: usize = 1000;

/// An event with its place.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Counts the events of this process, from 0.
    pub(crate) position: u64,
    /// Process that numbered it.
    pub(crate) instance: Arc<str>,
    /// The event.
    pub(crate) row: EventRow,
}

impl Item {
    /// What a client names it by: unique, and the same after a restart of this process.
    pub(crate) fn id(&self) -> String {
        format!("{}:{}", self.instance, self.row.number)
    }
}

/// The tail.
#[derive(Debug)]
pub(crate) struct Feed {
    tail: Mutex<VecDeque<Item>>,
    /// Position of the event that comes next.
    next: watch::Sender<u64>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self { tail: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Adds events.
    pub(crate) fn publish(&self, instance: &str, rows: &[EventRow]) {
        let instance: Arc<str> = instance.into();
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *self.next.borrow();
        for row in rows {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(Item { position: next, instance: instance.clone(), row: row.clone() });
            next += 1;
        }
        self.next.send_replace(next);
    }

    /// Where a follower begins who wants what comes from here on.
    pub(crate) fn end(&self) -> u64 {
        *self.next.borrow()
    }

    /// Where a follower begins who has seen the event of that id: behind it, or where the tail begins.
    pub(crate) fn behind(&self, id: &str) -> u64 {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = tail.iter().find(|item| item.id() == id).map(|item| item.position + 1);
        seen.or(tail.front().map(|item| item.position)).unwrap_or_else(|| self.end())
    }

    /// The event at `position`, or the first one behind it that is remembered, once there is one.
    pub(crate) async fn next(&self, position: u64) -> Item {
        let mut changes = self.next.subscribe();
        loop {
            // The sender lives as long as the feed does.
            drop(changes.wait_for(|next| *next > position).await);
            let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(item) = tail.iter().find(|item| item.position >= position) {
                return item.clone();
            }
        }
    }
}

/// Events of this process itself.
#[derive(Debug)]
pub(crate) struct OwnEvents {
    instance: String,
    numbers: AtomicU64,
    feed: Arc<Feed>,
}

impl OwnEvents {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self { instance: format!("mgmt-{:x}", now_ms()), numbers: AtomicU64::new(1), feed }
    }

    /// Logs an event, keeps it and tells those who follow.
    pub(crate) fn tell(&self, store: &Store, severity: Severity, kind: &str, subject: &str, message: &str) {
        match severity {
            Severity::Info => tracing::info!(kind, subject, "{message}"),
            Severity::Warning => tracing::warn!(kind, subject, "{message}"),
            Severity::Error => tracing::error!(kind, subject, "{message}"),
        }
        let now = now_ms();
        let row = EventRow {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            first_ms: now,
            last_ms: now,
            count: 1,
            severity,
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            message: message.to_owned(),
        };
        let rows = [row];
        self.feed.publish(&self.instance, &rows);
        let [row] = rows;
        store.keep_events(self.instance.clone(), vec![row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> EventRow {
        EventRow {
            number,
            first_ms: 0,
            last_ms: 0,
            count: 1,
            severity: Severity::Info,
            kind: "tunnel_up".into(),
            subject: "gw-b".into(),
            message: String::new(),
        }
    }

    #[tokio::test]
    async fn a_follower_who_comes_again_misses_nothing_that_is_remembered() {
        let feed = Feed::new();
        feed.publish("one", &[row(1), row(2), row(3)]);
        assert_eq!(feed.end(), 3);
        assert_eq!(feed.behind("one:2"), 2);
        assert_eq!(feed.next(2).await.row.number, 3);
        assert_eq!(feed.behind("another:2"), 0);
    }

    #[tokio::test]
    async fn a_slow_follower_goes_on_where_the_tail_begins() {
        let feed = Feed::new();
        let rows: Vec<EventRow> = (0..TAIL as u64 + 7).map(row).collect();
        feed.publish("one", &rows);
        let item = feed.next(0).await;
        assert_eq!((item.position, item.row.number), (7, 7));
    }
}
