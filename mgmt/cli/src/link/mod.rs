//! The way to a node: its control socket, or the management API of another machine.

mod api;
mod call;
mod rows;
mod target;

use std::ops::ControlFlow;

use gridway_control::{Client, ClientError, End, Failure, Reply, Request};
use thiserror::Error;

pub(crate) use api::{Api, ApiError};
pub(crate) use rows::{Next, Rows};
pub(crate) use target::Target;

/// A way to a node.
pub(crate) enum Link {
    /// Its control socket, or the local socket of the management process.
    Socket(Client),
    /// HTTPS to the management process.
    Api(Box<Api>),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    /// Over a socket.
    #[error(transparent)]
    Socket(#[from] ClientError),
    /// Over the API.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Link {
    /// Asks and waits for the answer, which is never [`Reply::Error`].
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Reply, LinkError> {
        match self {
            Self::Socket(client) => Ok(client.ask(request)?),
            Self::Api(api) => Ok(api.ask(request)?),
        }
    }

    /// Asks for a list that comes row by row, and has `row` take each until it has seen enough.
    fn follow(
        &mut self,
        request: &Request,
        mut row: impl FnMut(Reply) -> ControlFlow<()>,
    ) -> Result<Option<End>, LinkError> {
        match self {
            Self::Socket(client) => client.follow(request, |reply| Ok::<_, LinkError>(row(reply))),
            Self::Api(api) => Ok(api.follow(request, row)?),
        }
    }

    /// Asks for a list that comes row by row; the rows are read on a thread of their own.
    pub(crate) fn rows(self, request: Request) -> Rows {
        Rows::begin(self, request)
    }
}

impl LinkError {
    /// What the node answered in place of what was asked for, if it answered.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Socket(ClientError::Refused(failure)) | Self::Api(ApiError::Refused(failure)) => {
                Some(failure)
            }
            Self::Socket(_) | Self::Api(_) => None,
        }
    }

    /// 1: refused; 2: usage; 3: the node cannot be reached.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Socket(ClientError::Refused(_)) => 1,
            Self::Socket(_) => 3,
            Self::Api(error) => error.exit_status(),
        }
    }
}
