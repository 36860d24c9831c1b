//! The data plane, as its control socket shows it. Its client blocks, so every question has a thread while it is
//! asked, and there are few at once.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gridway_control::{Client, ClientError, Failure, FailureKind, Hangup, Reply, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Questions at once that are answered at once; others wait for their turn.
const QUESTIONS: usize = 6;
/// Questions at once that viewers may ask and whose answers take their time: echo requests, and waits for events.
const WAITS: usize = 6;
/// Lists of traced or captured packets at once: operators', so that no viewer takes their place.
const LISTS: usize = 6;
/// How long a question waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Rows of a list that wait for a slow client.
const ROWS: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// Too many questions at once.
    #[error("too many requests to the node at once; try again")]
    Busy,
    /// The data plane does not run, or broke off.
    #[error("{0}")]
    Unreachable(ClientError),
    /// It refused.
    #[error("{0}")]
    Refused(Failure),
}

impl From<ClientError> for NodeError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(failure) => Self::Refused(failure),
            other => Self::Unreachable(other),
        }
    }
}

impl NodeError {
    /// Whether the node does not know the request, or has not what was asked for.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(failure) if failure.kind == FailureKind::NotFound)
    }
}

/// The data plane of the node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    socket: PathBuf,
    questions: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

/// Rows of a list, as they come. Dropping it ends the list.
pub(crate) struct Rows {
    rows: mpsc::Receiver<Result<Reply, NodeError>>,
    _hangup: Option<Hangup>,
}

impl Rows {
    /// The next row, the last of which is [`Reply::End`] or an error; `None` behind it.
    pub(crate) async fn next(&mut self) -> Option<Result<Reply, NodeError>> {
        self.rows.recv().await
    }
}

impl Node {
    pub(crate) fn new(socket: PathBuf) -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { socket, questions: permits(QUESTIONS), waits: permits(WAITS), lists: permits(LISTS) }
    }

    /// Asks something that is answered at once.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, NodeError> {
        let turn = timeout(TURN, self.questions.clone().acquire_owned()).await;
        let permit = turn.ok().and_then(Result::ok).ok_or(NodeError::Busy)?;
        self.put(request, Some(permit)).await
    }

    /// Asks something whose answer may wait.
    ///
    /// # Errors
    /// [`NodeError`]; [`NodeError::Busy`] at once.
    pub(crate) async fn ask_patiently(&self, request: Request) -> Result<Reply, NodeError> {
        let permit = self.waits.clone().try_acquire_owned().map_err(|_| NodeError::Busy)?;
        self.put(request, Some(permit)).await
    }

    /// Asks without a turn: for the recorder, which asks one thing at a time.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) async fn ask_aside(&self, request: Request) -> Result<Reply, NodeError> {
        self.put(request, None).await
    }

    async fn put(&self, request: Request, permit: Option<OwnedSemaphorePermit>) -> Result<Reply, NodeError> {
        let socket = self.socket.clone();
        let asked = spawn_blocking(move || {
            // Given back when the thread is free again, also when nobody waits for the answer any more.
            let _permit = permit;
            Client::connect(&socket)?.ask(&request)
        });
        Ok(asked.await.unwrap_or(Err(ClientError::Closed))?)
    }

    /// Asks for a list that comes row by row.
    ///
    /// # Errors
    /// [`NodeError`]; [`NodeError::Busy`] at once.
    pub(crate) async fn follow(&self, request: Request) -> Result<Rows, NodeError> {
        let turns = match request {
            Request::Trace { .. } | Request::Capture { .. } => &self.lists,
            _ => &self.waits,
        };
        let permit = turns.clone().try_acquire_owned().map_err(|_| NodeError::Busy)?;
        let socket = self.socket.clone();
        let (sender, rows) = mpsc::channel(ROWS);
        let (connected, hangup) = oneshot::channel();
        spawn_blocking(move || {
            let _permit = permit;
            let outcome = Client::connect(&socket).and_then(|mut client| {
                // Nobody waits for it if the request was given up.
                drop(connected.send(client.hangup()?));
                client.follow::<ClientError>(&request, |row| {
                    Ok(match sender.blocking_send(Ok(row)) {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(_) => ControlFlow::Break(()),
                    })
                })
            });
            let last = match outcome {
                Ok(Some(end)) => Ok(Reply::End(end)),
                Ok(None) => return,
                Err(error) => Err(error.into()),
            };
            // Nobody is left to be told.
            drop(sender.blocking_send(last));
        });
        Ok(Rows { rows, _hangup: hangup.await.ok() })
    }
}
