//! What the command line asks this process: the control protocol on a Unix socket, for what the data plane does not
//! keep.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gridway_control::{Failure, FailureKind, Reply, Request, RequestBuffer, encode_reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::store::{Store, StoreError};

/// Clients at once.
const CLIENTS: usize = 16;
/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves clients until the process ends.
pub(crate) async fn serve(listener: UnixListener, store: Store) {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of file descriptors, at worst: clients come again.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let permit = clients.clone().try_acquire_owned();
        let store = store.clone();
        tokio::spawn(async move {
            let outcome = match permit {
                Ok(_permit) => attend(stream, &store).await,
                Err(_) => {
                    let message = format!("{CLIENTS} clients are connected already");
                    send(&mut stream, &Reply::Error(Failure::new(FailureKind::Busy, message))).await
                }
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "local client");
            }
        });
    }
}

async fn attend(mut stream: UnixStream, store: &Store) -> io::Result<()> {
    let (mut buffer, mut bytes) = (RequestBuffer::default(), [0; 4096]);
    loop {
        loop {
            match buffer.next_request() {
                Ok(Some(request)) => send(&mut stream, &answer(store, &request).await).await?,
                // Nothing that is served here needs a long line.
                Ok(None) if buffer.wants_more() => {
                    let failure = Failure::new(FailureKind::BadRequest, "the line is too long");
                    return send(&mut stream, &Reply::Error(failure)).await;
                }
                Ok(None) => break,
                Err(error) => {
                    let failure = Failure::new(FailureKind::BadRequest, error.to_string());
                    return send(&mut stream, &Reply::Error(failure)).await;
                }
            }
        }
        match timeout(PATIENCE, stream.read(&mut bytes)).await?? {
            0 => return Ok(()),
            count => buffer.feed(&bytes[..count]),
        }
    }
}

async fn answer(store: &Store, request: &Request) -> Reply {
    let failed = |error: StoreError| Reply::Error(Failure::new(FailureKind::Internal, error.to_string()));
    match request {
        Request::History => store.versions().await.map_or_else(failed, Reply::History),
        Request::Version { version } => match store.version(*version).await {
            Ok(Some(text)) => Reply::Version(text),
            Ok(None) => {
                let message = format!("there is no version {version}");
                Reply::Error(Failure::new(FailureKind::NotFound, message))
            }
            Err(error) => failed(error),
        },
        _ => Reply::Error(Failure::new(FailureKind::NotFound, "not served here; ask the node's own socket")),
    }
}

async fn send(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let bytes = encode_reply(reply)
        .or_else(|error| encode_reply(&Reply::Error(Failure::new(FailureKind::Internal, error.to_string()))));
    timeout(PATIENCE, stream.write_all(&bytes.map_err(io::Error::other)?)).await?
}
