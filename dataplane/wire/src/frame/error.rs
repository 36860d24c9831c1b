//! What is wrong with frames from a peer, and with what a frame was to hold.

use super::FrameType;

/// Why a record's frames cannot be read on. The connection is of no more use then: `protocol_error`, or
/// `version_mismatch` for [`FrameError::UnsupportedVersion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The record ends within a frame header.
    #[error("the record ends within a frame header: {left} bytes are left of 4")]
    TruncatedHeader {
        /// Bytes left in the record.
        left: usize,
    },
    /// The record ends within a frame.
    #[error("a {frame_type:?} frame of {length} bytes goes beyond its record: {left} bytes are left")]
    TruncatedFrame {
        /// Type of the frame.
        frame_type: FrameType,
        /// Length of the body that the header states.
        length: usize,
        /// Bytes left in the record.
        left: usize,
    },
    /// A frame's body is too short for its type.
    #[error("the body of a {frame_type:?} frame is cut off")]
    TruncatedBody {
        /// Type of the frame.
        frame_type: FrameType,
    },
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks protocol version {found}, this node speaks 1")]
    UnsupportedVersion {
        /// The peer's version.
        found: u16,
    },
    /// A hello whose connection kind is unknown.
    #[error("connection kind {found} is unknown")]
    BadConnectionKind {
        /// The kind.
        found: u8,
    },
    /// A hello whose connection index is not below the count.
    #[error("connection index {index} of {count}")]
    BadConnectionIndex {
        /// Index of the connection.
        index: u8,
        /// Number of connections.
        count: u8,
    },
    /// A name that is no DNS label of 1 to 63 bytes.
    #[error("a name in a {frame_type:?} frame is not a DNS label")]
    BadName {
        /// Type of the frame.
        frame_type: FrameType,
    },
    /// A vnet map with more entries than a frame may have.
    #[error("a vnet map of more than 1024 entries")]
    TooManyEntries,
    /// A packet of no bytes.
    #[error("an empty packet in a packets frame")]
    EmptyPacket,
    /// A close frame whose text is not UTF-8.
    #[error("the text of a close frame is not UTF-8")]
    BadText,
    /// A stream with the number 0.
    #[error("stream 0")]
    BadStreamId,
    /// A stream of a protocol that does not exist.
    #[error("protocol {found} of a stream is unknown")]
    BadStreamProtocol {
        /// Its number.
        found: u8,
    },
    /// A stream to a kind of target that does not exist.
    #[error("target kind {found} of a stream is unknown")]
    BadStreamTargetKind {
        /// Its number.
        found: u8,
    },
    /// A stream to what can be no host, or to port 0.
    #[error("the target of a stream is no host and port")]
    BadStreamTarget,
    /// An address of a family that does not exist.
    #[error("address family {found} is unknown")]
    BadAddressFamily {
        /// Its number.
        found: u8,
    },
}

/// What was to be written does not fit; nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed} bytes do not fit in the {free} that are free")]
pub struct Full {
    /// Bytes it takes.
    pub needed: usize,
    /// Bytes there are.
    pub free: usize,
}
