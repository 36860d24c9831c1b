//! Requests whose body or answer may be as long as a configuration, or a full list of flows: one at a time of each kind,
//! from before the body is read until the answer is sent. Viewers have a turn of their own, so that they hold up
//! neither operators nor a change.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api::failure::Failure;
use crate::server::Role;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that an answer is sent in: its turn ends when the last of them are.
const PIECE: usize = 64 * 1024;

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Turns {
    viewers: Arc<Semaphore>,
    operators: Arc<Semaphore>,
    changes: Arc<Semaphore>,
}

/// The right to be large. It ends with its last clone.
#[derive(Debug, Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Turns {
    pub(crate) fn new() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { viewers: one(), operators: one(), changes: one() }
    }

    /// Whose turn a request of `role` needs; `None` for one that is never large.
    pub(super) fn needed(&self, role: Role, request: &Request) -> Option<Arc<Semaphore>> {
        let (method, path) = (request.method(), request.uri().path());
        let is_change = method == Method::POST && path == "/v1/config";
        let is_judged = method == Method::POST && path == "/v1/config/judge";
        let is_read = matches!(path, "/v1/config" | "/v1/config/normalised" | "/v1/flows" | "/v1/sessions")
            || path.starts_with("/v1/config/versions/");
        match role {
            // Is refused.
            Role::Viewer if is_change => None,
            Role::Operator if is_change => Some(self.changes.clone()),
            _ if !(is_judged || is_read && matches!(*method, Method::GET | Method::HEAD)) => None,
            Role::Viewer => Some(self.viewers.clone()),
            Role::Operator => Some(self.operators.clone()),
        }
    }
}

impl Turn {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Failure`] when it takes too long.
    pub(super) async fn take(of: Arc<Semaphore>) -> Result<Self, Failure> {
        let permit = timeout(PATIENCE, of.acquire_owned()).await.ok().and_then(Result::ok);
        permit
            .map(|permit| Self(Arc::new(permit)))
            .ok_or_else(|| Failure::busy("another request that may be as large is being served; try again"))
    }

    /// Has the turn last until `response` is sent.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Sent { body, rest: Bytes::new(), _turn: self }))
    }
}

/// A body that holds its turn. It comes in pieces: whoever sends it lets go of it with the last one.
struct Sent {
    body: Body,
    rest: Bytes,
    _turn: Turn,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(length) => SizeHint::with_exact(length + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}
