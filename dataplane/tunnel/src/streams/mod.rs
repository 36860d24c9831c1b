//! The Layer 4 streams of one connection: ids, credit, and whose turn it is. Sans-I/O.
//!
//! Data is pulled: when the connection can take a record [`Streams::fill`] reads straight from the streams' sources into
//! it, as much as each has credit for. Nothing waits here, so a stream that is read slowly holds back its own source
//! only.

mod credit;
mod event;
mod turns;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gridway_wire::frame::{
    FRAME_HEADER_LEN, FrameType, FrameWriter, Full, INITIAL_CREDIT, ResetReason, StreamFrame, StreamId,
    StreamOpen,
};
use gridway_wire::time::Nanos;

use crate::buffer::RecordBuffer;
use turns::Turns;

pub use credit::CreditPool;
use credit::Window;
pub use event::{Change, Given, Source, StreamError, StreamEvent};

/// Most bytes of a stream that has just something to send again, before others that have had their turn.
const FRESH: usize = 2048;
/// Room in a record below which no data frame is begun.
const WORTHWHILE: usize = 512;
/// Frames without data that may wait. More than its streams need wait only when a peer asks without reading.
const OWED_LIMIT: usize = 1 << 16;
/// Highest number of a stream of ours; two more fit into its field.
const NUMBERS: u32 = u32::MAX - 2;
/// Longest body of an open frame.
const OPEN_LEN: usize = 320;
/// Until the first ping was answered.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Stream {
    owner: usize,
    /// Bytes that the peer takes.
    credit: u32,
    window: Window,
    turns: Turns,
    /// Waits for its turn.
    queued: bool,
    /// Would send if it had credit.
    starved: bool,
    /// A window frame is owed, and whether it says that the target was reached.
    window_owed: bool,
    opened_owed: bool,
    sent_finish: bool,
    received_finish: bool,
}

/// A frame without data that is due.
#[derive(Debug)]
enum Owed {
    Open(Box<[u8]>),
    Window(StreamId),
    Finish(StreamId),
    Reset(StreamId, ResetReason),
}

/// The streams of one connection.
#[derive(Debug)]
pub struct Streams {
    streams: HashMap<StreamId, Stream>,
    /// The next number of our own.
    next: u32,
    /// The highest number of the peer's.
    newest: u32,
    owed: VecDeque<Owed>,
    /// Streams that had nothing to send when last asked.
    fresh: VecDeque<StreamId>,
    /// Streams that go on.
    turn: VecDeque<StreamId>,
    /// How many have used up their credit.
    starved: usize,
    /// How many windows are larger than the first.
    grown: usize,
    /// Turns of streams that have not ended.
    turns: Turns,
    pool: Arc<CreditPool>,
    round_trip: Duration,
}

impl Streams {
    /// Of a connection that this node `dialled`, or not.
    #[must_use]
    pub fn new(dialled: bool, pool: Arc<CreditPool>) -> Self {
        Self {
            streams: HashMap::new(),
            next: if dialled { 1 } else { 2 },
            newest: 0,
            owed: VecDeque::new(),
            fresh: VecDeque::new(),
            turn: VecDeque::new(),
            starved: 0,
            grown: 0,
            turns: Turns::NONE,
            pool,
            round_trip: FIRST_ROUND_TRIP,
        }
    }

