//! ICMP messages that a node makes or translates (RFC 792, RFC 1812 4.3, RFC 4443).

mod echo;
mod error;
mod quoted;

pub use echo::{
    MAX_ECHO_REQUEST_LEN, echo_reply_in_place, echo_sequence, is_echo_request, write_echo_request,
};
pub use error::{IcmpError, MAX_ERROR_LEN_V4, MAX_ERROR_LEN_V6, build_error};
pub use quoted::{QuotedPacket, quoted, rewrite_error};

pub use crate::header::TTL;
