//! The machine on the client's node.

use std::net::{IpAddr, SocketAddr};

use gridway_wire::time::Nanos;

use super::address::{Protocol, epsv_reply, pasv_reply};
use super::command::{Command, CommandReader};
use super::dialogue::Dialogue;
use super::error::Ended;
use super::refusal::Refusal;
use super::reply::{ReplyLine, ReplyReader};
use super::waiting::Waiting;
use super::{FtpError, Output};

/// What the owner of a [`Near`] is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearEvent {
    /// The server listens for a data connection: open a listener on the address that the client connected to, and call
    /// [`Near::passive_listening`] or [`Near::passive_failed`]. What connects to it from the client's address goes to
    /// this port at the far node.
    Passive {
        /// The server's port.
        far_port: u16,
    },
}

/// Follows the control channel beside the client: checks what the client names, and answers PASV and EPSV with this
/// node's listener.
#[derive(Clone, Debug)]
pub struct Near {
    commands: CommandReader,
    replies: ReplyReader,
    waiting: Waiting,
    state: State,
    ended: Ended,
}

/// All but the readers, whose lines are borrowed while this changes.
#[derive(Clone, Debug)]
struct State {
    client: SocketAddr,
    dialogue: Dialogue,
    /// The command that is answered when its listener is open.
    awaited: Option<Command>,
    active: Option<SocketAddr>,
}

impl Near {
    /// A control connection from this address. An IPv4-mapped one is IPv4.
    #[must_use]
    pub fn new(mut client: SocketAddr) -> Self {
        client.set_ip(client.ip().to_canonical());
        Self {
            commands: CommandReader::default(),
            replies: ReplyReader::default(),
            waiting: Waiting::default(),
            state: State { client, dialogue: Dialogue::new(), awaited: None, active: None },
            ended: Ended::default(),
        }
    }

    /// Bytes from the client.
    ///
    /// # Errors
    /// [`FtpError`] when the session is to be ended; the client's last reply is in `out` then.
    pub fn client_bytes(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let result = self.read_commands(bytes, now, out);
        self.ended.note(result, &mut out.to_client)
    }

    /// Bytes from the far node.
    ///
    /// # Errors
    /// [`FtpError`] when the session is to be ended; the client's last reply is in `out` then.
    pub fn server_bytes(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let result = self.read_replies(bytes, now, out);
        self.ended.note(result, &mut out.to_client)
    }

    /// The listener that [`NearEvent::Passive`] asked for is open, at this address. Without such an event nothing
    /// happens.
    ///
    /// # Errors
    /// As [`Self::server_bytes`], whose bytes may have waited.
    pub fn passive_listening(
        &mut self,
        local: SocketAddr,
        now: Nanos,
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        self.passive(Some(local), now, out)
    }

    /// The listener that [`NearEvent::Passive`] asked for cannot be opened. Without such an event nothing happens.
    ///
    /// # Errors
    /// As [`Self::server_bytes`], whose bytes may have waited.
    pub fn passive_failed(&mut self, now: Nanos, out: &mut Output<NearEvent>) -> Result<(), FtpError> {
        self.passive(None, now, out)
    }

    /// Whether bytes from the far node wait until [`NearEvent::Passive`] is answered: the owner stops reading them.
    /// What comes all the same waits, up to [`INPUT_LIMIT`](super::INPUT_LIMIT) bytes.
    #[must_use]
    pub fn server_blocked(&self) -> bool {
        self.state.awaited.is_some()
    }

    /// Where the client waits for the server's data connection: what it last said in PORT or EPRT, unless PASV or EPSV
    /// came after. The only address that this node may connect to for the session.
    #[must_use]
    pub fn active_endpoint(&self) -> Option<SocketAddr> {
        self.state.active
    }

    /// As [`Self::active_endpoint`], once: the next data connection needs another PORT or EPRT.
    pub fn take_active_endpoint(&mut self) -> Option<SocketAddr> {
        self.state.active.take()
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
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        while let Some(line) = self.commands.next(&mut bytes, now)? {
            self.state.command(line, out)?;
        }
        Ok(())
    }

    fn read_replies(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        while self.state.awaited.is_none()
            && let Some(line) = self.replies.next(&mut bytes, now)?
        {
            self.state.reply(line, out)?;
        }
        self.waiting.keep(bytes)
    }

    fn passive(
        &mut self,
        local: Option<SocketAddr>,
        now: Nanos,
        out: &mut Output<NearEvent>,
    ) -> Result<(), FtpError> {
        self.ended.check()?;
        let Some(command) = self.state.awaited.take() else { return Ok(()) };
        let local = local.map(|local| (local.ip().to_canonical(), local.port()));
        match (command, local) {
            (Command::Pasv, Some((IpAddr::V4(address), port))) => {
                out.to_client.extend(pasv_reply(address, port).as_bytes());
            }
            (Command::Epsv(_), Some((_, port))) => out.to_client.extend(epsv_reply(port).as_bytes()),
            _ => out.to_client.extend(Refusal::NoListener.reply()),
        }
        self.state.dialogue.passive_answered(&mut out.to_client);
        let waited = self.waiting.take();
        let result = self.read_replies(&waited, now, out);
        self.ended.note(result, &mut out.to_client)
    }
}

impl State {
    fn command(&mut self, line: &[u8], out: &mut Output<NearEvent>) -> Result<(), FtpError> {
        let command = match self.dialogue.admit(line).and_then(|command| self.judge(command)) {
            Ok(command) => command,
            Err(refusal) => return self.dialogue.refused(refusal, &mut out.to_client),
        };
        self.dialogue.sent(command)?;
        match command {
            Command::Active(endpoint) => self.active = Some(endpoint),
            Command::Pasv | Command::Epsv(_) => self.active = None,
            Command::EpsvAll | Command::Other => {}
        }
        out.to_server.extend(line);
        out.to_server.extend(b"\r\n");
        Ok(())
    }

    /// What only the client's own node can know about a command.
    fn judge(&self, command: Command) -> Result<Command, Refusal> {
        let own = Protocol::of(self.client.ip());
        match command {
            Command::Active(endpoint) if Protocol::of(endpoint.ip()) != own => {
                Err(Refusal::OtherProtocol(own))
            }
            Command::Active(endpoint) if endpoint.ip() != self.client.ip() => Err(Refusal::ForeignAddress),
            Command::Active(endpoint) => {
                // The client's address as the socket knows it: a link-local one has its interface.
                let mut own = self.client;
                own.set_port(endpoint.port());
                Ok(Command::Active(own))
            }
            Command::Pasv if own == Protocol::Ipv6 => Err(Refusal::PasvOverIpv6),
            Command::Epsv(Some(protocol)) if protocol != own => Err(Refusal::OtherProtocol(own)),
            command => Ok(command),
        }
    }

    fn reply(&mut self, line: ReplyLine<'_>, out: &mut Output<NearEvent>) -> Result<(), FtpError> {
        if line.is_passive() {
            let command = self.dialogue.passive_reply(line.code, &mut out.to_client)?;
            if line.is_last {
                let far_port = line.passive_port()?;
                self.awaited = Some(command);
                out.events.push(NearEvent::Passive { far_port });
            }
        } else {
            out.to_client.extend(line.raw);
            self.dialogue.passed(line, &mut out.to_client);
        }
        Ok(())
    }
}
