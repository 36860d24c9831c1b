//! Which command the next reply answers.

use std::collections::VecDeque;

use super::command::Command;
use super::refusal::Refusal;
use super::reply::ReplyLine;
use super::{FtpError, OUTSTANDING_LIMIT};

/// Memory of an outstanding command, in bytes.
pub(super) const ENTRY_LEN: usize = size_of::<Entry>();

/// A command whose reply has not been given to the client.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// The server will answer it.
    Sent(Command),
    /// It is answered here, once all before it are.
    Refused(Refusal),
}

/// Commands and replies in their order.
///
/// Replies come in the order of commands, except STAT's during a transfer, which overtakes the transfer's: as both are
/// passed on it does not matter which is which.
#[derive(Clone, Debug)]
pub(super) struct Dialogue {
    outstanding: VecDeque<Entry>,
    /// A reply's first line has been passed on and its last one has not.
    in_reply: bool,
    epsv_all: bool,
}

impl Dialogue {
    /// A connection that has just been made: the server's greeting is the reply to it.
    pub(super) fn new() -> Self {
        Self { outstanding: [Entry::Sent(Command::Other)].into(), in_reply: false, epsv_all: false }
    }

    /// Reads a command by the rules that are the same on both nodes.
    pub(super) fn admit(&self, line: &[u8]) -> Result<Command, Refusal> {
        let command = Command::parse(line)?;
        if self.epsv_all && matches!(command, Command::Active(_) | Command::Pasv) {
            return Err(Refusal::EpsvAll);
        }
        Ok(command)
    }

    /// A command goes to the server.
    pub(super) fn sent(&mut self, command: Command) -> Result<(), FtpError> {
        self.has_room()?;
        self.epsv_all |= command == Command::EpsvAll;
        self.outstanding.push_back(Entry::Sent(command));
        Ok(())
    }

    /// A command is answered here.
    pub(super) fn refused(&mut self, refusal: Refusal, to_client: &mut Vec<u8>) -> Result<(), FtpError> {
        self.has_room()?;
        self.outstanding.push_back(Entry::Refused(refusal));
        self.flush(to_client);
        Ok(())
    }

    /// Errs when no further command may come.
    pub(super) fn has_room(&self) -> Result<(), FtpError> {
        if self.outstanding.len() < OUTSTANDING_LIMIT { Ok(()) } else { Err(FtpError::TooManyCommands) }
    }

    /// A reply names a port: gives the command that it answers, which stays outstanding. Commands before it will not be
    /// answered any more (some servers give one reply to a transfer and its ABOR).
    pub(super) fn passive_reply(&mut self, code: u16, to_client: &mut Vec<u8>) -> Result<Command, FtpError> {
        let answered = self.outstanding.iter().enumerate().find_map(|(place, entry)| match entry {
            Entry::Sent(command) if command.is_passive() => Some((place, *command)),
            _ => None,
        });
        let (place, command) = answered.ok_or(FtpError::UnaskedPassive(code))?;
        for entry in self.outstanding.drain(..place) {
            if let Entry::Refused(refusal) = entry {
                to_client.extend(refusal.reply());
            }
        }
        Ok(command)
    }

    /// The client has been given the reply that names a port.
    pub(super) fn passive_answered(&mut self, to_client: &mut Vec<u8>) {
        self.outstanding.pop_front();
        self.in_reply = false;
        self.flush(to_client);
    }

    /// A line of a reply that names no port has been passed on to the client. It may be the failure of PASV or EPSV, never
    /// their success.
    pub(super) fn passed(&mut self, line: ReplyLine<'_>, to_client: &mut Vec<u8>) {
        self.in_reply = !line.is_last;
        if self.in_reply {
            return;
        }
        match self.outstanding.front() {
            Some(Entry::Sent(command)) if !line.is_preliminary() => {
                if *command == Command::EpsvAll && line.is_negative() {
                    self.epsv_all = false;
                }
                if !command.is_passive() || line.is_negative() {
                    self.outstanding.pop_front();
                }
            }
            _ => {}
        }
        self.flush(to_client);
    }

    /// Memory claimed, in bytes.
    pub(super) fn held(&self) -> usize {
        self.outstanding.capacity() * ENTRY_LEN
    }

    /// Gives the client the local replies whose turn it is.
    fn flush(&mut self, to_client: &mut Vec<u8>) {
        while !self.in_reply
            && let Some(Entry::Refused(refusal)) = self.outstanding.front()
        {
            to_client.extend(refusal.reply());
            self.outstanding.pop_front();
        }
    }
}
