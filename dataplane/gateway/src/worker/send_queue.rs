//! What waits for a connection's socket, in the order in which it leaves.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::time::Duration;

use gridway_tunnel::buffer::MAX_RECORD;
use gridway_tunnel::{Contents, RecordBuffer, RecordError, RecordLayer};
use gridway_wire::time::Nanos;

use crate::link::Link;
use crate::pool::Pools;

/// Records that may be sealed and wait for the socket: what is sealed cannot be taken back, and nothing passes it.
const SEALED_AHEAD: usize = 4;
/// Packets that wait in their turn for longer are dropped: TCP has sent them again by then (RFC 6298, 2), and to others
/// they are of no use. It bounds the queue where early drop is not heeded.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Records of packets become one while they wait if they were closed within this time. How long a record waits is known
/// by its first packet, and early drop judges by that: much below [`gridway_tunnel::aqm::TARGET`].
const JOIN_SPAN: Duration = Duration::from_millis(1);

/// A record on its way out.
struct Outgoing {
    record: RecordBuffer,
    holds: Holds,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Packets of data workers, with a claim on the connection's quota.
    Packets,
    /// Frames of streams, in a buffer of the pool or of its own.
    Streams { pooled: bool },
    /// The node's own: control frames, key updates.
    Control,
}

impl Outgoing {
    /// Whether it does not wait for its turn: control frames, and packets of sparse flows.
    fn passes(&self) -> bool {
        self.holds == Holds::Control || self.record.passes
    }

    /// The record has left, or never will: gives back what it took.
    fn release(self, link: &Link, pools: &Pools) {
        if self.holds == Holds::Packets {
            link.release(self.record.passes);
        }
        if matches!(self.holds, Holds::Packets | Holds::Streams { pooled: true }) {
            pools.give_record(self.record);
        }
    }
}

/// Records of one connection: some wait, in front of them few that are sealed.
pub(super) struct SendQueue {
    waiting: VecDeque<Outgoing>,
    sealed: VecDeque<Outgoing>,
    /// Bytes of the first sealed record that the socket has taken.
    sent: usize,
    /// Full records that may be sealed: one while the socket is what holds them up, so that little waits in front of a
    /// packet or a stream that has something to say only now and then.
    ahead: usize,
}

