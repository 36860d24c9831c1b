//! FTP's control channel: a client and a server that say anything, and both nodes between them.

use std::net::IpAddr;

use gridway_proxy::ftp::session::{Piece, Session, Site, far_alone, near_alone};
use gridway_proxy::ftp::{FarEvent, LOWEST_PORT, NearEvent};

/// Between what one end sends and what the next does. In a session it can only be an error.
const SEPARATOR: u8 = 0x1e;
/// What the client sends begins with it; anything else is the server's.
const FROM_CLIENT: u8 = b'>';

/// One input: a byte with the families of both sides and whether listeners can be opened, then what is sent.
///
/// # Panics
/// When a property does not hold.
pub fn run(data: &[u8]) {
    let Some((control, sends)) = data.split_first() else { return };
    let site = Site::new(control & 1 != 0, control & 2 != 0);
    let listens = control & 4 == 0;
    let whole = || pieces(sends, usize::MAX);
    let cut = || pieces(sends, 1);
    assert_eq!(near_alone(site, whole()), near_alone(site, cut()), "where bytes are cut does not matter");
    assert_eq!(far_alone(site, whole()), far_alone(site, cut()), "where bytes are cut does not matter");
    let session = play(site, listens, whole());
    assert!(!session.nodes_disagree, "{:?}", session.error);
    check_server(&session.server, site.far);
    check_events(&session);
}

/// What is sent, in pieces of at most that many bytes.
fn pieces(sends: &[u8], piece: usize) -> impl Iterator<Item = Piece<'_>> {
    sends
        .split(|byte| *byte == SEPARATOR)
        .filter_map(|send| send.split_first())
        .flat_map(move |(end, bytes)| bytes.chunks(piece).map(move |bytes| (*end == FROM_CLIENT, bytes)))
}

/// A session through both nodes, which measures memory after every call.
fn play<'a>(site: Site, listens: bool, pieces: impl Iterator<Item = Piece<'a>>) -> Session {
    let mut session = Session::new(site);
    session.listens = listens;
    for (from_client, bytes) in pieces {
        match from_client {
            true => session.client_sends(bytes),
            false => session.server_sends(bytes),
        }
        if let Some(endpoint) = session.near.active_endpoint() {
            assert_eq!(endpoint.ip(), site.client.ip());
            assert!(endpoint.port() >= LOWEST_PORT);
        }
    }
    session
}

/// The server gets whole commands, none for TLS, and no address but the far node's.
fn check_server(received: &[u8], far: IpAddr) {
    let Some(lines) = received.strip_suffix(b"\r\n") else { return assert_eq!(received, b"") };
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.iter().all(|byte| !byte.is_ascii_control()), "{}", line.escape_ascii());
        let name: Vec<u8> = line.iter().take_while(|byte| byte.is_ascii_alphanumeric()).copied().collect();
        let argument = String::from_utf8_lossy(&line[name.len()..]);
        match &name.to_ascii_uppercase()[..] {
            b"" | b"AUTH" | b"PBSZ" | b"PROT" | b"LPRT" | b"LPSV" => panic!("{}", line.escape_ascii()),
            b"PORT" => assert!(far.is_ipv4() && argument.starts_with(" 10,2,0,1,"), "{argument}"),
            b"EPRT" => assert!(far.is_ipv6() && argument.starts_with(" |2|fd00:2::1|"), "{argument}"),
            b"PASV" => assert!(far.is_ipv4()),
            _ => assert!(argument.is_empty() || argument.starts_with(' '), "{}", line.escape_ascii()),
        }
    }
}

/// Each port that the far node opens for the near one is asked for by the near one, and by nobody else.
fn check_events(session: &Session) {
    let announced = session.far_events.iter().filter_map(|event| match event {
        FarEvent::Announced { port } => Some(*port),
        FarEvent::Active { .. } => None,
    });
    let asked: Vec<u16> =
        session.near_events.iter().map(|NearEvent::Passive { far_port }| *far_port).collect();
    let announced: Vec<u16> = announced.collect();
    assert!(announced.iter().all(|port| *port >= LOWEST_PORT));
    assert!(announced.starts_with(&asked), "{announced:?}, {asked:?}");
    assert!(asked.len() == announced.len() || session.error.is_some(), "{announced:?}, {asked:?}");
}
