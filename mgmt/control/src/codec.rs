//! One JSON object a line, of bounded length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::message::{Reply, Request};

/// Longest request line in bytes, its newline included, that any client may send at any time.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Longest request line in bytes with a configuration in it; a node takes in one of these at a time.
pub const MAX_CONFIG_REQUEST: usize = 128 * 1024 * 1024;
/// Longest reply line in bytes, its newline included: a full list of flows is paged below this, and a
/// configuration is no longer.
pub const MAX_REPLY: usize = 128 * 1024 * 1024;

/// Why a line is not a message.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The line is longer than the protocol allows.
    #[error("the line has more than {limit} bytes")]
    TooLong {
        /// [`MAX_REQUEST`], [`MAX_CONFIG_REQUEST`] or [`MAX_REPLY`].
        limit: usize,
    },
    /// Not the JSON of a message.
    #[error("not a valid message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads one request from a line, with or without its newline.
///
/// # Errors
/// [`CodecError`]; garbage never panics.
pub fn decode_request(line: &[u8]) -> Result<Request, CodecError> {
    decode(line, MAX_CONFIG_REQUEST)
}

/// Writes a request as a line with its newline.
///
/// # Errors
/// [`CodecError::TooLong`] for a filter with names of absurd length, or a configuration of such.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, CodecError> {
    let carries_config = matches!(request, Request::Apply(_) | Request::Judge { .. });
    encode(request, if carries_config { MAX_CONFIG_REQUEST } else { MAX_REQUEST })
}

/// Reads one reply from a line, with or without its newline.
///
/// # Errors
/// [`CodecError`]; garbage never panics.
pub fn decode_reply(line: &[u8]) -> Result<Reply, CodecError> {
    decode(line, MAX_REPLY)
}

/// Writes a reply as a line with its newline.
///
/// # Errors
/// [`CodecError::TooLong`]: the server should ask for fewer rows and say so.
pub fn encode_reply(reply: &Reply) -> Result<Vec<u8>, CodecError> {
    encode(reply, MAX_REPLY)
}

fn decode<T: DeserializeOwned>(line: &[u8], limit: usize) -> Result<T, CodecError> {
    if line.len() > limit {
        return Err(CodecError::TooLong { limit });
    }
    Ok(serde_json::from_slice(line)?)
}

fn encode(message: &impl Serialize, limit: usize) -> Result<Vec<u8>, CodecError> {
    // JSON escapes line breaks within texts, so the only newline is the one that ends the line.
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    if line.len() > limit {
        return Err(CodecError::TooLong { limit });
    }
    Ok(line)
}

/// Collects a client's bytes and hands out whole request lines. Never holds more than its limit and the piece
/// that was fed last.
#[derive(Debug)]
pub struct RequestBuffer {
    bytes: Vec<u8>,
    searched: usize,
    limit: usize,
}

impl Default for RequestBuffer {
    fn default() -> Self {
        Self { bytes: Vec::new(), searched: 0, limit: MAX_REQUEST }
    }
}

