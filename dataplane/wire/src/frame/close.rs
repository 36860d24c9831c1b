//! The last frame on a connection: why it ends.

use super::{FrameError, FrameType};
use crate::bytes::{put_u16, u16_at};

/// Most bytes of a close frame's text.
pub const MAX_CLOSE_TEXT_LEN: usize = u8::MAX as usize;

const CODE: usize = 0;
const TEXT_LEN: usize = CODE + size_of::<u16>();
const TEXT: usize = TEXT_LEN + 1;
const _: () = assert!(TEXT == 3);

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// None is given.
    None,
    /// The peer speaks another version of the protocol.
    VersionMismatch,
    /// The name in the hello is not the certificate's.
    NameMismatch,
    /// The peer is not configured.
    UnknownPeer,
    /// Another connection with the same index stays.
    Duplicate,
    /// The peer's certificate was revoked.
    Revoked,
    /// The peer's certificate has expired.
    Expired,
    /// The node is shutting down.
    ShuttingDown,
    /// The peer broke the protocol.
    ProtocolError,
    /// The configuration no longer allows it.
    Policy,
    /// A reason of a later version.
    Unknown(u16),
}

impl CloseReason {
    /// The reason with this code.
    pub const fn from_u16(code: u16) -> Self {
        match code {
            0 => Self::None,
            1 => Self::VersionMismatch,
            2 => Self::NameMismatch,
            3 => Self::UnknownPeer,
            4 => Self::Duplicate,
            5 => Self::Revoked,
            6 => Self::Expired,
            7 => Self::ShuttingDown,
            8 => Self::ProtocolError,
            9 => Self::Policy,
            other => Self::Unknown(other),
        }
    }

    /// The code of this reason.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::None => 0,
            Self::VersionMismatch => 1,
            Self::NameMismatch => 2,
            Self::UnknownPeer => 3,
            Self::Duplicate => 4,
            Self::Revoked => 5,
            Self::Expired => 6,
            Self::ShuttingDown => 7,
            Self::ProtocolError => 8,
            Self::Policy => 9,
            Self::Unknown(other) => other,
        }
    }

    /// The reason in snake case, as operators see it. Stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::VersionMismatch => "version_mismatch",
            Self::NameMismatch => "name_mismatch",
            Self::UnknownPeer => "unknown_peer",
            Self::Duplicate => "duplicate",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::ShuttingDown => "shutting_down",
            Self::ProtocolError => "protocol_error",
            Self::Policy => "policy",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// A close frame: code (`u16`), length of the text (`u8`), text. Bytes after it are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// Why.
    pub reason: CloseReason,
    /// For the peer's log: from a stranger, so to be escaped. Up to [`MAX_CLOSE_TEXT_LEN`] bytes; a writer cuts
    /// what is longer.
    pub text: &'a str,
}

impl<'a> Close<'a> {
    /// Reads a close frame's body.
    ///
    /// # Errors
    /// [`FrameError::TruncatedBody`], [`FrameError::BadText`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::TruncatedBody { frame_type: FrameType::Close };
        let (fixed, rest) = body.split_at_checked(TEXT).ok_or(truncated)?;
        let text = rest.get(..usize::from(fixed[TEXT_LEN])).ok_or(truncated)?;
        Ok(Self {
            reason: CloseReason::from_u16(u16_at(fixed, CODE)),
            text: std::str::from_utf8(text).map_err(|_| FrameError::BadText)?,
        })
    }

    /// The text that is sent: cut to what fits, at a character's boundary.
    fn sent_text(&self) -> &'a str {
        &self.text[..self.text.floor_char_boundary(MAX_CLOSE_TEXT_LEN)]
    }

    /// Length of the body.
    pub(super) fn body_len(&self) -> usize {
        TEXT + self.sent_text().len()
    }

    /// Writes the body over `body`, whose length is [`Self::body_len`].
    pub(super) fn write(&self, body: &mut [u8]) {
        let text = self.sent_text();
        put_u16(body, CODE, self.reason.to_u16());
        body[TEXT_LEN] = text.len() as u8;
        body[TEXT..].copy_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_code_of_its_reason() {
        for code in 0..=u16::MAX {
            assert_eq!(CloseReason::from_u16(code).to_u16(), code);
        }
    }
}
