//! One handshake: its socket and its bytes.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use gridway_tunnel::{Established, Handshake, HandshakeError, Progress};
use gridway_wire::time::Nanos;
use mio::net::TcpStream;

use crate::dialler::Attempt;

/// A handshake under way.
pub(super) struct Pending {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) handshake: Option<Handshake>,
    pub(super) established: Option<Box<Established>>,
    pub(super) attempt: Option<Attempt>,
    pub(super) output: Vec<u8>,
    pub(super) deadline: Nanos,
    /// Refused: only the output is still to be sent.
    pub(super) leaving: bool,
}

/// What ends a handshake before it is complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("peer closed during the handshake")]
    Eof,
    #[error("handshake not complete in time")]
    TimedOut,
    #[error("internal error, see the log")]
    Panic,
}

impl Pending {
    /// Reads, handles and writes. True when there is nothing left to do.
    pub(super) fn advance(&mut self) -> Result<bool, Failure> {
        if self.attempt.is_some()
            && let Some(error) = self.stream.take_error()?
        {
            return Err(error.into());
        }
        if !self.leaving {
            // Starts a dialled handshake; otherwise harmless.
            self.feed(&[])?;
        }
        let mut bytes = [0; 16 * 1024];
        while !self.leaving && self.established.is_none() {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(Failure::Eof),
                Ok(count) => self.feed(&bytes[..count])?,
                Err(error) if is_pending(&error) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(Failure::Eof),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if is_pending(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.leaving || self.established.is_some())
    }

    /// Where the peer is: one that has dialled had a port of no interest.
    pub(super) fn place(&self) -> String {
        match self.attempt {
            Some(_) => self.address.to_string(),
            None => self.address.ip().to_string(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        let progress = handshake.handle_input(bytes)?;
        self.output.append(handshake.output());
        if let Progress::Done(established) = progress {
            self.established = Some(established);
            self.handshake = None;
        }
        Ok(())
    }
}

/// Not connected yet reads as `ENOTCONN`.
fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
