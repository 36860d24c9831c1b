//! Bytes between streams and local ends.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;

use gridway_tunnel::ConnectionId;
use gridway_tunnel::streams::Change;
use gridway_wire::frame::{ResetReason, StreamId};
use gridway_wire::time::Nanos;

use super::session::{LocalEnd, Session, TcpEnd};
use super::timers::Timer;
use super::{Engine, queue};
use crate::Refusal;
use crate::engine::socket;

/// Parts of a stream that are written together.
const GATHERED: usize = 16;

/// Data of one stream, of frames that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathered<'a> {
    key: usize,
    stream: StreamId,
    parts: [&'a [u8]; GATHERED],
    count: usize,
}

impl Default for Gathered<'_> {
    fn default() -> Self {
        Self { key: 0, stream: StreamId(0), parts: [&[]; GATHERED], count: 0 }
    }
}

impl<'a> Gathered<'a> {
    pub(super) fn of(key: usize, stream: StreamId, bytes: &'a [u8]) -> Self {
        let mut gathered = Self { key, stream, ..Self::default() };
        (gathered.parts[0], gathered.count) = (bytes, 1);
        gathered
    }

    /// Adds bytes. False: they are of another stream, or there is no place.
    pub(super) fn add(&mut self, key: usize, stream: StreamId, bytes: &'a [u8]) -> bool {
        if (self.key, self.stream) != (key, stream) || self.count == GATHERED {
            return false;
        }
        self.parts[self.count] = bytes;
        self.count += 1;
        true
    }

    fn parts(&self) -> &[&'a [u8]] {
        &self.parts[..self.count]
    }
}

impl Engine {
    /// Acts on what happened to a stream of the connection `link`.
    pub(super) fn handle(&mut self, link: ConnectionId, change: Change<'_>, now: Nanos) {
        match change {
            Change::Open(stream, open) => self.open_from_peer(link, stream, &open, now),
            Change::Opened(key) => {
                if let Some(session) = self.sessions.get(key) {
                    session.info.opened();
                }
            }
            Change::Finish(key) => {
                let Some(session) = self.sessions.get_mut(key) else { return };
                session.remote_finished = true;
                session.info.closing();
                queue(&mut self.ready, session, key);
            }
            Change::Reset(key, reason) => self.lose(key, reason, Refusal::told(reason), now),
        }
    }

    /// Gives bytes of the tunnel to the local end.
    pub(super) fn deliver(&mut self, gathered: &Gathered<'_>, now: Nanos) {
        let Gathered { key, stream, .. } = *gathered;
        let Some(session) = self.sessions.get_mut(key).filter(|_| gathered.count > 0) else { return };
        if let LocalEnd::Datagrams(_) = &session.end {
            gathered.parts().iter().for_each(|bytes| self.deliver_datagrams(key, stream, bytes, now));
            return;
        }
        if session.control.is_some() && !matches!(session.end, LocalEnd::Reaching(_)) {
            gathered.parts().iter().for_each(|bytes| self.deliver_control(key, bytes, now));
            return;
        }
        let mut written = 0;
        let way = session.way_out();
        let limited = session.listener.is_some_and(|key| self.listeners[key].is_limited(way));
        if let LocalEnd::Tcp(tcp) = &mut session.end
            && session.to_local.is_empty()
            && !limited
        {
            // What the socket takes at once is never copied.
            written = tcp.write(gathered.parts());
            if written > 0 {
                session.info.count(way, written, now);
                self.links.with(session.link, |streams| streams.taken(stream, written));
            }
        }
        let failed = matches!(&session.end, LocalEnd::Tcp(tcp) if tcp.failed);
        if failed || limited {
            queue(&mut self.ready, session, key);
        }
        let mut behind = written;
        for bytes in gathered.parts() {
            let skipped = behind.min(bytes.len());
            behind -= skipped;
            session.to_local.push(&bytes[skipped..]);
        }
    }

    /// Looks at a session whose socket is ready, or which has something for it.
    pub(super) fn advance(&mut self, key: usize, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.queued = false;
        match &session.end {
            LocalEnd::Reaching(_) => self.go_on_reaching(key, now),
            LocalEnd::Datagrams(_) => self.advance_datagrams(key, now),
            LocalEnd::Tcp(_) => self.advance_tcp(key, now),
        }
    }

    fn advance_tcp(&mut self, key: usize, now: Nanos) {
        // First what waits: there may be room for more then.
        self.flush_local(key, now);
        if self.sessions[key].control.is_some() {
            self.read_control(key, now);
            self.flush_local(key, now);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        let LocalEnd::Tcp(tcp) = &mut session.end else { return };
        if tcp.failed {
            return self.lose(key, ResetReason::Aborted, None, now);
        }
        if session.remote_finished && session.to_local.is_empty() && !tcp.shut {
            // Fails where the other end is gone; then there is nothing to tell it.
            drop(tcp.socket.shutdown(Shutdown::Write));
            tcp.shut = true;
        }
        let sends = match &session.control {
            None => tcp.readable || !session.to_tunnel.is_empty(),
            Some(control) => !session.to_tunnel.is_empty() || control.has_ended(),
        };
        if sends && !session.local_finished {
            self.links.with(session.link, |streams| streams.wants_to_send(session.stream));
        }
        if session.is_over() {
            self.forget(key, now);
        }
    }

    /// Writes what waits for the local end, as far as it takes it and the connector's rate allows.
    fn flush_local(&mut self, key: usize, now: Nanos) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (way, waiter) = (session.way_out(), session.handle(key));
        let Session { end: LocalEnd::Tcp(tcp), to_local, info, listener, link, stream, .. } = session else {
            return;
        };
        let mut taken = 0;
        while tcp.writable && !tcp.failed && !to_local.is_empty() {
            let limited = listener.filter(|key| self.listeners[*key].is_limited(way));
            let share = limited.map_or(usize::MAX, |key| self.listeners[key].limit(way).share(waiter, now));
            let outcome = if share == 0 { Ok((0, 0)) } else { to_local.write(&mut tcp.socket, share) };
            match outcome {
                Ok((written, of_peer)) => {
                    info.count(way, of_peer, now);
                    taken += of_peer;
                    if let Some(listener) = limited {
                        // One share, then others have theirs.
                        let limit = self.listeners[listener].limit(way);
                        limit.spend(written, now);
                        if let Some(at) = limit.wait(waiter, now) {
                            self.timers.set(at, Timer::Release(listener, way));
                        }
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => tcp.failed = true,
            }
        }
        if session.control.is_some() {
            self.credit_control(key);
        } else {
            self.links.with(*link, |streams| streams.taken(*stream, taken));
        }
    }
}

impl TcpEnd {
    /// Writes of `parts` what the socket takes, and gives how many bytes those were.
    fn write(&mut self, parts: &[&[u8]]) -> usize {
        let mut slices = [IoSlice::new(&[]); GATHERED];
        slices.iter_mut().zip(parts).for_each(|(slice, part)| *slice = IoSlice::new(part));
        let (mut rest, mut written) = (&mut slices[..parts.len()], 0);
        while self.writable && !rest.is_empty() {
            match self.socket.write_vectored(rest) {
                Ok(count) => {
                    written += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.failed = true;
                    break;
                }
            }
        }
        written
    }

    /// The connection is given up without an orderly end.
    pub(super) fn abort(&self) {
        socket::abort(&self.socket);
    }
}
