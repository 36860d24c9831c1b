//! Control frames, written into a record.

use super::vnet_map::{MAX_VNET_MAP_ENTRIES, VNET_MAP_MORE, VnetMapEntry};
use super::{
    Close, FRAME_HEADER_LEN, FrameHeader, FrameType, Full, Hello, MAX_RECORD_LEN, STREAM_DATA_HEADER_LEN,
    StreamFrame, StreamId,
};
use crate::bytes::{put, put_u16};

/// Appends frames to a record in a buffer, of which at most [`MAX_RECORD_LEN`] bytes are used. Every call writes
/// a whole frame or, when that does not fit, nothing.
#[derive(Debug)]
pub struct FrameWriter<'b> {
    buffer: &'b mut [u8],
    position: usize,
}

impl<'b> FrameWriter<'b> {
    /// Writes from the start of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self::at(buffer, 0)
    }

    /// Writes behind the first `position` bytes of `buffer`, which are whole frames.
    pub const fn at(buffer: &'b mut [u8], position: usize) -> Self {
        Self { buffer, position }
    }

    /// Bytes of the record so far.
    pub const fn len(&self) -> usize {
        self.position
    }

    /// Whether the record has no byte yet.
    pub const fn is_empty(&self) -> bool {
        self.position == 0
    }

    /// Writes a hello. Its node must be a DNS label, its index below its count: the peer refuses others.
    ///
    /// # Errors
    /// [`Full`].
    pub fn hello(&mut self, hello: &Hello<'_>) -> Result<(), Full> {
        let body = self.frame(FrameType::Hello, 0, hello.body_len())?;
        hello.write(body);
        Ok(())
    }

    /// Writes a vnet map of as many `entries` as fit, up to [`MAX_VNET_MAP_ENTRIES`], flagged
    /// [`VNET_MAP_MORE`] when some are left, and gives how many were written: go on with the rest in
    /// the next record. Names must be DNS labels.
    ///
    /// # Errors
    /// [`Full`] when there are entries and not one fits, or there is no room for the header.
    pub fn vnet_map(&mut self, entries: &[VnetMapEntry<'_>]) -> Result<usize, Full> {
        let room = self.free().saturating_sub(FRAME_HEADER_LEN);
        let (mut count, mut length) = (0, 0);
        for entry in entries.iter().take(MAX_VNET_MAP_ENTRIES) {
            if length + entry.len() > room {
                break;
            }
            count += 1;
            length += entry.len();
        }
        if let (0, Some(first)) = (count, entries.first()) {
            return Err(Full { needed: FRAME_HEADER_LEN + first.len(), free: self.free() });
        }
        let flags = if count < entries.len() { VNET_MAP_MORE } else { 0 };
        let mut body = self.frame(FrameType::VnetMap, flags, length)?;
        for entry in &entries[..count] {
            let (own, rest) = body.split_at_mut(entry.len());
            put_u16(own, 0, entry.id.0);
            own[2] = entry.name.len() as u8;
            own[3..].copy_from_slice(entry.name.as_bytes());
            body = rest;
        }
        Ok(count)
    }

    /// Writes a ping.
    ///
    /// # Errors
    /// [`Full`].
    pub fn ping(&mut self, token: u64) -> Result<(), Full> {
        put(self.frame(FrameType::Ping, 0, size_of::<u64>())?, 0, token.to_be_bytes());
        Ok(())
    }

    /// Writes a pong.
    ///
    /// # Errors
    /// [`Full`].
    pub fn pong(&mut self, token: u64) -> Result<(), Full> {
        put(self.frame(FrameType::Pong, 0, size_of::<u64>())?, 0, token.to_be_bytes());
        Ok(())
    }

    /// Writes a close; text beyond 255 bytes is cut.
    ///
    /// # Errors
    /// [`Full`].
    pub fn close(&mut self, close: &Close<'_>) -> Result<(), Full> {
        let body = self.frame(FrameType::Close, 0, close.body_len())?;
        close.write(body);
        Ok(())
    }

    /// Writes a frame of a stream.
    ///
    /// # Errors
    /// [`Full`].
    pub fn stream(&mut self, stream: &StreamFrame<'_>) -> Result<(), Full> {
        let (frame_type, flags) = stream.header();
        stream.write(self.frame(frame_type, flags, stream.body_len())?);
        Ok(())
    }

    /// Writes data of the stream `id`: gives `read` the room there is, at most `limit` bytes, and takes as many as it
    /// says it has put at the start of that. No frame is written when there is no room, or for no bytes.
    pub fn stream_data(&mut self, id: StreamId, limit: usize, read: impl FnOnce(&mut [u8]) -> usize) {
        let start = self.position + FRAME_HEADER_LEN + STREAM_DATA_HEADER_LEN;
        let end = self.buffer.len().min(MAX_RECORD_LEN).min(start.saturating_add(limit));
        if start >= end {
            return;
        }
        let count = read(&mut self.buffer[start..end]).min(end - start);
        if count > 0 {
            let frame = &mut self.buffer[self.position..start];
            let length = (STREAM_DATA_HEADER_LEN + count) as u16;
            FrameHeader { frame_type: FrameType::StreamData, flags: 0, length }.write(frame);
            put(frame, FRAME_HEADER_LEN, id.0.to_be_bytes());
            self.position = start + count;
        }
    }

    /// Writes the header of any frame and gives its body of `length` bytes to be written over.
    ///
    /// # Errors
    /// [`Full`].
    pub fn frame(&mut self, frame_type: FrameType, flags: u8, length: usize) -> Result<&mut [u8], Full> {
        let (needed, free) = (FRAME_HEADER_LEN + length, self.free());
        if needed > free {
            return Err(Full { needed, free });
        }
        let frame = &mut self.buffer[self.position..self.position + needed];
        self.position += needed;
        let (header, body) = frame.split_at_mut(FRAME_HEADER_LEN);
        FrameHeader { frame_type, flags, length: length as u16 }.write(header);
        Ok(body)
    }

    /// Bytes that are free.
    pub fn free(&self) -> usize {
        self.buffer.len().min(MAX_RECORD_LEN).saturating_sub(self.position)
    }
}
