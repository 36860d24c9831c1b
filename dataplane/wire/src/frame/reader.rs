//! The frames of a record, one after the other.

use std::mem::take;

use super::packets::{PacketsFrame, PacketsFrameMut};
use super::{Close, FRAME_HEADER_LEN, FrameError, FrameHeader, FrameType, Hello, StreamFrame, VnetMap};
use crate::bytes::array;

/// A frame, validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Who the sender is.
    Hello(Hello<'a>),
    /// The sender's vnets.
    VnetMap(VnetMap<'a>),
    /// Packets.
    Packets(PacketsFrame<'a>),
    /// To be answered with the same token.
    Ping(u64),
    /// Answers the ping with this token.
    Pong(u64),
    /// The sender ends the connection.
    Close(Close<'a>),
    /// Of a Layer 4 stream.
    Stream(StreamFrame<'a>),
    /// A frame whose body is not read here: reserved, or unknown ([`FrameType::Unknown`]) and to be counted.
    Other {
        /// What it is.
        frame_type: FrameType,
        /// Its flags.
        flags: u8,
        /// Its body.
        body: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// Reads the body of the frame that `header` starts.
    fn parse(header: FrameHeader, body: &'a [u8]) -> Result<Self, FrameError> {
        Ok(match header.frame_type {
            FrameType::Hello => Self::Hello(Hello::parse(body)?),
            FrameType::VnetMap => Self::VnetMap(VnetMap::parse(header.flags, body)?),
            FrameType::Packets => Self::Packets(PacketsFrame::parse(body)?),
            FrameType::Ping => Self::Ping(token(header.frame_type, body)?),
            FrameType::Pong => Self::Pong(token(header.frame_type, body)?),
            FrameType::Close => Self::Close(Close::parse(body)?),
            frame_type => match StreamFrame::parse(frame_type, header.flags, body) {
                Some(frame) => Self::Stream(frame?),
                None => Self::Other { frame_type, flags: header.flags, body },
            },
        })
    }
}

/// Length of the token of ping and pong; bytes after it are ignored.
const TOKEN_LEN: usize = size_of::<u64>();

fn token(frame_type: FrameType, body: &[u8]) -> Result<u64, FrameError> {
    if body.len() < TOKEN_LEN {
        return Err(FrameError::TruncatedBody { frame_type });
    }
    Ok(u64::from_be_bytes(array(body, 0)))
}

/// Iterates over the frames of a record. Ends after the first error.
#[derive(Clone, Debug)]
pub struct FrameReader<'a> {
    rest: &'a [u8],
}

impl<'a> FrameReader<'a> {
    /// `record` is the plaintext of one TLS record.
    pub const fn new(record: &'a [u8]) -> Self {
        Self { rest: record }
    }
}

impl<'a> Iterator for FrameReader<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = take(&mut self.rest);
        if record.is_empty() {
            return None;
        }
        let header = match FrameHeader::parse(record) {
            Ok(header) => header,
            Err(error) => return Some(Err(error)),
        };
        let (frame, rest) = record.split_at(FRAME_HEADER_LEN + usize::from(header.length));
        let parsed = Frame::parse(header, &frame[FRAME_HEADER_LEN..]);
        if parsed.is_ok() {
            self.rest = rest;
        }
        Some(parsed)
    }
}

impl std::iter::FusedIterator for FrameReader<'_> {}

/// A frame whose packets, if it has any, are handled in place.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameMut<'a> {
    /// Packets.
    Packets(PacketsFrameMut<'a>),
    /// Any other frame; never [`Frame::Packets`].
    Other(Frame<'a>),
}

/// Iterates over the frames of a record that may be changed. Ends after the first error.
#[derive(Debug)]
pub struct FrameReaderMut<'a> {
    rest: &'a mut [u8],
}

impl<'a> FrameReaderMut<'a> {
    /// `record` is the plaintext of one TLS record.
    pub const fn new(record: &'a mut [u8]) -> Self {
        Self { rest: record }
    }
}

impl<'a> Iterator for FrameReaderMut<'a> {
    type Item = Result<FrameMut<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = take(&mut self.rest);
        if record.is_empty() {
            return None;
        }
        let header = match FrameHeader::parse(record) {
            Ok(header) => header,
            Err(error) => return Some(Err(error)),
        };
        let (frame, rest) = record.split_at_mut(FRAME_HEADER_LEN + usize::from(header.length));
        let body = &mut frame[FRAME_HEADER_LEN..];
        let parsed = match header.frame_type {
            FrameType::Packets => PacketsFrameMut::parse(body).map(FrameMut::Packets),
            _ => Frame::parse(header, body).map(FrameMut::Other),
        };
        if parsed.is_ok() {
            self.rest = rest;
        }
        Some(parsed)
    }
}

impl std::iter::FusedIterator for FrameReaderMut<'_> {}
