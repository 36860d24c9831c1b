//! A blocking client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::codec::{CodecError, MAX_REPLY, decode_reply, encode_request};
use crate::message::{Failure, Reply, Request};
use crate::watch::End;

/// Longest silence of the node while it is expected to read or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens at the socket, or access is denied.
    #[error("cannot reach the node at {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The connection broke, or the node fell silent for ten seconds.
    #[error("lost the node: {0}")]
    Lost(#[from] io::Error),
    /// The node closed the connection without an answer.
    #[error("the node closed the connection without an answer")]
    Closed,
    /// The node's answer could not be understood.
    #[error("the node's answer: {0}")]
    Codec(#[from] CodecError),
    /// The node answered another request than the one asked.
    #[error("the node answered with another kind of reply than was asked for")]
    Mismatch,
    /// The node refused.
    #[error("the node refused: {0}")]
    Refused(#[from] Failure),
}

/// A connection to a node's control socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let connected = UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream) }),
            Err(source) => Err(ClientError::Connect { path: path.to_owned(), source }),
        }
    }

    /// What ends the connection from another thread.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the process has too many files open.
    pub fn hangup(&self) -> Result<Hangup, ClientError> {
        Ok(Hangup(self.stream.get_ref().try_clone()?))
    }

    /// Asks and waits for the answer, which is never [`Reply::Error`].
    ///
    /// # Errors
    /// [`ClientError`]; after any but [`ClientError::Refused`] the connection is of no more use.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.stream.get_mut().write_all(&encode_request(request)?)?;
        match self.next_reply()? {
            reply if request.is_answered_by(&reply) => Ok(reply),
            _ => Err(ClientError::Mismatch),
        }
    }

    /// Asks for a list that comes row by row ([`Request::is_followed`]), and has `row` take each. The list ends early
    /// when `row` says [`ControlFlow::Break`]; the connection is of no more use then.
    ///
    /// # Errors
    /// [`ClientError`], and those of `row`.
    pub fn follow<E: From<ClientError>>(
        &mut self,
        request: &Request,
        mut row: impl FnMut(Reply) -> Result<ControlFlow<()>, E>,
    ) -> Result<Option<End>, E> {
        let stream = self.stream.get_mut();
        let asked = encode_request(request).map_err(ClientError::from)?;
        // The node keeps the time: rows may be far apart.
        stream.set_read_timeout(None).and_then(|()| stream.write_all(&asked)).map_err(ClientError::from)?;
        loop {
            match self.next_reply()? {
                Reply::End(end) => {
                    self.stream.get_mut().set_read_timeout(Some(PATIENCE)).map_err(ClientError::from)?;
                    return Ok(Some(end));
                }
                reply if request.is_answered_by(&reply) => {
                    if row(reply)?.is_break() {
                        return Ok(None);
                    }
                }
                _ => return Err(ClientError::Mismatch.into()),
            }
        }
    }

    /// The next line, unless it is a refusal.
    fn next_reply(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let limit = MAX_REPLY as u64 + 1;
        (&mut self.stream).take(limit).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(match line.len() > MAX_REPLY {
                true => CodecError::TooLong { limit: MAX_REPLY }.into(),
                false => ClientError::Closed,
            });
        }
        match decode_reply(&line)? {
            Reply::Error(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }
}

/// Ends a [`Client`]'s connection when it is dropped: whoever waits for an answer on it is told that it is lost.
#[derive(Debug)]
pub struct Hangup(UnixStream);

impl Drop for Hangup {
    fn drop(&mut self) {
        // A connection that is gone already is as good.
        drop(self.0.shutdown(Shutdown::Both));
    }
}
