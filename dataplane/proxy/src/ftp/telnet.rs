//! Telnet commands in front of a line (RFC 854).
//!
//! A client that aborts a transfer sends `IAC IP IAC DM` in front of ABOR, the last byte or the second `IAC` as urgent
//! data (RFC 959, "ABORT"). Whether the urgent byte stays in the stream depends on the receiver's socket, so either may be
//! missing. Elsewhere in a line 255 is an octet like others: a file name may hold it.

use super::FtpError;

const SE: u8 = 240;
const NOP: u8 = 241;
const DATA_MARK: u8 = 242;
const GO_AHEAD: u8 = 249;
const SB: u8 = 250;
const WILL: u8 = 251;
const DONT: u8 = 254;
const IAC: u8 = 255;

/// Where in a telnet command the stream is.
#[derive(Clone, Debug, Default)]
pub(super) enum Telnet {
    /// In none.
    #[default]
    Outside,
    /// Behind `IAC`.
    Command,
    /// Behind `IAC` and `WILL`, `WONT`, `DO` or `DONT`.
    Option,
}

impl Telnet {
    /// The byte that the client's line has here, or `None` where it is part of a telnet command. Options go unanswered:
    /// none is in force.
    pub(super) fn filter(&mut self, byte: u8, is_first: bool) -> Result<Option<u8>, FtpError> {
        match (std::mem::take(self), byte) {
            (Self::Outside, IAC) if is_first => {
                *self = Self::Command;
                Ok(None)
            }
            (Self::Outside, DATA_MARK) if is_first => Ok(None),
            (Self::Command, WILL..=DONT) => {
                *self = Self::Option;
                Ok(None)
            }
            (Self::Command, SE | SB) => Err(FtpError::CommandByte(byte)),
            (Self::Command, NOP..=GO_AHEAD) | (Self::Option, _) => Ok(None),
            (Self::Outside | Self::Command, byte) => Ok(Some(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of bytes at the beginning of a line.
    fn filtered(bytes: &[u8]) -> Result<Vec<u8>, FtpError> {
        let mut telnet = Telnet::default();
        let mut line = Vec::new();
        for byte in bytes {
            line.extend(telnet.filter(*byte, line.is_empty())?);
        }
        Ok(line)
    }

    #[test]
    fn abor_is_plain_however_its_synch_arrives() {
        for bytes in [
            &b"\xff\xf4\xff\xf2ABOR"[..],
            b"\xff\xf4\xf2ABOR",
            b"\xff\xf4\xffABOR",
            b"\xf2ABOR",
            b"\xff\xf4ABOR",
            b"\xff\xfb\x01\xff\xfe\x0aABOR",
            b"ABOR",
        ] {
            assert_eq!(filtered(bytes), Ok(b"ABOR".to_vec()), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn within_a_line_every_octet_is_data() {
        let line = b"RETR \xff\xf4\xf2\xff\xff";
        assert_eq!(filtered(line), Ok(line.to_vec()));
    }

    #[test]
    fn there_is_nothing_to_negotiate() {
        assert_eq!(filtered(b"\xff\xfa"), Err(FtpError::CommandByte(SB)));
    }
}
