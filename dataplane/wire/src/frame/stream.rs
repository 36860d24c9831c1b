//! Frames of Layer 4 streams. They travel on connections of the kind streams only.
//!
//! Either side may open streams: the dialler of the connection numbers its own with odd ids, the acceptor with even
//! ones, both upwards. A stream carries bytes in both directions until each side has finished, or either resets it.
//! A side sends data only as far as the other has granted credit: [`INITIAL_CREDIT`] bytes at the opening, more by
//! window frames.

mod endpoint;
mod open;
mod reset;

pub use open::{StreamOpen, StreamProtocol, StreamTarget};
pub use reset::ResetReason;

use super::{FrameError, FrameType};
use crate::bytes::{put, put_u16, u16_at, u32_at};

/// Bytes that either side of a stream may send before the other has granted any.
pub const INITIAL_CREDIT: u32 = 32 * 1024;
/// Flag of a window frame: the side that did not open the stream has reached its target.
const WINDOW_OPENED: u8 = 0x01;
/// Bytes of a stream's data frame in front of the data: the id.
pub const STREAM_DATA_HEADER_LEN: usize = STREAM_ID_LEN;

const STREAM_ID_LEN: usize = size_of::<u32>();
const INCREMENT: usize = STREAM_ID_LEN;
const REASON: usize = STREAM_ID_LEN;

/// Number of a stream on its connection, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFrame<'a> {
    /// The stream begins.
    Open(StreamId, StreamOpen<'a>),
    /// Bytes, at least one.
    Data(StreamId, &'a [u8]),
    /// The receiver of this frame may send this many bytes more.
    Window {
        /// The stream.
        id: StreamId,
        /// Bytes.
        increment: u32,
        /// The side that did not open the stream has reached its target.
        opened: bool,
    },
    /// The sender of this frame sends no more data.
    Finish(StreamId),
    /// The stream ends at once, in both directions.
    Reset(StreamId, ResetReason),
}

impl<'a> StreamFrame<'a> {
    /// Reads the body of a frame of type `frame_type`; `None` when that is no frame of streams.
    pub(super) fn parse(
        frame_type: FrameType,
        flags: u8,
        body: &'a [u8],
    ) -> Option<Result<Self, FrameError>> {
        let with_id = |least: usize, read: fn(StreamId, u8, &'a [u8]) -> Result<Self, FrameError>| {
            if body.len() < least {
                return Err(FrameError::TruncatedBody { frame_type });
            }
            match u32_at(body, 0) {
                0 => Err(FrameError::BadStreamId),
                id => read(StreamId(id), flags, body),
            }
        };
        Some(match frame_type {
            FrameType::StreamOpen => with_id(STREAM_ID_LEN, |id, _, body| {
                Ok(Self::Open(id, StreamOpen::parse(&body[STREAM_ID_LEN..])?))
            }),
            FrameType::StreamData => {
                with_id(STREAM_ID_LEN + 1, |id, _, body| Ok(Self::Data(id, &body[STREAM_ID_LEN..])))
            }
            FrameType::StreamWindow => with_id(INCREMENT + size_of::<u32>(), |id, flags, body| {
                let (increment, opened) = (u32_at(body, INCREMENT), flags & WINDOW_OPENED != 0);
                Ok(Self::Window { id, increment, opened })
            }),
            FrameType::StreamFinish => with_id(STREAM_ID_LEN, |id, _, _| Ok(Self::Finish(id))),
            FrameType::StreamReset => with_id(REASON + size_of::<u16>(), |id, _, body| {
                Ok(Self::Reset(id, ResetReason::from_u16(u16_at(body, REASON))))
            }),
            _ => return None,
        })
    }

    /// Type and flags of the frame.
    pub(super) fn header(&self) -> (FrameType, u8) {
        match self {
            Self::Open(..) => (FrameType::StreamOpen, 0),
            Self::Data(..) => (FrameType::StreamData, 0),
            Self::Window { opened, .. } => (FrameType::StreamWindow, if *opened { WINDOW_OPENED } else { 0 }),
            Self::Finish(_) => (FrameType::StreamFinish, 0),
            Self::Reset(..) => (FrameType::StreamReset, 0),
        }
    }

    /// Length of the body.
    pub(super) fn body_len(&self) -> usize {
        STREAM_ID_LEN
            + match self {
                Self::Open(_, open) => open.len(),
                Self::Data(_, bytes) => bytes.len(),
                Self::Window { .. } => size_of::<u32>(),
                Self::Finish(_) => 0,
                Self::Reset(..) => size_of::<u16>(),
            }
    }

    /// Writes the body over `body`, whose length is [`Self::body_len`].
    pub(super) fn write(&self, body: &mut [u8]) {
        let (Self::Open(id, _)
        | Self::Data(id, _)
        | Self::Window { id, .. }
        | Self::Finish(id)
        | Self::Reset(id, _)) = self;
        put(body, 0, id.0.to_be_bytes());
        match self {
            Self::Open(_, open) => open.write(&mut body[STREAM_ID_LEN..]),
            Self::Data(_, bytes) => body[STREAM_ID_LEN..].copy_from_slice(bytes),
            Self::Window { increment, .. } => put(body, INCREMENT, increment.to_be_bytes()),
            Self::Finish(_) => {}
            Self::Reset(_, reason) => put_u16(body, REASON, reason.to_u16()),
        }
    }
}
