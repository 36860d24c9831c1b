//! Layer 4 between two nodes: configuration text, the operator's tables, and TCP connections whose end is told.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

use std::fmt::{Debug, Display};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use gridway_control::Refusals;
use gridway_lab::gateway::Gateway;
use gridway_lab::{Namespace, Side, wait_until};

use crate::{LIMIT, Pair};

/// A `[[service]]`; more of its lines may follow.
#[must_use]
pub fn service(name: &str, protocol: &str, target: impl Display) -> String {
    format!("[[service]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\ntarget = \"{target}\"\n")
}

/// A `[[connector]]` to a service (or `host:port`) of a peer; more of its lines may follow.
#[must_use]
pub fn connector(name: &str, protocol: &str, listen: SocketAddr, peer: &str, service: &str) -> String {
    format!(
        "[[connector]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nlisten = \"{listen}\"\n\
         peer = \"{peer}\"\nservice = \"{service}\"\n"
    )
}

/// Name of the service and connector of [`published`].
pub const PUBLISHED: &str = "app";

/// Publishes a port of h2 on A's data address, as service and connector `app`, IPv4.
pub fn published(protocol: &str, port: u16) -> impl Fn(Side) -> String {
    publish(protocol, near(port), target(port))
}

/// As [`published`], IPv6.
pub fn published6(protocol: &str, port: u16) -> impl Fn(Side) -> String {
    publish(protocol, near6(port), target6(port))
}

/// Publishes a target of node B at an address of node A, as service and connector `app`.
pub fn publish(protocol: &str, listen: SocketAddr, target: SocketAddr) -> impl Fn(Side) -> String {
    move |side| match side {
        Side::A => connector(PUBLISHED, protocol, listen, Side::B.node(), PUBLISHED),
        Side::B => service(PUBLISHED, protocol, target),
    }
}

/// A port of A's data address: what h1 dials.
#[must_use]
pub fn near(port: u16) -> SocketAddr {
    (Side::A.data(), port).into()
}

/// As [`near`], IPv6.
#[must_use]
pub fn near6(port: u16) -> SocketAddr {
    (Side::A.data6(), port).into()
}

/// A port of h2: a service's target.
#[must_use]
pub fn target(port: u16) -> SocketAddr {
    (Side::B.host(0), port).into()
}

/// As [`target`], IPv6.
#[must_use]
pub fn target6(port: u16) -> SocketAddr {
    (Side::B.host6(0), port).into()
}

/// How often a connector refused, by reason.
///
/// # Panics
/// When the node does not answer or has no such connector.
#[must_use]
pub fn refusals(node: &Gateway, connector: &str) -> Refusals {
    let mut refused = node.connector(connector).expect("the node has that connector").refused;
    refused.retain(|_, count| *count > 0);
    refused
}

/// Waits until a node has so many sessions.
///
/// # Panics
/// When it has not, with those that it has.
pub fn wait_sessions(node: &Gateway, count: u64, limit: Duration) {
    let mut matched = 0;
    let seen = wait_until("number of sessions", limit, || {
        matched = node.session_list().expect("the node answers").matched;
        (matched == count).then_some(())
    });
    let name = node.config().name();
    assert!(seen.is_ok(), "{name} has {matched} sessions, not {count}\n{}", crate::evidence(node));
}

/// Waits until no session is left on either node.
///
/// # Panics
/// As [`wait_sessions`].
pub fn wait_no_sessions(pair: &Pair, limit: Duration) {
    for node in [&pair.a, &pair.b] {
        wait_sessions(node, 0, limit);
    }
}

/// Open files of a node.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn open_files(node: &Gateway) -> usize {
    let pid = node.pid().expect("the node runs");
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the node runs").count()
}

/// Memory of a node that is in RAM (`VmRSS`, `proc(5)`), bytes.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn resident(node: &Gateway) -> u64 {
    let pid = node.pid().expect("the node runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the node runs");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.expect("a process has a VmRSS") << 10
}

/// Connects from a namespace; whoever reads or writes waits for at most [`LIMIT`].
///
/// # Errors
/// What the kernel says: refused, unreachable, timed out.
///
/// # Panics
/// When the namespace cannot be entered.
pub fn dial(from: &Namespace, to: SocketAddr) -> io::Result<TcpStream> {
    let stream = from.enter(|| TcpStream::connect_timeout(&to, LIMIT)).expect("namespaces can be entered")?;
    bounded(stream)
}

/// Listens in a namespace.
///
/// # Panics
/// When the address cannot be bound.
#[must_use]
pub fn listen(namespace: &Namespace, at: SocketAddr) -> TcpListener {
    let listener = namespace.enter(|| TcpListener::bind(at)).expect("namespaces can be entered");
    let listener = listener.unwrap_or_else(|error| panic!("{at}: {error}"));
    listener.set_nonblocking(true).expect("sockets can be made non-blocking");
    listener
}

/// Takes the next connection, which has to come within [`LIMIT`].
///
/// # Panics
/// When none comes.
#[must_use]
pub fn accept(listener: &TcpListener) -> TcpStream {
    let accepted = wait_until("a connection", LIMIT, || listener.accept().ok());
    let (stream, _) = accepted.unwrap_or_else(|error| panic!("{listener:?}: {error}"));
    stream.set_nonblocking(false).expect("sockets can be made blocking");
    bounded(stream).expect("sockets take time-outs")
}

fn bounded(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The other side has nothing more to send.
    Closed,
    /// A reset.
    Reset,
    /// Not within [`LIMIT`].
    Open,
}

/// Reads to the end and says what it was.
///
/// # Panics
/// With an error that none of them stands for.
#[must_use]
pub fn end_of(stream: &mut TcpStream) -> End {
    match io::copy(&mut stream.by_ref(), &mut io::sink()) {
        Ok(_) => End::Closed,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Open,
            kind => panic!("{kind}: {error}"),
        },
    }
}

/// Dials and reads to the end. A reset that comes before the dialling is done counts as one.
///
/// # Panics
/// As [`end_of`], or when it cannot dial.
#[must_use]
pub fn dial_to_the_end(from: &Namespace, to: SocketAddr) -> End {
    match dial(from, to) {
        Ok(mut stream) => end_of(&mut stream),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        Err(error) => panic!("cannot dial {to}: {error}"),
    }
}

/// Insists that two files hold the same.
///
/// # Panics
/// When they do not.
pub fn assert_same(one: &Path, other: &Path) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (first, second) = (read(one), read(other));
    let differs = first.iter().zip(&second).position(|(one, other)| one != other);
    assert!(
        differs.is_none() && first.len() == second.len(),
        "{} ({} bytes) and {} ({} bytes) differ from byte {differs:?} on",
        one.display(),
        first.len(),
        other.display(),
        second.len()
    );
}

/// The tables of a node that has Layer 4, for the message of a test that failed.
pub(crate) fn evidence(node: &Gateway) -> String {
    fn lines<T: Debug>(name: &str, rows: gridway_lab::Result<Vec<T>>) -> String {
        match rows {
            Ok(rows) if rows.is_empty() => String::new(),
            Ok(rows) => {
                let some: String = rows.iter().take(20).map(|row| format!("  {row:?}\n")).collect();
                format!("{} {name}\n{some}", rows.len())
            }
            Err(error) => format!("{name}: {error}\n"),
        }
    }
    lines("connectors", node.connectors())
        + &lines("services", node.services())
        + &lines("sessions", node.sessions())
}
