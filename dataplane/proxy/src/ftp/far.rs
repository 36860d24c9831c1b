//! The machine on the server's node.

use std::net::SocketAddr;

use gridway_wire::time::Nanos;

use super::address::{Protocol, active_command};
use super::command::{Command, CommandReader};
use super::dialogue::Dialogue;
use super::error::Ended;
use super::refusal::Refusal;
use super::reply::{ReplyLine, ReplyReader};
use super::waiting::Waiting;
use super::{FtpError, Output};

/// What the owner of a [`Far`] is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarEvent {
    /// The client waits for a data connection: open a listener on the address from which the control connection to the
    /// server was made, and call [`Far::active_listening`] or [`Far::active_failed`]. What connects to it from the
    /// server's address goes to the near node, which knows where the client waits.
    Active {
        /// What the client said. Nothing at this node, so never to be connected to from here.
        client: SocketAddr,
    },
    /// The server waits for a data connection: the near node may open one, to this port of the address to which the
    /// control connection was made.
    Announced {
        /// The server's port.
        port: u16,
    },
}

/// Follows the control channel beside the server: tells the server of this node's listener where the client named its
/// own address, and notes which ports the server opens.
#[derive(Clone, Debug)]
pub struct Far {
    commands: CommandReader,
    replies: ReplyReader,
    waiting: Waiting,
    state: State,
    ended: Ended,
}

/// All but the readers, whose lines are borrowed while this changes.
#[derive(Clone, Debug)]
struct State {
    server: Protocol,
    dialogue: Dialogue,
    /// The PORT or EPRT that is sent when its listener is open.
    awaited: Option<Command>,
}

impl Far {
    /// A control connection to a server, over IPv6 or over IPv4.
    #[must_use]
    pub fn new(server_is_ipv6: bool) -> Self {
        let server = if server_is_ipv6 { Protocol::Ipv6 } else { Protocol::Ipv4 };
        Self {
            commands: CommandReader::default(),
            replies: ReplyReader::default(),
            waiting: Waiting::default(),
            state: State { server, dialogue: Dialogue::new(), awaited: None },
            ended: Ended::default(),
        }
    }

    /// Bytes from the near node.
    ///
    /// # Errors
    /// [`FtpError`] when the session is to be ended; the client's last reply is in `out` then.
    pub fn client_bytes(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let result = self.read_commands(bytes, now, out);
        self.ended.note(result, &mut out.to_client)
    }

    /// Bytes from the server.
    ///
    /// # Errors
    /// [`FtpError`] when the session is to be ended; the client's last reply is in `out` then.
    pub fn server_bytes(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let result = self.read_replies(bytes, now, out);
        self.ended.note(result, &mut out.to_client)
    }

    /// The listener that [`FarEvent::Active`] asked for is open, at this address. Without such an event nothing happens.
    ///
    /// # Errors
    /// As [`Self::client_bytes`], whose bytes may have waited.
    pub fn active_listening(
        &mut self,
        local: SocketAddr,
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        self.active(Some(local), now, out)
    }

    /// The listener that [`FarEvent::Active`] asked for cannot be opened. Without such an event nothing happens.
    ///
    /// # Errors
    /// As [`Self::client_bytes`], whose bytes may have waited.
    pub fn active_failed(&mut self, now: Nanos, out: &mut Output<FarEvent>) -> Result<(), FtpError> {
        self.active(None, now, out)
    }

    /// Whether bytes from the near node wait until [`FarEvent::Active`] is answered: the owner stops reading them. What
    /// comes all the same waits, up to [`INPUT_LIMIT`](super::INPUT_LIMIT) bytes.
    #[must_use]
    pub fn client_blocked(&self) -> bool {
        self.state.awaited.is_some()
    }

    /// When the earliest line began that is not complete, of either side.
    #[must_use]
    pub fn partial_since(&self) -> Option<Nanos> {
        [self.commands.begun(), self.replies.begun()].into_iter().flatten().min()
    }

    /// Memory claimed, in bytes: never more than [`MEMORY_LIMIT`](super::MEMORY_LIMIT).
    #[must_use]
    pub fn held(&self) -> usize {
        self.commands.held() + self.replies.held() + self.waiting.held() + self.state.dialogue.held()
    }

    fn read_commands(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        while self.state.awaited.is_none()
            && let Some(line) = self.commands.next(&mut bytes, now)?
        {
            self.state.command(line, out)?;
        }
        self.waiting.keep(bytes)
    }

    fn read_replies(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        while let Some(line) = self.replies.next(&mut bytes, now)? {
            self.state.reply(line, out)?;
        }
        Ok(())
    }

    fn active(
        &mut self,
        local: Option<SocketAddr>,
        now: Nanos,
        out: &mut Output<FarEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let Some(command) = self.state.awaited.take() else { return Ok(()) };
        let settled = match local {
            Some(local) => {
                out.to_server.extend(active_command(local).as_bytes());
                self.state.dialogue.sent(command)
            }
            None => self.state.dialogue.refused(Refusal::NoListener, &mut out.to_client),
        };
        let waited = self.waiting.take();
        let result = settled.and_then(|()| self.read_commands(&waited, now, out));
        self.ended.note(result, &mut out.to_client)
    }
}

impl State {
    fn command(&mut self, line: &[u8], out: &mut Output<FarEvent>) -> Result<(), FtpError> {
        let command = match self.dialogue.admit(line) {
            Ok(command) => command,
            Err(refusal) => return self.dialogue.refused(refusal, &mut out.to_client),
        };
        if let Command::Active(client) = command {
            self.dialogue.has_room()?;
            self.awaited = Some(command);
            out.events.push(FarEvent::Active { client });
            return Ok(());
        }
        self.dialogue.sent(command)?;
        out.to_server.extend(match command {
            // A 227 cannot hold the server's address.
            Command::Pasv if self.server == Protocol::Ipv6 => b"EPSV",
            // The client named the protocol of its own connection.
            Command::Epsv(Some(protocol)) if protocol != self.server => b"EPSV",
            _ => line,
        });
        out.to_server.extend(b"\r\n");
        Ok(())
    }

    fn reply(&mut self, line: ReplyLine<'_>, out: &mut Output<FarEvent>) -> Result<(), FtpError> {
        if line.is_passive() {
            self.dialogue.passive_reply(line.code, &mut out.to_client)?;
            if line.is_last {
                out.events.push(FarEvent::Announced { port: line.passive_port()? });
            }
            out.to_client.extend(line.raw);
            if line.is_last {
                self.dialogue.passive_answered(&mut out.to_client);
            }
        } else {
            out.to_client.extend(line.raw);
            self.dialogue.passed(line, &mut out.to_client);
        }
        Ok(())
    }
}
