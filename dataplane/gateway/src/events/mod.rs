//! What happened on this node, for operators: remembered, waited for, and logged. Not for anything that occurs with
//! every packet.

mod kind;
mod lines;
mod ring;

use std::fmt::Display;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gridway_control::{Request, Severity};

use crate::clock::Clock;
use crate::hex::hex;
pub(crate) use kind::Kind;
use ring::{Line, Ring};

/// Bytes of a subject that are kept: names and addresses are shorter.
const SUBJECT: usize = 256;
/// Bytes of a message that are kept.
const MESSAGE: usize = 2_048;

/// The events of a node, shared by all of its threads.
#[derive(Debug)]
pub(crate) struct Events {
    clock: Clock,
    /// Id of the process: numbers begin anew with another one.
    instance: String,
    ring: Mutex<Ring>,
    occurred: Condvar,
}

impl Events {
    pub(crate) fn new(clock: Clock, instance: [u8; 16]) -> Self {
        Self { clock, instance: hex(&instance), ring: Mutex::default(), occurred: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Every row is complete before anything that could panic.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has happened to `subject`: the name of a peer, table, certificate or interface. Repetitions are folded
    /// into one row, and few of them logged.
    pub(crate) fn record(&self, severity: Severity, kind: Kind, subject: &str, message: impl Display) {
        let (subject, message) = (shown(subject, SUBJECT), shown(&message.to_string(), MESSAGE));
        let now_ms = self.clock.unix_ms(self.clock.now());
        let line = self.lock().record((severity, kind), &subject, &message, now_ms);
        self.occurred.notify_all();
        if let Some(line) = line {
            log(severity, kind, &subject, &message, &line);
        }
    }

    /// Answers [`Request::Events`]: waits for an event if there is none yet.
    pub(crate) fn after(&self, after: u64, wait_ms: u64) -> gridway_control::Events {
        let wait = Duration::from_millis(wait_ms.min(Request::LONGEST_WAIT_MS));
        let nothing = |ring: &mut Ring| ring.last() == after;
        let waited = self.occurred.wait_timeout_while(self.lock(), wait, nothing);
        let (ring, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // A number that was never given is another process's: who brings it begins anew.
        let after = if after > ring.last() { 0 } else { after };
        let (rows, missed) = ring.after(after);
        gridway_control::Events { instance: self.instance.clone(), last: ring.last(), missed, rows }
    }
}

fn log(severity: Severity, kind: Kind, subject: &str, message: &str, line: &Line) {
    let (kind, count) = (kind.as_str(), line.count);
    let unwritten = Some(line.unwritten).filter(|unwritten| *unwritten > 0);
    match severity {
        Severity::Info => tracing::info!(kind, subject, count, unwritten, "{message}"),
        Severity::Warning => tracing::warn!(kind, subject, count, unwritten, "{message}"),
        Severity::Error => tracing::error!(kind, subject, count, unwritten, "{message}"),
    }
}

/// Text in one line, safe for a terminal, of at most `most` bytes and an ellipsis.
fn shown(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let lines: Vec<&str> = text[..end].lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut shown: String = lines.join("; ").chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if end < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    fn events() -> Events {
        Events::new(Clock::start(), [0xab; 16])
    }

    #[test]
    fn who_waits_is_woken_by_the_next_event() {
        let events = Arc::new(events());
        events.record(Severity::Info, Kind::TunnelUp, "gw-b", "up");
        let there = events.clone();
        let waiting = thread::spawn(move || there.after(1, Request::LONGEST_WAIT_MS));
        events.record(Severity::Error, Kind::TunnelDown, "gw-b", "down");
        let began = Instant::now();
        let answer = waiting.join().unwrap();
        assert!(began.elapsed() < Duration::from_millis(Request::LONGEST_WAIT_MS / 2));
        assert_eq!((answer.last, answer.rows.len(), answer.rows[0].number), (2, 1, 2));
        assert_eq!(answer.instance, "ab".repeat(16));
    }

    #[test]
    fn nobody_waits_for_what_is_there_nor_longer_than_asked() {
        let events = events();
        assert!(events.after(0, 10).rows.is_empty());
        events.record(Severity::Info, Kind::TunnelUp, "gw-b", "up");
        let began = Instant::now();
        assert_eq!(events.after(0, Request::LONGEST_WAIT_MS).rows.len(), 1);
        assert!(began.elapsed() < Duration::from_millis(Request::LONGEST_WAIT_MS / 2));
    }

    #[test]
    fn the_numbers_of_another_process_begin_anew() {
        let events = events();
        events.record(Severity::Info, Kind::NodeStarted, "gw-a", "started");
        assert_eq!(events.after(700, Request::LONGEST_WAIT_MS).rows.len(), 1);
    }

    #[test]
    fn what_a_stranger_says_is_short_and_safe_to_show() {
        let events = events();
        let long = "\u{1b}[2Jä".repeat(1_000);
        events.record(Severity::Warning, Kind::StrangerRefused, &long, format_args!("{long}\nsecond line"));
        let row = &events.after(0, 0).rows[0];
        assert!(
            row.subject.len() <= SUBJECT + '…'.len_utf8() && row.message.len() <= MESSAGE + '…'.len_utf8()
        );
        assert!(!row.subject.contains('\u{1b}') && !row.message.contains('\u{1b}'));
        assert_eq!(shown("line one\n  line two\n", 100), "line one; line two");
    }
}
