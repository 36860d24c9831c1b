//! What the screen shows: two looks at the node, the last events, and what the keys chose.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

use gridway_control::{Drops, EventRow, PeerRow};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::poll::{Snapshot, Update};

/// Events that are kept to scroll through.
const MOST_EVENTS: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Page {
    #[default]
    Overview,
    Tunnels,
    Drops,
    Limits,
    Events,
}

impl Page {
    pub(super) const ALL: [(Self, &'static str); 5] = [
        (Self::Overview, "1 Overview"),
        (Self::Tunnels, "2 Tunnels"),
        (Self::Drops, "3 Drops"),
        (Self::Limits, "4 Limits"),
        (Self::Events, "5 Events"),
    ];

    pub(super) fn place(self) -> usize {
        Self::ALL.iter().position(|(page, _)| *page == self).unwrap_or_default()
    }

    fn step(self, by: usize) -> Self {
        Self::ALL[(self.place() + by) % Self::ALL.len()].0
    }
}

/// What tunnels are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Name,
    Throughput,
    RoundTrip,
}

impl Sort {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Throughput => "throughput",
            Self::RoundTrip => "round trip",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Name => Self::Throughput,
            Self::Throughput => Self::RoundTrip,
            Self::RoundTrip => Self::Name,
        }
    }
}

#[derive(Default)]
pub(super) struct Screen {
    pub(super) now: Option<Box<Snapshot>>,
    earlier: Option<Box<Snapshot>>,
    /// The newest first.
    pub(super) events: VecDeque<EventRow>,
    /// Why the node cannot be reached at present.
    pub(super) gone: Option<String>,
    pub(super) paused: bool,
    pub(super) page: Page,
    pub(super) sort: Sort,
    pub(super) scroll: usize,
}

/// A tunnel with what it carries each second.
pub(super) struct Tunnel<'a> {
    pub(super) peer: &'a PeerRow,
    pub(super) tx_bits: u64,
    pub(super) rx_bits: u64,
    pub(super) tx_packets: u64,
    pub(super) rx_packets: u64,
    /// Of the slowest of its connections that carry packets.
    pub(super) p99_us: Option<u64>,
    /// Of the longest queue.
    pub(super) queue_wait_us: u64,
    pub(super) queued: u64,
}

/// Packets dropped for one reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped<'a> {
    pub(super) reason: &'a str,
    pub(super) count: u64,
    pub(super) rate: u64,
}

impl Screen {
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Gone(why) => self.gone = Some(why),
            Update::Seen(snapshot, events) => {
                self.gone = None;
                for event in events {
                    // One that occurred again stands at the top again.
                    self.events.retain(|kept| {
                        (&kept.kind, &kept.subject, kept.first_ms)
                            != (&event.kind, &event.subject, event.first_ms)
                    });
                    self.events.push_front(event);
                }
                self.events.truncate(MOST_EVENTS);
                if !self.paused {
                    self.earlier = self.now.replace(snapshot);
                }
            }
        }
    }

    /// Does what a key asks for; breaks at the end.
    pub(super) fn press(&mut self, key: KeyEvent) -> ControlFlow<()> {
        let turn = |screen: &mut Self, page| (screen.page, screen.scroll) = (page, 0);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return ControlFlow::Break(());
            }
            KeyCode::Char('q') | KeyCode::Esc => return ControlFlow::Break(()),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Tab | KeyCode::Right => turn(self, self.page.step(1)),
            KeyCode::BackTab | KeyCode::Left => turn(self, self.page.step(Page::ALL.len() - 1)),
            KeyCode::Down => self.scroll = self.scroll.saturating_add(1).min(self.last_line()),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Char(digit @ '1'..='5') => {
                turn(self, Page::ALL[digit as usize - '1' as usize].0);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Tunnels in the order that was chosen.
    pub(super) fn tunnels(&self) -> Vec<Tunnel<'_>> {
        let Some(now) = &self.now else { return Vec::new() };
        let mut tunnels: Vec<Tunnel<'_>> = now.peers.iter().map(|peer| self.tunnel(now, peer)).collect();
        match self.sort {
            Sort::Name => tunnels.sort_by(|a, b| a.peer.name.cmp(&b.peer.name)),
            Sort::Throughput => tunnels.sort_by_key(|tunnel| Reverse(tunnel.tx_bits + tunnel.rx_bits)),
            Sort::RoundTrip => tunnels.sort_by_key(|tunnel| Reverse(tunnel.peer.rtt_us)),
        }
        tunnels
    }

    fn tunnel<'a>(&self, now: &'a Snapshot, peer: &'a PeerRow) -> Tunnel<'a> {
        let earlier =
            self.earlier.as_ref().and_then(|earlier| earlier.peers.iter().find(|row| row.name == peer.name));
        let rate =
            |field: fn(&PeerRow) -> u64| earlier.map_or(0, |earlier| self.rate(field(earlier), field(peer)));
        let own = || now.connections.iter().filter(|row| row.peer == peer.name);
        let measured = own().filter(|row| row.round_trip.samples > 0 && row.carries == "packets");
        Tunnel {
            peer,
            tx_bits: rate(|peer| peer.tx_bytes).saturating_mul(8),
            rx_bits: rate(|peer| peer.rx_bytes).saturating_mul(8),
            tx_packets: rate(|peer| peer.tx_packets),
            rx_packets: rate(|peer| peer.rx_packets),
            p99_us: measured.map(|row| row.round_trip.p99_us).max(),
            queue_wait_us: own().map(|row| row.queue_wait_us).max().unwrap_or(0),
            queued: own().map(|row| row.queued_records).sum(),
        }
    }

    /// Drops of one direction, most a second first.
    pub(super) fn drops(&self, direction: fn(&Snapshot) -> &Drops) -> Vec<Dropped<'_>> {
        let Some(now) = &self.now else { return Vec::new() };
        let earlier = self.earlier.as_deref().map(direction);
        let occurred = direction(now).iter().filter(|(_, count)| **count > 0);
        let dropped = occurred.map(|(reason, count)| Dropped {
            reason,
            count: *count,
            rate: earlier.map_or(0, |drops| self.rate(drops.get(reason).copied().unwrap_or(0), *count)),
        });
        let mut dropped: Vec<Dropped<'_>> = dropped.collect();
        dropped.sort_by_key(|dropped| Reverse((dropped.rate, dropped.count)));
        dropped
    }

    /// Growth a second between the two looks; nothing of what began anew.
    fn rate(&self, earlier: u64, now: u64) -> u64 {
        let (Some(from), Some(to)) = (&self.earlier, &self.now) else { return 0 };
        let elapsed = to.at.saturating_duration_since(from.at).as_millis().max(1);
        let rate = u128::from(now.saturating_sub(earlier)) * 1000 / elapsed;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Seconds until the pending change is undone.
    pub(super) fn pending_left(&self, now: Instant) -> Option<u64> {
        let snapshot = self.now.as_ref()?;
        let pending = snapshot.status.config.pending.as_ref()?;
        Some(pending.left_s.saturating_sub(now.saturating_duration_since(snapshot.at).as_secs()))
    }

    /// How far the page can be scrolled.
    fn last_line(&self) -> usize {
        let Some(now) = &self.now else { return 0 };
        let lines = match self.page {
            Page::Overview => now.peers.len(),
            Page::Tunnels => now.connections.len(),
            Page::Drops => now.counters.drops.len(),
            Page::Limits => now.limits.len() + now.status.workers.len(),
            Page::Events => self.events.len(),
        };
        lines.saturating_sub(1)
    }
}