impl SendQueue {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), sealed: VecDeque::new(), sent: 0, ahead: 1 }
    }

    /// Takes a record of a data worker. While records wait, what is brought soon after goes into the same one: a queue of
    /// so many buffers holds most when they are full, and each costs a write less.
    pub(super) fn push_packets(&mut self, record: RecordBuffer, link: &Link, pools: &Pools) {
        let place = if record.passes { self.behind_those_that_pass() } else { self.waiting.len() };
        let outgoing = Outgoing { record, holds: Holds::Packets };
        let (passes, closed_at) = (outgoing.record.passes, outgoing.record.closed_at);
        if let Some(before) = place.checked_sub(1).map(|before| &mut self.waiting[before])
            && before.holds == Holds::Packets
            && before.record.passes == passes
            // Nothing is told from how long those wait that pass.
            && (passes || closed_at.since(before.record.closed_at) <= JOIN_SPAN)
            && before.record.append(&outgoing.record).is_ok()
        {
            // Another worker may have closed it before.
            before.record.closed_at = before.record.closed_at.min(closed_at);
            return outgoing.release(link, pools);
        }
        self.waiting.insert(place, outgoing);
    }

    /// The place in front of all that wait in their turn.
    fn behind_those_that_pass(&self) -> usize {
        self.waiting.iter().take_while(|outgoing| outgoing.passes()).count()
    }

    /// Drops packets that have waited too long; what was dropped.
    pub(super) fn expire(&mut self, now: Nanos, link: &Link, pools: &Pools) -> Contents {
        let mut expired = Contents::default();
        let place = self.behind_those_that_pass();
        while let Some(first) = self.waiting.get(place)
            && first.holds == Holds::Packets
            && now.since(first.record.closed_at) > LONGEST_WAIT
            && let Some(outgoing) = self.waiting.remove(place)
        {
            expired += outgoing.record.contents();
            outgoing.release(link, pools);
        }
        expired
    }

    /// Takes control frames. They go ahead of what waits, behind earlier ones of their kind, which must keep their order.
    pub(super) fn push_control(&mut self, record: RecordBuffer) {
        let place = self.waiting.iter().take_while(|outgoing| outgoing.holds == Holds::Control).count();
        self.waiting.insert(place, Outgoing { record, holds: Holds::Control });
    }

    /// Takes a record of the node itself that is sealed already.
    pub(super) fn push_sealed(&mut self, record: RecordBuffer) {
        self.sealed.push_back(Outgoing { record, holds: Holds::Control });
    }

    /// Takes records that `fill` writes, until it writes nothing, so many that the socket is kept busy, and at most
    /// `left`.
    pub(super) fn fill(
        &mut self,
        left: &mut usize,
        link: &Link,
        pools: &Pools,
        mut fill: impl FnMut(&mut RecordBuffer),
    ) {
        while *left > 0 && self.len() < self.ahead {
            let taken = pools.take_record();
            let holds = Holds::Streams { pooled: taken.is_some() };
            let mut outgoing = Outgoing { record: taken.unwrap_or_default(), holds };
            fill(&mut outgoing.record);
            if outgoing.record.is_empty() {
                return outgoing.release(link, pools);
            }
            self.waiting.push_back(outgoing);
            *left -= 1;
        }
    }

    /// Seals what goes next, as much as may stand in front of what passes.
    ///
    /// # Errors
    /// As [`RecordLayer::seal`]; the record stays in the queue.
    pub(super) fn seal(&mut self, records: &mut RecordLayer) -> Result<(), RecordError> {
        while let Some(next) = self.waiting.front_mut()
            && self.sealed.len() < SEALED_AHEAD
        {
            let unsent = self.sealed.iter().map(|outgoing| outgoing.record.sealed().len()).sum::<usize>();
            if unsent > 0 && unsent - self.sent + next.record.plaintext().len() > self.ahead * MAX_RECORD {
                break;
            }
            if records.update_due() {
                let mut update = RecordBuffer::new();
                records.update_key(&mut update)?;
                update.closed_at = next.record.closed_at;
                self.sealed.push_back(Outgoing { record: update, holds: Holds::Control });
            }
            records.seal(&mut next.record)?;
            self.sealed.extend(self.waiting.pop_front());
        }
        Ok(())
    }

    /// Gives the sealed records to `socket`; how many bytes it took.
    pub(super) fn write(&self, socket: &mut impl Write) -> io::Result<usize> {
        // A key update may make one more.
        let mut slices = [IoSlice::new(&[]); SEALED_AHEAD + 1];
        let mut skip = self.sent;
        for (slice, outgoing) in slices.iter_mut().zip(&self.sealed) {
            *slice = IoSlice::new(&outgoing.record.sealed()[skip..]);
            skip = 0;
        }
        socket.write_vectored(&slices[..self.sealed.len().min(SEALED_AHEAD + 1)])
    }

    /// The socket has taken so many bytes. What has left whole is added to `written`.
    pub(super) fn advance(&mut self, bytes: usize, link: &Link, pools: &Pools, written: &mut Contents) {
        self.sent += bytes;
        while let Some(front) = self.sealed.front()
            && self.sent >= front.record.sealed().len()
        {
            self.sent -= front.record.sealed().len();
            let Some(outgoing) = self.sealed.pop_front() else { return };
            *written += outgoing.record.contents();
            outgoing.release(link, pools);
        }
    }

    /// The socket takes no more.
    pub(super) fn blocked(&mut self) {
        self.ahead = 1;
    }

    /// The socket has taken so many bytes, all there were.
    pub(super) fn kept_up(&mut self, taken: usize) {
        if taken >= self.ahead * MAX_RECORD / 2 {
            self.ahead = (self.ahead * 2).min(SEALED_AHEAD);
        }
    }

    /// Whether nothing is sealed and not yet written.
    pub(super) fn nothing_sealed(&self) -> bool {
        self.sealed.is_empty()
    }

    /// Records that have not left whole.
    pub(super) fn len(&self) -> usize {
        self.sealed.len() + self.waiting.len()
    }

    fn all(&self) -> impl Iterator<Item = &Outgoing> {
        self.sealed.iter().chain(&self.waiting)
    }

    /// Records of the node itself that have not left whole.
    pub(super) fn own(&self) -> usize {
        self.all().filter(|outgoing| outgoing.holds == Holds::Control).count()
    }

    /// When the first record that waits in its turn was closed.
    pub(super) fn oldest_in_turn(&self) -> Option<Nanos> {
        self.all().find(|outgoing| !outgoing.passes()).map(|outgoing| outgoing.record.closed_at)
    }

    /// When the first record of all was closed.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        self.all().map(|outgoing| outgoing.record.closed_at).min()
    }

    /// Gives all records back; what was in them.
    pub(super) fn clear(&mut self, link: &Link, pools: &Pools) -> Contents {
        let mut lost = Contents::default();
        for outgoing in self.sealed.drain(..).chain(self.waiting.drain(..)) {
            lost += outgoing.record.contents();
            outgoing.release(link, pools);
        }
        lost
    }
}

#[cfg(test)]
mod tests;
