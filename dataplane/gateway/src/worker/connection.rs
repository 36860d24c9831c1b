//! One tunnel connection: its socket, its records, its session.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use gridway_proxy::Engine;
use gridway_tunnel::buffer::HEADER_LEN;
use gridway_tunnel::record::record_len;
use gridway_tunnel::{
    Closed, Contents, Opened, PeerIdentity, RecordBuffer, RecordError, RecordLayer, Session,
};
use gridway_wire::frame::{ConnectionKind, VnetId};
use gridway_wire::time::Nanos;

use super::send_queue::SendQueue;
use super::survey::Surveyed;
use crate::link::Link;
use crate::pool::{CHUNK_LEN, Chunk, Pools};
use crate::round_trips::RoundTrips;
use crate::tcp_info;

/// Records of our own that may wait for the socket: a peer that asks without reading gets no more.
const OWN_RECORDS: usize = 4;
/// Records of streams sealed at a time before others have their turn.
const STREAM_RECORDS: usize = 16;
/// Bytes read from one connection before others have their turn.
const READ_BUDGET: usize = 4 * CHUNK_LEN;

/// What the handshake thread hands over.
pub(crate) struct NewConnection {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) address: String,
    pub(crate) peer: String,
    pub(crate) identity: PeerIdentity,
    pub(crate) dialled: bool,
    pub(crate) link: Arc<Link>,
    pub(crate) records: RecordLayer,
    pub(crate) session: Session,
    /// Bytes received behind the handshake.
    pub(crate) leftover: Vec<u8>,
}

/// A connection of this worker.
pub(crate) struct Connection {
    pub(crate) stream: mio::net::TcpStream,
    pub(crate) address: String,
    pub(crate) peer: String,
    pub(crate) identity: PeerIdentity,
    pub(crate) dialled: bool,
    pub(crate) link: Arc<Link>,
    pub(crate) session: Session,
    /// Since when it is up, if it is.
    pub(crate) up_since: Nanos,
    pub(crate) round_trips: RoundTrips,
    /// The peer's vnets, as it announced them.
    pub(crate) peer_vnets: Vec<(VnetId, String)>,
    records: RecordLayer,
    queue: SendQueue,
    writable: bool,
    readable: bool,
    /// The peer has closed its side, or the connection has failed.
    hung_up: bool,
    chunk: Option<Chunk>,
    /// A key update that the peer asked for waits to be written.
    owes_update: bool,
    pub(crate) dirty: bool,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("{0}")]
    Session(#[from] Closed),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("connection lost: {0}")]
    Socket(#[from] io::Error),
    #[error("peer closed the connection")]
    Eof,
}

/// Packets of records that are gone.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    /// The socket has taken them.
    pub(crate) written: Contents,
    /// They waited too long, and were dropped.
    pub(crate) expired: Contents,
}

/// Where opened records go.
pub(crate) trait Deliver {
    /// Whether this very worker delivers what comes on `link`.
    fn is_here(&self, link: &Link) -> bool;
    /// Delivers the frames of one record now.
    fn here(&mut self, link: &Arc<Link>, frames: &mut [u8]);
    /// The records of one read have been delivered.
    fn read_done(&mut self);
    /// Gives opened records to the worker that delivers them.
    fn hand_over(&mut self, link: &Arc<Link>, chunk: Chunk);
}

impl Connection {
    pub(crate) fn new(new: NewConnection) -> Self {
        let chunk = (!new.leftover.is_empty()).then(|| {
            let mut chunk = Chunk::new();
            // A handshake's input is bounded below the size of a chunk.
            chunk.bytes[..new.leftover.len()].copy_from_slice(&new.leftover);
            chunk.filled = new.leftover.len();
            chunk
        });
        Self {
            stream: new.stream,
            address: new.address,
            peer: new.peer,
            identity: new.identity,
            dialled: new.dialled,
            link: new.link,
            session: new.session,
            up_since: Nanos(0),
            round_trips: RoundTrips::new(),
            peer_vnets: Vec::new(),
            records: new.records,
            queue: SendQueue::new(),
            writable: true,
            readable: true,
            hung_up: false,
            chunk,
            owes_update: false,
            dirty: true,
        }
    }

    /// Notes what the poll says. Returns whether there is something to read now that was not before.
    pub(crate) fn set_ready(&mut self, event: &mio::event::Event) -> bool {
        self.hung_up |= event.is_read_closed() || event.is_write_closed() || event.is_error();
        let readable = event.is_readable() || self.hung_up;
        let news = readable && !self.readable;
        self.readable |= readable;
        self.writable |= event.is_writable() || self.hung_up;
        news
    }

