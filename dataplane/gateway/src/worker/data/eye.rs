//! A worker's eye on packets that somebody watches.

use std::cell::OnceCell;
use std::sync::Arc;

use gridway_control::CapturePoint;
use gridway_forwarding::flow::Side;
use gridway_forwarding::{DropReason, Emission, Forwarder, Inbound, Outbound, PeerId, Target, VnetId};
use gridway_wire::packet::parse;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::watch::{Seen, Verdict, Wants, Watch, Watcher};

/// The watchers of this turn.
#[derive(Debug, Default)]
pub(super) struct Eye {
    worker: usize,
    watchers: Vec<Arc<Watcher>>,
}

/// A packet that may be meant, as it came.
#[derive(Debug)]
pub(super) struct Look {
    from: Side,
    vnet: Option<VnetId>,
    peer: Option<PeerId>,
    tuple: Option<FiveTuple>,
    bytes: Vec<u8>,
}

/// What became of a packet.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    /// Where it went.
    pub(super) peer: Option<PeerId>,
    /// The peer that it was relayed to.
    pub(super) onward: Option<PeerId>,
    pub(super) vnet: Option<VnetId>,
    /// As it went; empty if it did not.
    pub(super) bytes: Vec<u8>,
}

impl Fate {
    /// The fate of a packet from a local host. `result` is what became of it after `verdict`, `bytes` the packet then.
    pub(super) fn outbound(verdict: Outbound, result: Result<(), DropReason>, bytes: Vec<u8>) -> Self {
        let to = match verdict {
            Outbound::Tunnel { to, .. } => Some(to),
            _ => None,
        };
        let became = result.map_or_else(Verdict::Dropped, |()| verdict.into());
        Self { verdict: became, peer: to.map(|to| to.peer), onward: None, vnet: to.map(|to| to.vnet), bytes }
    }

    /// As [`Self::outbound`], of a packet from the overlay.
    pub(super) fn inbound(verdict: Inbound, result: Result<(), DropReason>, bytes: Vec<u8>) -> Self {
        let became = result.map_or_else(Verdict::Dropped, |()| verdict.into());
        let onward = match verdict {
            Inbound::Relay { to, .. } => Some(to.peer),
            _ => None,
        };
        Self { verdict: became, peer: None, onward, vnet: None, bytes }
    }
}

impl Eye {
    pub(super) fn new(worker: usize) -> Self {
        Self { worker, watchers: Vec::new() }
    }

    /// Takes in who watches.
    pub(super) fn begin_turn(&mut self, watch: &Watch) {
        watch.look(&mut self.watchers);
    }

    /// Looks at a packet before it is judged. `None`: nobody wants to know.
    #[inline]
    pub(super) fn look(
        &self,
        from: Side,
        by: Option<(PeerId, VnetId)>,
        packet: &[u8],
        forwarder: &mut Forwarder,
    ) -> Option<Look> {
        if self.watchers.is_empty() { None } else { self.look_closely(from, by, packet, forwarder) }
    }

    #[cold]
    fn look_closely(
        &self,
        from: Side,
        by: Option<(PeerId, VnetId)>,
        packet: &[u8],
        forwarder: &mut Forwarder,
    ) -> Option<Look> {
        let (peer, vnet) = by.unzip();
        let parsed = parse(packet).ok();
        let tuple = parsed.map(|packet| packet.tuple);
        // Looked up once, and only for a watcher whom the tuple as it came does not satisfy.
        let other = OnceCell::new();
        let look_up = || *other.get_or_init(|| forwarder.other_side(from, vnet, &tuple?));
        let meant = |watcher: &&Arc<Watcher>| {
            watcher.is_open() && watcher.filter.may_match(from, tuple.as_ref(), look_up)
        };
        let mut wanted = self.watchers.iter().filter(meant).peekable();
        wanted.peek()?;
        if wanted.any(|watcher| watcher.wants == Wants::Steps) {
            forwarder.begin_notes();
        }
        let length = parsed.map_or(packet.len(), |parsed| parsed.total_len.min(packet.len()));
        Some(Look { from, vnet, peer, tuple, bytes: packet[..length].to_vec() })
    }

    /// Shows a packet to those who meant it.
    #[cold]
    pub(super) fn show(&self, look: &Look, fate: &Fate, forwarder: &mut Forwarder, now: Nanos) {
        let steps = forwarder.end_notes();
        let seen = Seen {
            at: now,
            worker: self.worker,
            from: look.from,
            vnet: look.vnet.or(fate.vnet),
            peer: look.peer.or(fate.peer),
            onward: fate.onward,
            length: look.bytes.len(),
            tuple: look.tuple,
            translated: parse(&fate.bytes).ok().map(|packet| packet.tuple),
            verdict: fate.verdict,
            steps: Vec::new(),
            bytes: Vec::new(),
        };
        for watcher in self.watchers.iter().filter(|watcher| watcher.filter.matches(&seen)) {
            match watcher.wants {
                Wants::Steps => watcher.take(|| Seen { steps: steps.clone(), ..seen.clone() }),
                Wants::Bytes { at, snap } => {
                    let as_it_came = (at == CapturePoint::Local) == (look.from == Side::Local);
                    let bytes = if as_it_came { &look.bytes } else { &fate.bytes };
                    if !bytes.is_empty() {
                        let taken = bytes[..snap.min(bytes.len())].to_vec();
                        let length = bytes.len();
                        watcher.take(|| Seen { length, bytes: taken, ..seen.clone() });
                    }
                }
            }
        }
    }

    /// Shows a packet that the node sends besides those it was given.
    #[inline]
    pub(super) fn show_emission(&self, emission: &Emission, now: Nanos) {
        if !self.watchers.is_empty() {
            self.show_emission_closely(emission, now);
        }
    }

    #[cold]
    fn show_emission_closely(&self, emission: &Emission, now: Nanos) {
        let (point, from, to) = match emission.to {
            Target::Tunnel(to) => (CapturePoint::Virtual, Side::Local, Some((to.peer, to.vnet))),
            Target::Local(_) => (CapturePoint::Local, Side::Overlay, None),
        };
        let (peer, vnet) = to.unzip();
        let verdict = match emission.origin.is_own() {
            true => Verdict::Originated,
            false if point == CapturePoint::Virtual => Verdict::Forwarded,
            false => Verdict::Delivered,
        };
        let bytes = &emission.bytes;
        let tuple = parse(bytes).ok().map(|packet| packet.tuple);
        for watcher in &self.watchers {
            let Wants::Bytes { at, snap } = watcher.wants else { continue };
            let seen = Seen {
                at: now,
                worker: self.worker,
                from,
                vnet,
                peer,
                onward: None,
                length: bytes.len(),
                tuple,
                translated: None,
                verdict,
                steps: Vec::new(),
                bytes: bytes[..snap.min(bytes.len())].to_vec(),
            };
            if at == point && watcher.filter.matches(&seen) {
                watcher.take(|| seen);
            }
        }
    }
}
