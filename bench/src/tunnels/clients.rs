//! Many peers' ends of tunnels, in one thread.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use gridway_config::{Domain, NodeName};
use gridway_lab::gateway::Pki;
use gridway_lab::{Namespace, NodeConfig};
use gridway_pki::{Authority, CertificateRequest};
use gridway_tunnel::Credentials;
use gridway_tunnel::credentials::PemFiles;
use gridway_wire::time::Nanos;
use mio::{Events, Interest, Poll, Token};

use super::client::{Client, Scratch};

/// Handshakes under way at once: a gateway accepts 16 from one network.
const AT_ONCE: usize = 8;
/// How often the thread looks whether it is to dial or to end.
const LOOK: Duration = Duration::from_millis(5);
/// Tunnels heard of at once.
const EVENTS: usize = 1024;

/// Where peers dial.
#[derive(Clone)]
pub(super) struct Gateway {
    pub(super) name: &'static str,
    pub(super) listen: SocketAddr,
}

/// What the thread is told, and what it says.
#[derive(Default)]
struct Shared {
    wanted: AtomicUsize,
    up: AtomicUsize,
    packets: AtomicU64,
    stop: AtomicBool,
}

/// Peers at work; all their tunnels end with this.
pub(super) struct Clients {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Name of peer `n`.
pub(super) fn name(n: usize) -> String {
    format!("peer-{n}")
}

/// Keys and certificates of so many peers, in memory.
pub(super) fn credentials(pki: &Pki, count: usize) -> Result<Vec<Credentials>> {
    let store = pki.store()?;
    (0..count).map(|n| credentials_of(store.authority(), &name(n))).collect()
}

/// Key and certificate of a node, in memory.
pub(super) fn credentials_of(authority: &Authority, node: &str) -> Result<Credentials> {
    let domain = Domain::new(NodeConfig::DOMAIN)?;
    let node = NodeName::new(node)?;
    let issued = authority.issue(&CertificateRequest::node(&node, &domain, SystemTime::now()))?;
    let files = PemFiles {
        ca: authority.certificate_pem().as_bytes(),
        certificate: issued.certificate_pem.as_bytes(),
        private_key: issued.key_pem.as_bytes(),
        crl: None,
    };
    Ok(Credentials::from_pem(&files, &node.san(&domain))?)
}

impl Clients {
    /// Starts the thread in a namespace; it dials nobody yet.
    pub(super) fn start(namespace: &Namespace, gateway: Gateway, known: Arc<Vec<Credentials>>) -> Self {
        let shared = Arc::new(Shared::default());
        let (theirs, namespace) = (Arc::clone(&shared), namespace.clone());
        let thread = std::thread::spawn(move || namespace.enter(|| serve(&theirs, &gateway, &known))?);
        Self { shared, thread: Some(thread) }
    }

    /// Has so many tunnels, and waits until all are up at this end; how long that took.
    pub(super) fn reach(&mut self, count: usize, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        self.shared.wanted.store(count, Ordering::Release);
        while self.shared.up.load(Ordering::Acquire) < count {
            self.check()?;
            if start.elapsed() >= limit {
                bail!("{} of {count} tunnels are up after {limit:?}", self.shared.up.load(Ordering::Acquire));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(start.elapsed())
    }

    /// Packets that all peers have received so far.
    ///
    /// # Errors
    /// That of a peer whose tunnel has ended.
    pub(super) fn packets(&mut self) -> Result<u64> {
        self.check()?;
        Ok(self.shared.packets.load(Ordering::Acquire))
    }

    /// Says why the thread has ended, if it has.
    fn check(&mut self) -> Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            None if self.thread.is_some() => Ok(()),
            None => bail!("the peers have ended"),
            Some(thread) => match thread.join() {
                Ok(Ok(())) => bail!("the peers have ended"),
                Ok(Err(error)) => Err(error),
                Err(_) => bail!("the peers' thread panicked"),
            },
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Whoever drops this has heard of an error, or wants to hear no more.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Dials while there are fewer than wanted, and answers, until told to stop.
fn serve(shared: &Shared, gateway: &Gateway, known: &[Credentials]) -> Result<()> {
    let start = Instant::now();
    let mut scratch = Scratch::new();
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS));
    let mut clients: Vec<Client> = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let wanted = shared.wanted.load(Ordering::Acquire).min(known.len());
        let mut under_way = clients.iter().filter(|client| !client.is_up()).count();
        while clients.len() < wanted && under_way < AT_ONCE {
            let n = clients.len();
            let mut client = Client::dial(&name(n), &known[n], gateway.name, gateway.listen)?;
            poll.registry().register(client.stream(), Token(n), Interest::READABLE | Interest::WRITABLE)?;
            clients.push(client);
            under_way += 1;
        }
        match poll.poll(&mut events, Some(LOOK)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(error).context("cannot wait for tunnels");
            }
            _ => {}
        }
        let now = Nanos::from(start.elapsed());
        let mut packets = 0;
        for event in &events {
            let client = &mut clients[event.token().0];
            packets += client.turn(&mut scratch, now).with_context(|| client.name().to_owned())?;
        }
        shared.packets.fetch_add(packets, Ordering::AcqRel);
        shared.up.store(clients.iter().filter(|client| client.is_up()).count(), Ordering::Release);
    }
    Ok(())
}
