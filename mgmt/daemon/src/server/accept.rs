//! Connections: accepted, proven, served, and bounded in number and time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::server::counts::{Counted, Counts};
use crate::server::operator::{Caller, Operator};
use crate::server::socket::tune;
use crate::server::trust::Trust;

/// Connections at once.
const CONNECTIONS: usize = 256;
/// Handshakes at once.
const HANDSHAKES: usize = 64;
/// Handshakes at once of one network of clients ([`network`]): a stranger cannot have all of them.
const HANDSHAKES_OF_ONE: usize = 16;
/// Connections at once of one operator.
const CONNECTIONS_OF_ONE: usize = 32;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a request's head may take, and how long a connection may be idle between two requests.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 32 * 1024;
/// How long requests may take to end when the process does.
const FAREWELL: Duration = Duration::from_secs(3);

/// Who came, and how many were turned away.
#[derive(Debug)]
pub(crate) struct Doors {
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    by_network: Arc<Counts<IpAddr>>,
    by_operator: Arc<Counts<String>>,
    /// Connections that found no room.
    pub(crate) crowded: AtomicU64,
    /// Handshakes that failed.
    pub(crate) refused: AtomicU64,
}

impl Doors {
    pub(crate) fn new() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            by_network: Arc::default(),
            by_operator: Arc::default(),
            crowded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Connections now.
    pub(crate) fn open(&self) -> usize {
        CONNECTIONS - self.connections.available_permits()
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(OwnedSemaphorePermit, Handshake)> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let permit = self.handshakes.clone().try_acquire_owned().ok()?;
        let counted = self.by_network.clone().enter(network(address), HANDSHAKES_OF_ONE)?;
        Some((connection, Handshake { _counted: counted, _permit: permit }))
    }
}

/// A handshake that takes place.
struct Handshake {
    _counted: Counted<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

/// What one client may have addresses of: a /24, or a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Returns when the process ends.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Serves until `stop` says true, and then until requests have ended or were given time to.
pub(crate) async fn serve(
    listener: TcpListener,
    doors: Arc<Doors>,
    trust: Arc<ArcSwap<Trust>>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        let Ok((stream, address)) = accepted else {
            // Out of file descriptors, at worst: clients come again.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some((connection, handshake)) = doors.enter(address.ip()) else {
            doors.crowded.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (doors, trust) = (doors.clone(), trust.load_full());
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            let _connection = connection;
            match prove(stream, &trust, address, handshake).await {
                Ok((stream, caller)) => {
                    // A connection may live longer than what it was proven by.
                    drop(trust);
                    let name = caller.operator.name.clone();
                    match doors.by_operator.clone().enter(name, CONNECTIONS_OF_ONE) {
                        Some(_counted) => attend(stream, router.layer(Extension(caller)), stop).await,
                        None => {
                            doors.crowded.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                Err(error) => {
                    doors.refused.fetch_add(1, Ordering::Relaxed);
                    // At debug: whoever reaches the port can cause it.
                    tracing::debug!(%address, %error, "API client refused");
                }
            }
        });
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS).expect("a small constant");
    // Those that remain end with the process.
    drop(timeout(FAREWELL, doors.connections.acquire_many(all)).await);
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// The handshake, and who came of it.
async fn prove(
    stream: TcpStream,
    trust: &Trust,
    address: SocketAddr,
    _handshake: Handshake,
) -> Result<(TlsStream, Caller), Box<dyn std::error::Error + Send + Sync>> {
    tune(&stream)?;
    let acceptor = TlsAcceptor::from(trust.tls.clone());
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = chain.first().ok_or("no client certificate")?;
    let operator = Arc::new(Operator::from_der(certificate, trust.roots.clone())?);
    Ok((stream, Caller { operator, address }))
}

async fn attend(stream: TlsStream, router: Router, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "API client");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_its_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