impl RequestBuffer {
    /// Adds bytes as they were read from the socket.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the line that has begun is longer than others may be: it needs [`Self::allow_config`] to go on.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.limit == MAX_REQUEST && self.searched >= MAX_REQUEST
    }

    /// Has the line that has begun be as long as one with a configuration may be.
    pub fn allow_config(&mut self) {
        self.limit = MAX_CONFIG_REQUEST;
    }

    /// The next whole request; `None` until its newline has come.
    ///
    /// # Errors
    /// [`CodecError::TooLong`] when the line cannot end in time any more: the connection is to be
    /// closed. [`CodecError::Json`] is about one line only; the next one may be good.
    pub fn next_request(&mut self) -> Result<Option<Request>, CodecError> {
        let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        match end.map(|end| self.searched + end) {
            Some(end) => {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                (self.searched, self.limit) = (0, MAX_REQUEST);
                if self.bytes.is_empty() {
                    self.bytes = Vec::new();
                }
                decode_request(&line).map(Some)
            }
            None => {
                self.searched = self.bytes.len();
                // One with a configuration in it is asked leave for first.
                match self.searched >= self.limit && !self.wants_more() {
                    true => Err(CodecError::TooLong { limit: self.limit }),
                    false => Ok(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_come_out_whole_however_they_were_cut() {
        let line = encode_request(&Request::Peers).unwrap();
        let mut buffer = RequestBuffer::default();
        for byte in line.iter().chain(&line) {
            assert!(matches!(buffer.next_request(), Ok(None | Some(Request::Peers))));
            buffer.feed(&[*byte]);
        }
        assert_eq!(buffer.next_request().unwrap(), Some(Request::Peers));
        assert_eq!(buffer.next_request().unwrap(), None);
    }

    #[test]
    fn a_bad_line_does_not_spoil_the_next_one() {
        let mut buffer = RequestBuffer::default();
        buffer.feed(b"{\"request\":\"reboot\"}\n{\"request\":\"status\"}\n");
        assert!(matches!(buffer.next_request(), Err(CodecError::Json(_))));
        assert_eq!(buffer.next_request().unwrap(), Some(Request::Status));
    }

    #[test]
    fn a_long_line_needs_leave_and_one_without_end_is_refused() {
        let mut buffer = RequestBuffer::default();
        buffer.feed(&vec![b' '; MAX_REQUEST]);
        assert!(!buffer.wants_more());
        assert!(matches!(buffer.next_request(), Ok(None)));
        assert!(buffer.wants_more());
        buffer.allow_config();
        assert!(!buffer.wants_more());
        buffer.feed(&vec![b' '; MAX_CONFIG_REQUEST - MAX_REQUEST - 1]);
        assert!(matches!(buffer.next_request(), Ok(None)));
        buffer.feed(b" ");
        assert!(matches!(buffer.next_request(), Err(CodecError::TooLong { limit: MAX_CONFIG_REQUEST })));
    }

    #[test]
    fn leave_for_a_long_line_ends_with_it() {
        let mut buffer = RequestBuffer::default();
        buffer.feed(&vec![b' '; MAX_REQUEST]);
        assert!(matches!(buffer.next_request(), Ok(None)));
        buffer.allow_config();
        buffer.feed(b"{\"request\":\"status\"}\n");
        assert_eq!(buffer.next_request().unwrap(), Some(Request::Status));
        buffer.feed(&vec![b' '; MAX_REQUEST]);
        assert!(matches!(buffer.next_request(), Ok(None)));
        assert!(buffer.wants_more());
    }

    #[test]
    fn unknown_fields_of_a_request_are_refused() {
        assert!(decode_request(b"{\"request\":\"flows\",\"filter\":{\"ports\":1}}").is_err());
        assert!(decode_request(b"{\"request\":\"flows\",\"limits\":1}").is_err());
        assert!(decode_request(b"{\"request\":\"kill_flows\",\"filter\":{\"prto\":6}}").is_err());
        let plain = decode_request(b"{\"request\":\"flows\"}").unwrap();
        assert!(matches!(plain, Request::Flows { limit: Request::DEFAULT_LIMIT, .. }));
    }

    #[test]
    fn flows_are_never_ended_by_a_request_that_names_none() {
        assert!(decode_request(b"{\"request\":\"kill_flows\"}").is_err());
        let all = decode_request(b"{\"request\":\"kill_flows\",\"filter\":{}}").unwrap();
        assert!(matches!(all, Request::KillFlows { filter } if filter.is_empty()));
        assert!(decode_request(b"{\"request\":\"kill_sessions\"}").is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_request(&bytes).is_err());
            prop_assert!(decode_reply(&bytes).is_err());
            let mut buffer = RequestBuffer::default();
            buffer.feed(&bytes);
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            for _ in 0..lines {
                prop_assert!(buffer.next_request().is_err());
            }
            prop_assert!(matches!(buffer.next_request(), Ok(None)));
        }
    }
}
