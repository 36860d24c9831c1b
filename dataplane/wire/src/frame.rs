//! Frames of the tunnel protocol, inside TLS records.
//!
//! A record holds whole frames: none is split over two. All numbers are big-endian. Every frame starts with
//! four bytes: type, flags, and the length of its body (`u16`, what follows the four bytes).

mod close;
mod error;
mod header;
mod hello;
mod packets;
mod reader;
mod stream;
mod vnet_map;
mod writer;

pub use close::{Close, CloseReason, MAX_CLOSE_TEXT_LEN};
pub use error::{FrameError, Full};
pub use header::{FRAME_HEADER_LEN, FrameHeader, FrameType, MAX_RECORD_LEN};
pub use hello::{ConnectionKind, HELLO_FIXED_LEN, Hello, INSTANCE_LEN, PROTOCOL_VERSION};
pub use packets::{
    MAX_PACKET_LEN, PACKET_LENGTH_LEN, PACKETS_HEADER_LEN, PacketIter, PacketIterMut, PacketsBuilder,
    PacketsFrame, PacketsFrameMut,
};
pub use reader::{Frame, FrameMut, FrameReader, FrameReaderMut};
pub use stream::{
    INITIAL_CREDIT, ResetReason, STREAM_DATA_HEADER_LEN, StreamFrame, StreamId, StreamOpen, StreamProtocol,
    StreamTarget,
};
pub use vnet_map::{MAX_VNET_MAP_ENTRIES, VNET_MAP_MORE, VnetMap, VnetMapEntry, VnetMapIter};
pub use writer::FrameWriter;

/// Number of a vnet on a connection: it means what the *sender* of the frame announced in its vnet map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnetId(pub u16);

/// Longest name of a node or vnet: a DNS label (RFC 1035 2.3.4).
pub const MAX_NAME_LEN: usize = 63;

/// Reads a length byte and that many bytes of a DNS label: letters, digits, and hyphens within (RFC 1123 2.1).
/// Gives the label and what follows it.
fn split_name(bytes: &[u8], frame_type: FrameType) -> Result<(&str, &[u8]), FrameError> {
    let (&length, rest) = bytes.split_first().ok_or(FrameError::TruncatedBody { frame_type })?;
    let (name, rest) =
        rest.split_at_checked(usize::from(length)).ok_or(FrameError::TruncatedBody { frame_type })?;
    match std::str::from_utf8(name) {
        Ok(name) if is_label(name) => Ok((name, rest)),
        _ => Err(FrameError::BadName { frame_type }),
    }
}

/// Whether `name` is a DNS label.
fn is_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=MAX_NAME_LEN).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}
