//! Tunnel sockets: bound to the management device, tuned for short queues.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gridway_proxy::socket::{begin_connecting, bound};
use socket2::{Protocol, SockRef, Type};

/// Bytes not yet sent at which the kernel calls a socket full: what waits longer waits with us, where
/// the queue is measured and kept short.
const NOTSENT_LOWAT: u32 = 32 * 1024;
/// Of connections for streams, whose turns are taken only when a record is written.
const NOTSENT_LOWAT_STREAMS: u32 = 16 * 1024;
const CONGESTION: &[u8] = b"bbr";
const BACKLOG: i32 = 1024;
/// Unacknowledged data ends a connection after this; pings notice earlier.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A listening socket at `address` that only hears `device`.
pub(crate) fn listen(address: SocketAddr, device: &str) -> io::Result<mio::net::TcpListener> {
    let socket = bound(address, Type::STREAM, Protocol::TCP, device)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Starts to connect to `address` through `device`.
pub(crate) fn connect(address: SocketAddr, device: &str) -> io::Result<mio::net::TcpStream> {
    begin_connecting(bound(address, Type::STREAM, Protocol::TCP, device)?, address)
}

/// Tunes a connected tunnel socket. Congestion control that the kernel does not have is left at its
/// default.
pub(crate) fn tune(stream: &mio::net::TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    if let Err(error) = socket.set_tcp_congestion(CONGESTION) {
        tracing::debug!(%error, "BBR is not available; the kernel's default congestion control stays");
    }
    Ok(())
}

/// Tunes a tunnel socket further that carries streams.
pub(crate) fn tune_for_streams(stream: &mio::net::TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(NOTSENT_LOWAT_STREAMS)
}
