//! Sockets that are bound to one interface, so that nothing is reached by another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UdpSocket};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

const BACKLOG: i32 = 4096;
/// Silence after which the kernel asks whether the other end is there, how often it asks, and how many times.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 6;
/// Room for datagrams that arrive while the worker is busy.
const DATAGRAM_BUFFER: usize = 1 << 20;

/// A socket for `address` that hears and speaks on `device` alone and never blocks.
///
/// # Errors
/// The kernel's, such as `ENODEV`.
pub fn bound(address: SocketAddr, kind: Type, protocol: Protocol, device: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    Ok(socket)
}

/// Binds to an address that need not be there yet, or never is on an interface: that of a port forward.
fn bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.bind(&address.into())
}

/// Listens at `address` on `device`.
pub(crate) fn listen(address: SocketAddr, device: &str) -> io::Result<TcpListener> {
    let socket = bound(address, Type::STREAM, Protocol::TCP, device)?;
    socket.set_reuse_address(true)?;
    bind(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Starts to connect to `address` by `device`. From `source` if that is given; `ready` is told where that is before the first
/// packet leaves.
pub(crate) fn connect(
    address: SocketAddr,
    device: &str,
    source: Option<SocketAddr>,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<TcpStream> {
    let socket = bound(address, Type::STREAM, Protocol::TCP, device)?;
    if let Some(source) = source {
        bind(&socket, source)?;
        ready(socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?)?;
    }
    begin_connecting(socket, address)
}

/// Starts to connect a socket that does not block.
///
/// # Errors
/// The kernel's, but that the connection is in progress.
pub fn begin_connecting(socket: Socket, address: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// A UDP socket at `address` on `device`.
pub(crate) fn datagrams(address: SocketAddr, device: &str) -> io::Result<UdpSocket> {
    let socket = bound(address, Type::DGRAM, Protocol::UDP, device)?;
    // The kernel grants what it may.
    drop(socket.set_recv_buffer_size(DATAGRAM_BUFFER));
    bind(&socket, address)?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Tunes a connection to a client or a target.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    // No user time-out: it would count the time for which a reader that is alive takes nothing.
    socket.set_tcp_keepalive(&keepalive)
}

/// Whether an address is one of this machine's.
pub(crate) fn is_own(address: IpAddr) -> bool {
    address.is_unspecified() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// Makes the closing of `stream` a reset.
pub(crate) fn abort(stream: &impl AsFd) {
    // Fails for a socket that is reset already.
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}
