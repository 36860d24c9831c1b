//! TCP and UDP echo between namespaces, in this process.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// How long a blocked server call waits before it looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);
/// TCP connections served at once; further ones are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// Clients remembered.
const MAX_CLIENTS: usize = 4096;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    clients: Mutex<VecDeque<SocketAddr>>,
}

impl Shared {
    fn remember(&self, client: SocketAddr) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() == MAX_CLIENTS {
            clients.pop_front();
        }
        clients.push_back(client);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Sends back what it receives until dropped, and remembers who asked: what a target behind NAT saw as source.
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    /// A TCP echo server; port 0 takes a free one.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub fn tcp(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let what = format!("listen on tcp {address} in {}", namespace.name());
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = namespace.enter(open)?.map_err(LabError::io::<io::Error>(what))?;
        Self::start(address, move |shared| accept_loop(&listener, shared))
    }

    /// A UDP echo server; port 0 takes a free one.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub fn udp(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let what = format!("bind udp {address} in {}", namespace.name());
        let open = || {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(TICK))?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = namespace.enter(open)?.map_err(LabError::io::<io::Error>(what))?;
        Self::start(address, move |shared| datagram_loop(&socket, shared))
    }

    fn start(address: SocketAddr, serve: impl FnOnce(&Arc<Shared>) + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("echo".to_owned())
            .spawn(move || serve(&theirs))
            .map_err(LabError::io("start an echo server"))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Source addresses of the connections and datagrams that came, oldest first (the last 4096).
    #[must_use]
    pub fn clients(&self) -> Vec<SocketAddr> {
        let clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().copied().collect()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("an echo server on {} panicked", self.address);
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn accept_loop(listener: &TcpListener, shared: &Arc<Shared>) {
    thread::scope(|scope| {
        while !shared.stopped() {
            match listener.accept() {
                Ok((stream, client)) => {
                    shared.remember(client);
                    if shared.connections.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS {
                        scope.spawn(|| {
                            // A connection that breaks is the client's to notice.
                            let _ = echo_stream(stream, shared);
                            shared.connections.fetch_sub(1, Ordering::Relaxed);
                        });
                    } else {
                        shared.connections.fetch_sub(1, Ordering::Relaxed);
                    }
                }
                Err(_) => thread::sleep(TICK / 10),
            }
        }
    });
}

fn echo_stream(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = vec![0; 64 << 10];
    while !shared.stopped() {
        match stream.read(&mut buffer) {
            Ok(0) => return stream.shutdown(Shutdown::Write),
            Ok(len) => stream.write_all(&buffer[..len])?,
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn datagram_loop(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    while !shared.stopped() {
        // Errors here are time-outs and ICMP answers to earlier replies; neither ends a server.
        if let Ok((len, client)) = socket.recv_from(&mut buffer) {
            shared.remember(client);
            let _ = socket.send_to(&buffer[..len], client);
        }
    }
}

/// Connects, sends `payload`, closes the sending half, and returns all that comes back.
///
/// # Errors
/// [`LabError::Io`]: refused, unreachable, reset, or nothing for `limit`.
pub fn echo_tcp(from: &Namespace, to: SocketAddr, payload: &[u8], limit: Duration) -> Result<Vec<u8>> {
    let exchange = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&to, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let mut sender = stream.try_clone()?;
        let mut answer = Vec::with_capacity(payload.len());
        // Both at once, or a payload larger than the buffers on the way would block for ever.
        thread::scope(|scope| {
            let sending = scope.spawn(move || {
                sender.write_all(payload)?;
                sender.shutdown(Shutdown::Write)
            });
            // One byte more than sent shows an echo that returns too much, without reading for ever.
            (&mut stream).take(payload.len() as u64 + 1).read_to_end(&mut answer)?;
            sending.join().unwrap_or_else(|_| Err(io::Error::other("the sending thread panicked")))
        })?;
        Ok(answer)
    };
    from.enter(exchange)?.map_err(LabError::io(format!("tcp echo from {} to {to}", from.name())))
}

/// Sends one datagram and returns the first that comes back from that address.
///
/// # Errors
/// [`LabError::Io`]: an ICMP error, or nothing for `limit`.
pub fn echo_udp(from: &Namespace, to: SocketAddr, payload: &[u8], limit: Duration) -> Result<Vec<u8>> {
    echo_udp_from(from, 0, to, payload, limit)
}

/// As [`echo_udp`], from a port of the caller's choice.
///
/// # Errors
/// As [`echo_udp`].
pub fn echo_udp_from(
    from: &Namespace,
    port: u16,
    to: SocketAddr,
    payload: &[u8],
    limit: Duration,
) -> Result<Vec<u8>> {
    let exchange = || -> io::Result<Vec<u8>> {
        let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, port))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(limit))?;
        socket.send(payload)?;
        let mut buffer = vec![0; 64 << 10];
        let len = socket.recv(&mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    };
    from.enter(exchange)?.map_err(LabError::io(format!("udp echo from {} to {to}", from.name())))
}
