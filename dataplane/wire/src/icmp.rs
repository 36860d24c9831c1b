//! ICMP messages that a node makes or translates (RFC 792, RFC 1812 4.3, RFC 4443).

mod echo;
mod error;
mod quoted;

pub use echo::echo_reply_in_place;
pub use error::{IcmpError, MAX_ERROR_LEN_V4, MAX_ERROR_LEN_V6, build_error};
pub use quoted::{QuotedPacket, quoted, rewrite_error};

/// TTL and hop limit of packets that the node itself makes.
pub const TTL: u8 = 64;
