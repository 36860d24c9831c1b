//! FTP: the control channel is followed, and data connections are made for what it announces, and for nothing else.

mod data;

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use gridway_wire::frame::ResetReason;
use gridway_wire::time::Nanos;

use super::handle::{self, Handle};
use super::session::{LocalEnd, Session};
use super::timers::Timer;
use super::{Engine, queue};
use crate::ftp::{Far, FarEvent, FtpError, Near, NearEvent, Output};

pub(super) use data::DataListener;

/// A line that was begun must be complete within this time.
const LINE_WAIT: Duration = Duration::from_secs(30);
/// How long a client may take to read why its session ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// Ports that a server may have announced and that nobody has used yet.
const ANNOUNCED: usize = 16;
/// Bytes that may wait for either end before no more are read.
const WAITING: usize = 64 * 1024;
/// Reads before others have their turn.
const READS: usize = 2;

/// The control channel of a session.
pub(super) struct Control {
    machine: Machine,
    /// Bytes of the peer's that were taken apart and give it no credit yet.
    owed: usize,
    /// The local end sends no more commands or replies.
    ended: bool,
    /// What was sent is against the protocol.
    failed: bool,
    /// Ports of the server that the peer may ask for, each once.
    announced: Vec<u16>,
    /// A timer for a line that is not complete is set.
    timed: bool,
}

enum Machine {
    Near(Near),
    /// Not before the server's address is known.
    Unborn,
    Far(Far),
}

/// What a machine asks for, whichever it is.
enum Wanted {
    /// A listener beside the client, that leads to this port of the server.
    Passive(u16),
    /// A listener beside the server.
    Active,
    /// The peer may ask for this port of the server.
    Announced(u16),
}

impl Control {
    /// Beside a client.
    pub(super) fn near(client: SocketAddr) -> Self {
        Self::new(Machine::Near(Near::new(client)))
    }

    /// Beside a server.
    pub(super) fn far() -> Self {
        Self::new(Machine::Unborn)
    }

    fn new(machine: Machine) -> Self {
        Self { machine, owed: 0, ended: false, failed: false, announced: Vec::new(), timed: false }
    }

    /// The server was reached.
    pub(super) fn reached(&mut self, server: SocketAddr) {
        self.machine = Machine::Far(Far::new(server.ip().to_canonical().is_ipv6()));
    }

    /// Whether the stream ends when what waits for it has left.
    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.failed
    }

    /// Whether what was sent is against the protocol.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn is_blocked(&self) -> bool {
        match &self.machine {
            Machine::Near(near) => near.server_blocked(),
            Machine::Far(far) => far.client_blocked(),
            Machine::Unborn => true,
        }
    }

    fn partial_since(&self) -> Option<Nanos> {
        match &self.machine {
            Machine::Near(near) => near.partial_since(),
            Machine::Far(far) => far.partial_since(),
            Machine::Unborn => None,
        }
    }

    /// Runs the machine. Gives what it wants, bytes for the local end, bytes for the tunnel.
    fn run(
        &mut self,
        near: impl FnOnce(&mut Near, &mut Output<NearEvent>) -> Result<(), FtpError>,
        far: impl FnOnce(&mut Far, &mut Output<FarEvent>) -> Result<(), FtpError>,
    ) -> Done {
        let mut done = Done { wanted: Vec::new(), to_local: Vec::new(), to_tunnel: Vec::new(), error: None };
        match &mut self.machine {
            Machine::Near(machine) => {
                let mut out = Output::default();
                done.error = near(machine, &mut out).err();
                let wanted = |event| match event {
                    NearEvent::Passive { far_port } => Wanted::Passive(far_port),
                };
                done.wanted = out.events.into_iter().map(wanted).collect();
                (done.to_local, done.to_tunnel) = (out.to_client, out.to_server);
            }
            Machine::Far(machine) => {
                let mut out = Output::default();
                done.error = far(machine, &mut out).err();
                let wanted = |event| match event {
                    FarEvent::Active { .. } => Wanted::Active,
                    FarEvent::Announced { port } => Wanted::Announced(port),
                };
                done.wanted = out.events.into_iter().map(wanted).collect();
                (done.to_local, done.to_tunnel) = (out.to_server, out.to_client);
            }
            Machine::Unborn => {}
        }
        done
    }
}

/// What a run of a machine has come to.
struct Done {
    wanted: Vec<Wanted>,
    to_local: Vec<u8>,
    to_tunnel: Vec<u8>,
    error: Option<FtpError>,
}

