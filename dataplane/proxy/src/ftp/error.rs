//! Why a session ends.

use super::{INPUT_LIMIT, LINE_LIMIT, LOWEST_PORT, OUTSTANDING_LIMIT};

/// What ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FtpError {
    /// The client sent a line longer than [`LINE_LIMIT`].
    #[error("a command has more than {LINE_LIMIT} bytes")]
    CommandTooLong,
    /// The client sent a byte that no command holds.
    #[error("byte {0:#04x} in a command")]
    CommandByte(u8),
    /// The client did not wait for replies.
    #[error("more than {OUTSTANDING_LIMIT} commands wait for their replies")]
    TooManyCommands,
    /// The server sent a line longer than [`LINE_LIMIT`].
    #[error("a reply has a line of more than {LINE_LIMIT} bytes")]
    ReplyTooLong,
    /// The server sent a byte that no reply holds.
    #[error("byte {0:#04x} in a reply")]
    ReplyByte(u8),
    /// The server sent something that has no reply code. The line's first four bytes.
    #[error("a reply begins with \"{}\"", .0.escape_ascii())]
    NotAReply([u8; 4]),
    /// The server announced a data connection that nobody had asked for.
    #[error("reply {0} answers no command")]
    UnaskedPassive(u16),
    /// The port in a 227 or 229 cannot be read.
    #[error("reply {0} does not name a port")]
    NoPassivePort(u16),
    /// The port in a 227 or 229 is none for data.
    #[error("the server offers port {0} for data, less than {LOWEST_PORT}")]
    PassivePort(u16),
    /// The owner went on reading a side that is blocked.
    #[error("more than {INPUT_LIMIT} bytes wait on a blocked side")]
    Overrun,
}

impl FtpError {
    /// The client's last reply.
    fn farewell(self) -> &'static [u8] {
        match self {
            Self::CommandTooLong => b"500 Command line too long; closing control connection.\r\n",
            Self::CommandByte(_) => b"500 Control character in command; closing control connection.\r\n",
            Self::TooManyCommands => b"421 Too many commands without reply; closing control connection.\r\n",
            Self::Overrun => b"421 Service not available; closing control connection.\r\n",
            Self::ReplyTooLong
            | Self::ReplyByte(_)
            | Self::NotAReply(_)
            | Self::UnaskedPassive(_)
            | Self::NoPassivePort(_)
            | Self::PassivePort(_) => {
                b"421 The server's reply cannot be understood; closing control connection.\r\n"
            }
        }
    }
}

/// Whether a machine has met an error: then it does nothing any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Option<FtpError>);

impl Ended {
    pub(super) fn check(&self) -> Result<(), FtpError> {
        self.0.map_or(Ok(()), Err)
    }

    /// Remembers an error, and tells the client.
    pub(super) fn note(
        &mut self,
        result: Result<(), FtpError>,
        to_client: &mut Vec<u8>,
    ) -> Result<(), FtpError> {
        if let Err(error) = result {
            to_client.extend(error.farewell());
            self.0 = Some(error);
        }
        result
    }
}