    /// Whether something must be written that no data worker sent.
    pub(crate) fn owes(&self) -> bool {
        self.session.owes() || self.owes_update
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Takes a record of a data worker.
    pub(crate) fn enqueue(&mut self, record: RecordBuffer, pools: &Pools) {
        self.queue.push_packets(record, &self.link, pools);
    }

    /// Seals and writes what waits, as far as the socket takes it, and what `streams` have to send.
    pub(crate) fn flush(
        &mut self,
        now: Nanos,
        pools: &Pools,
        streams: Option<&mut Engine>,
        departed: &mut Departed,
    ) -> Result<(), End> {
        self.owes_update = false;
        departed.expired += self.queue.expire(now, &self.link, pools);
        self.add_control_record(now);
        let mut streams = streams.filter(|_| self.carries_streams());
        let mut records = STREAM_RECORDS;
        let mut taken = 0;
        while self.writable {
            if let Some(streams) = &mut streams {
                let link = &self.link;
                self.queue.fill(&mut records, link, pools, |record| {
                    streams.fill(link.id, record, now);
                    record.closed_at = now;
                });
            }
            self.queue.seal(&mut self.records)?;
            if self.queue.nothing_sealed() {
                break;
            }
            match self.queue.write(&mut self.stream) {
                Ok(0) => return Err(End::Eof),
                Ok(bytes) => {
                    taken += bytes;
                    self.queue.advance(bytes, &self.link, pools, &mut departed.written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    self.queue.blocked();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.writable {
            self.queue.kept_up(taken);
        }
        self.link.publish_oldest(self.queue.oldest_in_turn());
        Ok(())
    }

    /// Whether it carries streams, and may.
    pub(crate) fn carries_streams(&self) -> bool {
        self.session.is_up() && self.session.kind() == ConnectionKind::Streams
    }

    /// Control frames go in a record of their own, ahead of what waits: a ping must not measure our
    /// own queue.
    fn add_control_record(&mut self, now: Nanos) {
        while self.session.owes() && self.queue.own() < OWN_RECORDS {
            let mut record = RecordBuffer::new();
            self.session.write_owed(&mut record, now);
            if record.is_empty() {
                return;
            }
            record.closed_at = now;
            self.queue.push_control(record);
        }
    }

    /// Reads what has arrived and opens it in place.
    pub(crate) fn read(
        &mut self,
        now: Nanos,
        pools: &Pools,
        deliver: &mut impl Deliver,
        streams: &mut Engine,
    ) -> Result<usize, End> {
        let mut total = 0;
        let mut first = true;
        while self.readable && total < READ_BUDGET && !self.session.needs_owner() {
            let mut chunk = self.chunk.take().or_else(|| pools.take_chunk()).unwrap_or_else(Chunk::new);
            if !(first && chunk.filled > 0 && has_whole_record(&chunk)?) {
                match self.stream.read(&mut chunk.bytes[chunk.filled..]) {
                    Ok(0) => return Err(End::Eof),
                    Ok(count) => {
                        // A read that does not fill the buffer has emptied the socket.
                        // Unless the peer has hung up: no event will tell of the end that is behind it.
                        self.readable = self.hung_up || chunk.filled + count == chunk.bytes.len();
                        chunk.filled += count;
                        total += count;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            first = false;
            self.process(chunk, now, pools, deliver, streams)?;
        }
        Ok(total)
    }

    /// Opens the whole records of `chunk`, and keeps the part of the last one that is not complete.
    fn process(
        &mut self,
        mut chunk: Chunk,
        now: Nanos,
        pools: &Pools,
        deliver: &mut impl Deliver,
        streams: &mut Engine,
    ) -> Result<(), End> {
        let (mut at, mut frames, mut outcome) = (0, false, Ok(()));
        // What was opened before an error is delivered all the same: the peer has counted it as sent.
        while outcome.is_ok() {
            let len = match record_len(&chunk.bytes[at..chunk.filled]) {
                Ok(Some(len)) if at + len <= chunk.filled => len,
                Ok(_) => break,
                Err(error) => {
                    outcome = Err(error.into());
                    break;
                }
            };
            match self.open(&mut chunk.bytes[at..at + len], now) {
                Ok(holds_frames) => frames |= holds_frames,
                Err(end) => {
                    outcome = Err(end);
                    break;
                }
            }
            at += len;
            if self.session.needs_owner() {
                // What follows waits in the chunk until the owner has acted.
                self.readable = true;
                break;
            }
        }
        let rest = at..chunk.filled;
        let packets = frames && self.session.kind() == ConnectionKind::Packets;
        if frames && !packets {
            let records = opened_records(&mut chunk.bytes[..at]).map(|frames| &*frames);
            let received = streams.receive(self.link.id, records, now);
            outcome = outcome.and(received.map_err(|error| Closed::from(error).into()));
        }
        if packets && !deliver.is_here(&self.link) {
            if !rest.is_empty() {
                let mut next = pools.take_chunk().unwrap_or_else(Chunk::new);
                next.filled = rest.len();
                next.bytes[..rest.len()].copy_from_slice(&chunk.bytes[rest]);
                self.chunk = Some(next);
            }
            chunk.filled = at;
            deliver.hand_over(&self.link, chunk);
            return outcome;
        }
        if packets {
            opened_records(&mut chunk.bytes[..at]).for_each(|frames| deliver.here(&self.link, frames));
            deliver.read_done();
        }
        chunk.filled = rest.len();
        if chunk.filled > 0 {
            chunk.bytes.copy_within(rest, 0);
            self.chunk = Some(chunk);
        } else {
            pools.give_chunk(chunk);
        }
        outcome
    }

    /// Opens one record and handles what is not packets. Leaves the length of the frames in the
    /// record's header, for [`opened_records`]. Returns whether there are frames for others to look at.
    fn open(&mut self, record: &mut [u8], now: Nanos) -> Result<bool, End> {
        let frames = match self.records.open(record)? {
            Opened::Frames(len) => len,
            Opened::Internal { update_requested } => {
                // One answer serves several requests (RFC 8446, 4.6.3).
                if update_requested && self.queue.own() < OWN_RECORDS {
                    let mut update = RecordBuffer::new();
                    self.records.update_key(&mut update)?;
                    update.closed_at = now;
                    self.queue.push_sealed(update);
                    self.owes_update = true;
                }
                0
            }
            Opened::CloseNotify => return Err(End::Eof),
        };
        if frames > 0 {
            self.session.handle_record(&record[HEADER_LEN..HEADER_LEN + frames], now)?;
            let (packets, bytes) = self.session.take_received();
            self.link.traffic.rx_packets.add(packets);
            self.link.traffic.rx_bytes.add(bytes);
        }
        // What comes before the hello was accepted is nobody's.
        let deliver = if self.session.is_up() { frames } else { 0 };
        mark_opened(record, deliver);
        Ok(deliver > 0)
    }

    /// Ends the connection: writes what the socket still takes, and returns what was lost with the rest.
    pub(crate) fn end(mut self, now: Nanos, pools: &Pools, departed: &mut Departed) -> Contents {
        // Best effort: the peer may be gone.
        drop(self.flush(now, pools, None, departed));
        let mut last = RecordBuffer::new();
        if self.queue.nothing_sealed() && self.records.close_notify(&mut last).is_ok() {
            drop(self.stream.write(last.sealed()));
        }
        self.link.publish_oldest(None);
        let lost = self.queue.clear(&self.link, pools);
        if let Some(chunk) = self.chunk.take() {
            pools.give_chunk(chunk);
        }
        lost
    }

    /// What is to be said of it. The kernel is asked now: two system calls.
    pub(crate) fn survey(&self, worker: usize, now: Nanos) -> Surveyed {
        Surveyed {
            id: self.link.id,
            peer: self.peer.clone(),
            carries: self.session.kind(),
            worker,
            age: now.since(self.up_since),
            round_trips: self.round_trips.of_late(now),
            queued: self.queue.len(),
            wait: self.queue.oldest().map_or(Duration::ZERO, |closed_at| now.since(closed_at)),
            tcp: tcp_info::of(&self.stream).ok(),
        }
    }

    /// Key updates sent and received.
    pub(crate) fn key_updates(&self) -> (u64, u64) {
        self.records.key_updates()
    }
}

/// Writes the length of an opened record's frames over its version field, which nobody needs any more.
fn mark_opened(record: &mut [u8], frames: usize) {
    let frames = u16::try_from(frames).expect("a record has at most 16,384 bytes of frames");
    record[1..3].copy_from_slice(&frames.to_be_bytes());
}

/// The frames of every opened record in `records` that has any.
pub(crate) fn opened_records(records: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        while let [_, f1, f0, l1, l0, ..] = *rest {
            let frames = usize::from(u16::from_be_bytes([f1, f0]));
            let len = HEADER_LEN + usize::from(u16::from_be_bytes([l1, l0]));
            let (record, behind) = std::mem::take(&mut rest).split_at_mut(len);
            rest = behind;
            if frames > 0 {
                return Some(&mut record[HEADER_LEN..HEADER_LEN + frames]);
            }
        }
        None
    })
}

fn has_whole_record(chunk: &Chunk) -> Result<bool, RecordError> {
    Ok(record_len(&chunk.bytes[..chunk.filled])?.is_some_and(|len| len <= chunk.filled))
}
