//! Packets written straight into a record's buffer.

use super::{MAX_PACKET_LEN, PACKET_LENGTH_LEN, PACKETS_HEADER_LEN};
use crate::bytes::put_u16;
use crate::frame::{FRAME_HEADER_LEN, FrameHeader, FrameType, Full, MAX_RECORD_LEN, VnetId};

/// The frame that grows at the end of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    offset: usize,
    vnet: VnetId,
}

/// Writes packets into a record, which the caller owns and hands in at every call: runs of packets of one vnet
/// share a frame, whose header is kept right, so the record can be closed after any packet.
///
/// All calls between [`new`](Self::new) and the end of the record take the same buffer. At most
/// [`MAX_RECORD_LEN`] bytes of it are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketsBuilder {
    position: usize,
    open: Option<Open>,
}

impl PacketsBuilder {
    /// For an empty record.
    pub const fn new() -> Self {
        Self { position: 0, open: None }
    }

    /// For a record whose first `position` bytes are written: whole frames.
    pub const fn at(position: usize) -> Self {
        Self { position, open: None }
    }

    /// Bytes of the record so far: whole frames.
    pub const fn len(&self) -> usize {
        self.position
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.position == 0
    }

    /// Appends `packet` to the record in `buffer`, in the frame that is open for `vnet` or in a new one.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; neither buffer nor state were touched.
    #[inline]
    pub fn append(&mut self, buffer: &mut [u8], vnet: VnetId, packet: &[u8]) -> Result<(), Full> {
        self.append_with(buffer, vnet, packet.len()).map(|room| room.copy_from_slice(packet))
    }

    /// Appends a packet of `length` bytes, which the caller writes over what is given back (all of it: what
    /// stands there is whatever the buffer held).
    ///
    /// # Errors
    /// [`Full`] when it does not fit; neither buffer nor state were touched. A packet of no bytes, or of more
    /// than [`MAX_PACKET_LEN`], fits nowhere.
    #[inline]
    pub fn append_with<'b>(
        &mut self,
        buffer: &'b mut [u8],
        vnet: VnetId,
        length: usize,
    ) -> Result<&'b mut [u8], Full> {
        let open = self.open.filter(|open| open.vnet == vnet);
        let header = if open.is_some() { 0 } else { FRAME_HEADER_LEN + PACKETS_HEADER_LEN };
        let needed = header + PACKET_LENGTH_LEN + length;
        let free = buffer.len().min(MAX_RECORD_LEN).saturating_sub(self.position);
        if length == 0 || length > MAX_PACKET_LEN || needed > free {
            return Err(Full { needed, free });
        }
        let open = open.unwrap_or_else(|| self.open_frame(buffer, vnet));
        put_u16(buffer, self.position, length as u16);
        let start = self.position + PACKET_LENGTH_LEN;
        self.position = start + length;
        let body = self.position - open.offset - FRAME_HEADER_LEN;
        FrameHeader::patch_length(&mut buffer[open.offset..], body as u16);
        Ok(&mut buffer[start..self.position])
    }

    /// Starts a frame for `vnet`; its room was checked.
    fn open_frame(&mut self, buffer: &mut [u8], vnet: VnetId) -> Open {
        let open = Open { offset: self.position, vnet };
        let header =
            FrameHeader { frame_type: FrameType::Packets, flags: 0, length: PACKETS_HEADER_LEN as u16 };
        header.write(&mut buffer[self.position..]);
        put_u16(buffer, self.position + FRAME_HEADER_LEN, vnet.0);
        self.position += FRAME_HEADER_LEN + PACKETS_HEADER_LEN;
        self.open = Some(open);
        open
    }
}