    /// Streams that have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Streams that have much to carry: that have more to send than was sent, or whose peer's window has grown.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.turn.len() + self.starved + self.grown
    }

    /// How often streams that have not ended sent data of late: turns, halved every second.
    #[must_use]
    pub fn turns(&self, now: Nanos) -> u64 {
        self.turns.at(now)
    }

    /// What the owner of a stream is called here, if it has not ended.
    #[must_use]
    pub fn owner(&self, id: StreamId) -> Option<usize> {
        self.streams.get(&id).map(|stream| stream.owner)
    }

    /// Whether [`Self::fill`] may have something to write.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !(self.owed.is_empty() && self.fresh.is_empty() && self.turn.is_empty())
    }

    /// A ping was answered.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Whether the connection has used up its numbers: no more streams can be opened from this side.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.next > NUMBERS
    }

    /// Whether [`Self::open`] may be called: there are numbers, and the peer takes what it is sent.
    #[must_use]
    pub fn can_open(&self) -> bool {
        !self.is_worn() && self.owed.len() < OWED_LIMIT / 2
    }

    /// Opens a stream for `owner`, where that [can be](Self::can_open).
    pub fn open(&mut self, open: &StreamOpen<'_>, owner: usize, now: Nanos) -> Option<StreamId> {
        if !self.can_open() {
            return None;
        }
        let id = StreamId(self.next);
        self.next += 2;
        let mut buffer = [0; FRAME_HEADER_LEN + OPEN_LEN];
        let mut writer = FrameWriter::new(&mut buffer);
        writer.stream(&StreamFrame::Open(id, *open)).expect("names have a greatest length");
        let length = writer.len();
        self.owed.push_back(Owed::Open(buffer[FRAME_HEADER_LEN..length].into()));
        self.streams.insert(id, Stream::new(owner, now));
        Some(id)
    }

    /// Accepts a stream that the peer has just opened.
    pub fn accept(&mut self, id: StreamId, owner: usize, now: Nanos) {
        self.streams.insert(id, Stream::new(owner, now));
    }

    /// The target of a stream that the peer opened was reached.
    pub fn opened(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.opened_owed = true;
            owe_window(&mut self.owed, id, stream);
        }
    }

    /// The source of a stream has something to give, or has ended.
    pub fn wants_to_send(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.queued || stream.sent_finish {
            return;
        }
        stream.queued = true;
        self.fresh.push_back(id);
    }

    /// Ends a stream at once, if it has not ended.
    pub fn reset(&mut self, id: StreamId, reason: ResetReason) {
        if self.remove(id) {
            self.owed.push_back(Owed::Reset(id, reason));
        }
    }

    /// Refuses a stream that the peer has just opened.
    pub fn refuse(&mut self, id: StreamId, reason: ResetReason) {
        self.owed.push_back(Owed::Reset(id, reason));
    }

    /// This many bytes of a stream were taken: the peer may send as many more.
    pub fn taken(&mut self, id: StreamId, bytes: usize) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let due = stream.window.take(bytes);
        if stream.has_ended() {
            self.remove(id);
        } else if due && !stream.received_finish {
            owe_window(&mut self.owed, id, stream);
        }
    }

    fn remove(&mut self, id: StreamId) -> bool {
        let Some(mut stream) = self.streams.remove(&id) else { return false };
        self.starved -= usize::from(stream.starved);
        self.grown -= usize::from(stream.window.is_grown());
        stream.window.release(&self.pool);
        self.turns.forget(&stream.turns);
        true
    }

    /// Handles a frame of the peer's.
    ///
    /// # Errors
    /// [`StreamError`]: the connection must end.
    pub fn handle<'a>(&mut self, frame: StreamFrame<'a>) -> Result<Option<StreamEvent<'a>>, StreamError> {
        if self.owed.len() > OWED_LIMIT {
            return Err(StreamError::Deaf);
        }
        match frame {
            StreamFrame::Open(id, open) => {
                if id.0 % 2 == self.next % 2 || id.0 <= self.newest {
                    return Err(StreamError::Number(id));
                }
                self.newest = id.0;
                Ok(Some(StreamEvent::Change(Change::Open(id, open))))
            }
            StreamFrame::Data(id, bytes) => {
                let Some(stream) = self.known(id)? else { return Ok(None) };
                if stream.received_finish {
                    return Err(StreamError::Finished(id));
                }
                if !stream.window.receive(bytes.len()) {
                    return Err(StreamError::Credit(id));
                }
                Ok(Some(StreamEvent::Data(stream.owner, id, bytes)))
            }
            StreamFrame::Window { id, increment, opened } => {
                let Some(stream) = self.known(id)? else { return Ok(None) };
                stream.credit = stream.credit.checked_add(increment).ok_or(StreamError::Overflow(id))?;
                let owner = stream.owner;
                if stream.starved && stream.credit > 0 {
                    stream.starved = false;
                    let queued = std::mem::replace(&mut stream.queued, true);
                    self.starved -= 1;
                    if !queued {
                        self.turn.push_back(id);
                    }
                }
                Ok(opened.then_some(StreamEvent::Change(Change::Opened(owner))))
            }
            StreamFrame::Finish(id) => {
                let Some(stream) = self.known(id)? else { return Ok(None) };
                if std::mem::replace(&mut stream.received_finish, true) {
                    return Err(StreamError::Finished(id));
                }
                let (owner, ended) = (stream.owner, stream.has_ended());
                if ended {
                    self.remove(id);
                }
                Ok(Some(StreamEvent::Change(Change::Finish(owner))))
            }
            StreamFrame::Reset(id, reason) => {
                let Some(stream) = self.known(id)? else { return Ok(None) };
                let owner = stream.owner;
                self.remove(id);
                Ok(Some(StreamEvent::Change(Change::Reset(owner, reason))))
            }
        }
    }

    /// The stream `id`; `None` when it has ended here, which the peer may not know yet.
    fn known(&mut self, id: StreamId) -> Result<Option<&mut Stream>, StreamError> {
        let ours = id.0 % 2 == self.next % 2;
        let opened = if ours { id.0 < self.next } else { id.0 <= self.newest };
        if !opened {
            return Err(StreamError::Unknown(id));
        }
        Ok(self.streams.get_mut(&id))
    }

    /// Writes what is due into `record`: first frames without data, then data of the streams in turn.
    pub fn fill(&mut self, record: &mut RecordBuffer, source: &mut impl Source, now: Nanos) {
        // What does not fit stays due.
        let _full: Result<(), Full> = record.push_frames(|writer| {
            self.write_owed(writer, now)?;
            while writer.free() >= WORTHWHILE
                && let Some((id, limit)) = self.next_turn()
            {
                self.write_data(id, limit, writer, source, now)?;
            }
            Ok(())
        });
    }

    fn write_owed(&mut self, writer: &mut FrameWriter<'_>, now: Nanos) -> Result<(), Full> {
        while let Some(owed) = self.owed.front() {
            match owed {
                Owed::Open(body) => {
                    writer.frame(FrameType::StreamOpen, 0, body.len())?.copy_from_slice(body);
                }
                Owed::Window(id) => {
                    if let Some(stream) = self.streams.get_mut(id) {
                        if writer.free() < WORTHWHILE {
                            return Err(Full { needed: WORTHWHILE, free: writer.free() });
                        }
                        stream.window_owed = false;
                        let opened = std::mem::take(&mut stream.opened_owed);
                        let was_grown = stream.window.is_grown();
                        let increment = stream.window.grant(&self.pool, self.round_trip, now);
                        self.grown += usize::from(stream.window.is_grown() && !was_grown);
                        writer.stream(&StreamFrame::Window { id: *id, increment, opened })?;
                    }
                }
                Owed::Finish(id) => writer.stream(&StreamFrame::Finish(*id))?,
                Owed::Reset(id, reason) => writer.stream(&StreamFrame::Reset(*id, *reason))?,
            }
            self.owed.pop_front();
        }
        Ok(())
    }

    /// Whose turn it is, and how much it may send.
    fn next_turn(&mut self) -> Option<(StreamId, usize)> {
        match self.fresh.pop_front() {
            Some(id) if self.turn.is_empty() => Some((id, usize::MAX)),
            Some(id) => Some((id, FRESH)),
            None => Some((self.turn.pop_front()?, usize::MAX)),
        }
    }

    fn write_data(
        &mut self,
        id: StreamId,
        most: usize,
        writer: &mut FrameWriter<'_>,
        source: &mut impl Source,
        now: Nanos,
    ) -> Result<(), Full> {
        // Ended while it waited.
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.queued = false;
        let credit = stream.credit as usize;
        if credit == 0 {
            self.starved += usize::from(!std::mem::replace(&mut stream.starved, true));
            return Ok(());
        }
        let mut given = Given::Nothing;
        writer.stream_data(id, credit.min(most), |room| {
            given = source.give(stream.owner, room, credit - room.len());
            if let Given::Bytes(count) = given { count } else { 0 }
        });
        match given {
            Given::Bytes(count) => {
                stream.credit -= u32::try_from(count).expect("no more was asked for");
                stream.queued = true;
                self.turn.push_back(id);
                stream.turns.count(now);
                self.turns.count(now);
            }
            Given::Nothing => {}
            Given::End => {
                stream.sent_finish = true;
                if stream.has_ended() {
                    self.remove(id);
                }
                let finish = StreamFrame::Finish(id);
                if let Err(full) = writer.stream(&finish) {
                    self.owed.push_back(Owed::Finish(id));
                    return Err(full);
                }
            }
            Given::Failed(reason) => self.reset(id, reason),
        }
        Ok(())
    }
}

impl Stream {
    /// Whether nothing of it is left: until what was received is taken it counts against the pool.
    fn has_ended(&self) -> bool {
        self.sent_finish && self.received_finish && self.window.is_empty()
    }

    fn new(owner: usize, now: Nanos) -> Self {
        Self {
            owner,
            credit: INITIAL_CREDIT,
            window: Window::new(now),
            turns: Turns::NONE,
            queued: false,
            starved: false,
            window_owed: false,
            opened_owed: false,
            sent_finish: false,
            received_finish: false,
        }
    }
}

fn owe_window(owed: &mut VecDeque<Owed>, id: StreamId, stream: &mut Stream) {
    if !std::mem::replace(&mut stream.window_owed, true) {
        owed.push_back(Owed::Window(id));
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for stream in self.streams.values_mut() {
            stream.window.release(&self.pool);
        }
    }
}
