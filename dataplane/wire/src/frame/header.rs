//! The four bytes in front of every frame.

use super::FrameError;
use crate::bytes::{put_u16, u16_at};

/// Length of a frame header.
pub const FRAME_HEADER_LEN: usize = 4;
/// Most bytes of plaintext in a TLS record (RFC 8446 5.1), and so of frames together.
pub const MAX_RECORD_LEN: usize = 16384;

const TYPE: usize = 0;
const FLAGS: usize = 1;
const LENGTH: usize = 2;
const _: () = assert!(LENGTH + size_of::<u16>() == FRAME_HEADER_LEN);
const _: () = assert!(MAX_RECORD_LEN <= u16::MAX as usize);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameType {
    /// Who the sender is: the first frame on a connection.
    Hello,
    /// Numbers and names of the sender's vnets.
    VnetMap,
    /// IP packets of one vnet.
    Packets,
    /// Asks for a pong with the same token.
    Ping,
    /// Answers a ping.
    Pong,
    /// The sender ends the connection, and why.
    Close,
    /// Reserved: keys of a UDP channel.
    ChannelKeys,
    /// Reserved: routes.
    RouteAdvertisement,
    /// Reserved: state of a cluster.
    ClusterState,
    /// A Layer 4 stream begins.
    StreamOpen,
    /// Data of a stream.
    StreamData,
    /// More data may be sent on a stream.
    StreamWindow,
    /// No more data from this side of a stream.
    StreamFinish,
    /// A stream ends at once.
    StreamReset,
    /// Anything else: skipped, so that later versions can add to the protocol.
    Unknown(u8),
}

impl FrameType {
    /// The type with this number.
    pub const fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::Hello,
            2 => Self::VnetMap,
            3 => Self::Packets,
            4 => Self::Ping,
            5 => Self::Pong,
            6 => Self::Close,
            7 => Self::ChannelKeys,
            8 => Self::RouteAdvertisement,
            9 => Self::ClusterState,
            16 => Self::StreamOpen,
            17 => Self::StreamData,
            18 => Self::StreamWindow,
            19 => Self::StreamFinish,
            20 => Self::StreamReset,
            other => Self::Unknown(other),
        }
    }

    /// The number of this type.
    pub const fn to_u8(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::VnetMap => 2,
            Self::Packets => 3,
            Self::Ping => 4,
            Self::Pong => 5,
            Self::Close => 6,
            Self::ChannelKeys => 7,
            Self::RouteAdvertisement => 8,
            Self::ClusterState => 9,
            Self::StreamOpen => 16,
            Self::StreamData => 17,
            Self::StreamWindow => 18,
            Self::StreamFinish => 19,
            Self::StreamReset => 20,
            Self::Unknown(other) => other,
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is.
    pub frame_type: FrameType,
    /// Flags, whose meaning depends on the type; unknown ones are ignored.
    pub flags: u8,
    /// Length of the body in bytes.
    pub length: u16,
}

impl FrameHeader {
    /// Reads the header at the start of `record` and checks that its body is there.
    ///
    /// # Errors
    /// [`FrameError::TruncatedHeader`], [`FrameError::TruncatedFrame`].
    #[inline]
    pub fn parse(record: &[u8]) -> Result<Self, FrameError> {
        let header: &[u8; FRAME_HEADER_LEN] =
            record.first_chunk().ok_or(FrameError::TruncatedHeader { left: record.len() })?;
        let frame_type = FrameType::from_u8(header[TYPE]);
        let length = u16_at(header, LENGTH);
        let left = record.len() - FRAME_HEADER_LEN;
        if usize::from(length) > left {
            return Err(FrameError::TruncatedFrame { frame_type, length: usize::from(length), left });
        }
        Ok(Self { frame_type, flags: header[FLAGS], length })
    }

    /// Writes the header to the start of `bytes`, which has room for it.
    pub(super) fn write(self, bytes: &mut [u8]) {
        bytes[TYPE] = self.frame_type.to_u8();
        bytes[FLAGS] = self.flags;
        put_u16(bytes, LENGTH, self.length);
    }

    /// Changes the length of the header at the start of `bytes`.
    pub(super) fn patch_length(bytes: &mut [u8], length: u16) {
        put_u16(bytes, LENGTH, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_the_number_of_its_type() {
        for number in 0..=u8::MAX {
            assert_eq!(FrameType::from_u8(number).to_u8(), number);
        }
    }
}
