//! What is said between streams and their owners.

use gridway_wire::frame::{ResetReason, StreamId, StreamOpen};

/// What a peer cannot mean. The connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The number of a new stream is the other side's, or not above those before.
    #[error("stream {} cannot be opened now", .0.0)]
    Number(StreamId),
    /// The stream was never opened.
    #[error("stream {} was never opened", .0.0)]
    Unknown(StreamId),
    /// Data beyond the credit.
    #[error("data beyond the credit of stream {}", .0.0)]
    Credit(StreamId),
    /// Data, or a second finish, behind a finish.
    #[error("stream {} goes on behind its end", .0.0)]
    Finished(StreamId),
    /// Credit beyond 4 GiB.
    #[error("credit of stream {} overflows", .0.0)]
    Overflow(StreamId),
    /// So many answers wait for the peer that it cannot be reading.
    #[error("the peer does not take its answers")]
    Deaf,
}

/// What came on a stream. `usize` is what the stream's owner is called at this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// Bytes. Whoever has taken them calls [`Streams::taken`](super::Streams::taken).
    Data(usize, StreamId, &'a [u8]),
    /// Anything else.
    Change(Change<'a>),
}

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The peer opens a stream: [`Streams::accept`](super::Streams::accept) or
    /// [`Streams::refuse`](super::Streams::refuse) it.
    Open(StreamId, StreamOpen<'a>),
    /// The peer has reached the target of a stream opened here.
    Opened(usize),
    /// The peer sends nothing more.
    Finish(usize),
    /// The stream has ended.
    Reset(usize, ResetReason),
}

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing now: [`Streams::wants_to_send`](super::Streams::wants_to_send) says when.
    Nothing,
    /// Nothing any more.
    End,
    /// The stream must be reset.
    Failed(ResetReason),
}

/// Where the data of streams comes from.
pub trait Source {
    /// Puts bytes of the stream of `owner` at the start of `room`, which is not empty. `ahead` bytes more would be taken
    /// right after.
    fn give(&mut self, owner: usize, room: &mut [u8], ahead: usize) -> Given;
}