impl Engine {
    /// Reads what the local end of a control channel has sent.
    pub(super) fn read_control(&mut self, key: usize, now: Nanos) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..READS {
            let Some(count) = self.read_local(key, &mut scratch) else { break };
            let bytes = &scratch[..count];
            let Some(control) = self.control(key) else { break };
            let done = control.run(
                |near, out| near.client_bytes(bytes, now, out),
                |far, out| far.server_bytes(bytes, now, out),
            );
            self.carry_out(key, done, now);
        }
        self.scratch = scratch;
        self.time_line(key);
    }

    /// Reads from the local end unless too much waits, and notes its end.
    fn read_local(&mut self, key: usize, scratch: &mut [u8]) -> Option<usize> {
        let session = self.sessions.get_mut(key)?;
        let Session { end: LocalEnd::Tcp(tcp), control: Some(control), to_tunnel, to_local, .. } = session
        else {
            return None;
        };
        let has_room = to_tunnel.len() < WAITING && to_local.len() < WAITING;
        while tcp.readable && has_room && !control.has_ended() {
            match tcp.socket.read(&mut scratch[..WAITING]) {
                Ok(0) => control.ended = true,
                Ok(count) => return Some(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => tcp.failed = true,
            }
            if tcp.failed {
                break;
            }
        }
        None
    }

    /// Takes apart what the tunnel brings for a control channel.
    pub(super) fn deliver_control(&mut self, key: usize, bytes: &[u8], now: Nanos) {
        let Some(control) = self.control(key) else { return };
        control.owed += bytes.len();
        let done = control.run(
            |near, out| near.server_bytes(bytes, now, out),
            |far, out| far.client_bytes(bytes, now, out),
        );
        self.carry_out(key, done, now);
        self.time_line(key);
    }

    fn control(&mut self, key: usize) -> Option<&mut Control> {
        self.sessions.get_mut(key)?.control.as_deref_mut()
    }

    /// Does what a machine wants, and what that leads to.
    fn carry_out(&mut self, key: usize, mut done: Done, now: Nanos) {
        loop {
            let mut next = None;
            for wanted in std::mem::take(&mut done.wanted) {
                let opened = match wanted {
                    Wanted::Announced(port) => {
                        if let Some(Control { announced, .. }) = self.control(key) {
                            if announced.len() == ANNOUNCED {
                                announced.remove(0);
                            }
                            announced.push(port);
                        }
                        continue;
                    }
                    Wanted::Passive(far_port) => self.listen_for_data(key, Some(far_port), now),
                    Wanted::Active => self.listen_for_data(key, None, now),
                };
                let Some(control) = self.control(key) else { return };
                next = Some(match opened {
                    Ok(local) => control.run(
                        |near, out| near.passive_listening(local, now, out),
                        |far, out| far.active_listening(local, now, out),
                    ),
                    Err(error) => {
                        tracing::warn!(%error, "cannot listen for a data connection of FTP");
                        control.run(
                            |near, out| near.passive_failed(now, out),
                            |far, out| far.active_failed(now, out),
                        )
                    }
                });
            }
            let Some(session) = self.sessions.get_mut(key) else { return };
            session.to_local.push(&done.to_local);
            session.to_tunnel.push(&done.to_tunnel);
            if let Some(error) = done.error {
                return self.end_control(key, error, now);
            }
            match next {
                Some(more) => done = more,
                None => break,
            }
        }
        self.credit_control(key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        queue(&mut self.ready, session, key);
    }

    /// Gives the peer credit again for what was taken apart and has left.
    pub(super) fn credit_control(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(control) = &mut session.control else { return };
        if control.is_blocked() || session.to_local.len() >= WAITING || session.to_tunnel.len() >= WAITING {
            return;
        }
        let owed = std::mem::take(&mut control.owed);
        self.links.with(session.link, |streams| streams.taken(session.stream, owed));
    }

    /// The session ends: its client is told why, in the words that wait for it.
    fn end_control(&mut self, key: usize, error: FtpError, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        tracing::info!(session = session.info.id, client = %session.info.client, "FTP session ends: {error}");
        session.deadline = Some(now + FAREWELL);
        self.timers.set(now + FAREWELL, Timer::Deadline(session.handle(key)));
        if let Some(control) = &mut session.control {
            control.failed = true;
            if let Machine::Near(_) = control.machine {
                session.remote_finished = true;
                session.local_finished = true;
                self.links.with(session.link, |streams| {
                    streams.reset(session.stream, ResetReason::ProtocolError);
                });
            }
        }
        queue(&mut self.ready, session, key);
    }

    /// Has a line looked after that is not complete.
    fn time_line(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let handle = session.handle(key);
        if let Some(control) = &mut session.control
            && let Some(since) = control.partial_since()
            && !control.timed
        {
            control.timed = true;
            self.timers.set(since + LINE_WAIT, Timer::Line(handle));
        }
    }

    /// A line that was begun may have taken too long.
    pub(super) fn line_due(&mut self, handle: Handle, now: Nanos) {
        let Some(session) = handle::find(&mut self.sessions, handle) else { return };
        let Some(control) = &mut session.control else { return };
        control.timed = false;
        match control.partial_since() {
            Some(since) if since + LINE_WAIT <= now => {
                tracing::info!(session = handle.id, client = %session.info.client, "FTP session ends: a line takes too long");
                self.lose(handle.key, ResetReason::ProtocolError, None, now);
            }
            Some(_) => self.time_line(handle.key),
            None => {}
        }
    }

    /// What came for a server before it was reached is taken apart now.
    pub(super) fn control_reached(&mut self, key: usize, server: SocketAddr, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(control) = &mut session.control else { return };
        control.reached(server);
        let early = session.to_local.take();
        self.deliver_control(key, &early, now);
    }
}
