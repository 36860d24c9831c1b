//! What operators see of Layer 4 and do to it: lists, ends, live change.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use gridway_control::{ConnectorState, SessionSide, SessionState};
use gridway_e2e::layer4::{
    End, accept, connector, dial, end_of, listen, near, service, target, wait_no_sessions, wait_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, find_binary};
use gridway_lab::{Output, Side, wait_until};

/// Both ends of a connection at that port.
fn connection(pair: &Pair, listener: &TcpListener, port: u16) -> (TcpStream, TcpStream) {
    let client = dial(pair.lab.h1(), near(port));
    let client = client.unwrap_or_else(|error| panic!("{port}: {error}\n{}", pair.evidence()));
    (client, accept(listener))
}

/// Whether bytes pass both ways.
fn alive((client, server): &mut (TcpStream, TcpStream)) -> bool {
    let mut pass = |from: bool| {
        let (from, to) = if from { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
        let mut heard = [0; 5];
        from.write_all(b"alive").is_ok() && to.read_exact(&mut heard).is_ok() && &heard == b"alive"
    };
    pass(true) && pass(false)
}

fn to(name: &str, port: u16) -> String {
    connector(name, "tcp", near(port), Side::B.node(), name)
}

fn serves(name: &str, port: u16) -> String {
    service(name, "tcp", target(port))
}

fn pair(layout: Layout) -> Pair {
    Pair::with(layout, |side| match side {
        Side::A => to("one", 7001) + &to("two", 7002),
        Side::B => serves("one", 7001) + &serves("two", 7002),
    })
}

/// The operator's command line, for the eyes of an operator.
fn gridway(node: &Gateway, args: &[&str]) -> Output {
    let command = node.namespace().command(find_binary("gridway").unwrap()).args(args);
    command.arg("--socket").arg(node.socket()).run_unchecked().unwrap()
}

#[test]
fn sessions_are_listed_with_what_they_carry() {
    let pair = pair(Layout::Combined);
    let listener = listen(pair.lab.h2(), target(7001));
    let (mut client, mut server) = connection(&pair, &listener, 7001);
    client.write_all(&[1; 3000]).unwrap();
    server.read_exact(&mut [0; 3000]).unwrap();
    server.write_all(&[2; 500]).unwrap();
    client.read_exact(&mut [0; 500]).unwrap();

    let near_row = pair.a.sessions().unwrap().remove(0);
    let far_row = pair.b.sessions().unwrap().remove(0);
    for row in [&near_row, &far_row] {
        assert_eq!((row.service.as_str(), row.protocol.as_str()), ("one", "tcp"), "{row:?}");
        assert_eq!((row.bytes_in, row.bytes_out), (3000, 500), "{row:?}");
        assert_eq!((row.client, row.state), (client.local_addr().unwrap(), SessionState::Open), "{row:?}");
    }
    assert_eq!((near_row.connector.as_deref(), near_row.peer.as_str()), (Some("one"), "gw-b"));
    assert_eq!((near_row.side, far_row.side), (SessionSide::Connector, SessionSide::Service));
    assert_eq!((far_row.peer.as_str(), far_row.target), ("gw-a", Some(target(7001))), "{far_row:?}");

    let row = pair.a.connector("one").unwrap();
    assert_eq!((row.sessions, row.accepted, row.bytes_in, row.bytes_out), (1, 1, 3000, 500), "{row:?}");
    assert_eq!((row.state, row.listen), (ConnectorState::Listening, near(7001)), "{row:?}");
    let row = pair.b.service("one").unwrap();
    assert_eq!((row.sessions, row.opened, row.bytes_in, row.bytes_out), (1, 1, 3000, 500), "{row:?}");
    assert_eq!(pair.a.connector("two").unwrap().accepted, 0);
    for (node, words) in [(&pair.a, ["sessions", "connectors"]), (&pair.b, ["sessions", "services"])] {
        for word in words {
            let output = gridway(node, &[word]);
            assert!(output.status.success() && output.stdout.contains("one"), "{output:?}");
        }
    }
    let limits = pair.a.limits().unwrap();
    assert!(limits.iter().any(|limit| limit.name == "sessions" && limit.used == 1), "{limits:?}");
    pair.finish();
}

#[test]
fn a_killed_session_ends_at_both_ends_and_no_other_does() {
    let pair = pair(Layout::Combined);
    let listener = listen(pair.lab.h2(), target(7001));
    // From either node.
    for node in [&pair.a, &pair.b] {
        let mut kept = connection(&pair, &listener, 7001);
        let (mut client, mut server) = connection(&pair, &listener, 7001);
        wait_sessions(node, 2, LIMIT);
        let address = client.local_addr().unwrap();
        let id = node.sessions().unwrap().iter().find(|row| row.client == address).unwrap().id.to_string();
        let output = gridway(node, &["sessions", "kill", &id]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(end_of(&mut client), End::Reset, "{}", pair.evidence());
        assert_eq!(end_of(&mut server), End::Reset, "{}", pair.evidence());
        assert!(alive(&mut kept), "{}", pair.evidence());
        wait_sessions(&pair.a, 1, LIMIT);
        wait_sessions(&pair.b, 1, LIMIT);
        // There is nothing left to kill.
        let output = gridway(node, &["sessions", "kill", &id]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        drop(kept);
        wait_no_sessions(&pair, LIMIT);
    }
    pair.finish();
}

fn reload(node: &mut Gateway, fragment: &str) {
    let config = node.config().clone().without_fragments().with(fragment);
    node.set_config(config).unwrap();
    assert_eq!(node.reload().unwrap(), None, "the new configuration is taken");
}

in_both_layouts! {
    fn a_reload_leaves_what_is_unchanged_alone(layout) {
        let mut pair = pair(layout);
        let listeners = [7001, 7002].map(|port| listen(pair.lab.h2(), target(port)));
        let mut kept = connection(&pair, &listeners[0], 7001);
        let mut removed = connection(&pair, &listeners[1], 7002);
        let id = pair.a.sessions().unwrap().iter().find(|row| row.service == "one").unwrap().id;
        assert!(alive(&mut kept) && alive(&mut removed));

        reload(&mut pair.a, &(to("one", 7001) + &to("three", 7003)));
        // The connector that is gone takes its sessions with it and listens no more.
        assert_eq!(end_of(&mut removed.0), End::Reset, "{}", pair.evidence());
        assert_eq!(end_of(&mut removed.1), End::Reset, "{}", pair.evidence());
        let refused = wait_until("nobody to listen", LIMIT, || {
            dial(pair.lab.h1(), near(7002)).err().filter(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        refused.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
        // The one that stayed has the session and the counters that it had.
        assert!(alive(&mut kept), "{}", pair.evidence());
        assert_eq!(pair.a.sessions().unwrap()[0].id, id);
        assert_eq!(pair.a.connector("one").unwrap().accepted, 1);
        assert!(pair.a.connector("two").is_err());

        // A new service is there at once for the connector that waited for it.
        reload(&mut pair.b, &(serves("one", 7001) + &serves("three", 7002)));
        let mut new = connection(&pair, &listeners[1], 7003);
        assert!(alive(&mut new) && alive(&mut kept), "{}", pair.evidence());
        // A service that is gone takes its sessions with it.
        reload(&mut pair.b, &serves("three", 7002));
        assert_eq!(end_of(&mut kept.0), End::Reset, "{}", pair.evidence());
        assert!(alive(&mut new), "{}", pair.evidence());
        pair.finish();
    }
}

#[test]
fn a_refused_reload_leaves_sessions_alone() {
    let mut pair = pair(Layout::Combined);
    let listener = listen(pair.lab.h2(), target(7001));
    let mut kept = connection(&pair, &listener, 7001);
    let twice = to("one", 7001) + &to("one", 7003);
    let config = pair.a.config().clone().without_fragments().with(&twice);
    pair.a.set_config(config).unwrap();
    let error = pair.a.reload().unwrap().expect("it must be refused");
    assert!(error.contains("connector[1].name"), "{error}");
    assert!(alive(&mut kept), "{}", pair.evidence());
    pair.finish();
}

/// Somebody else has the port: the node says so, serves what it can, and takes the port once it is free.
#[test]
fn a_connector_whose_port_is_taken_says_so() {
    let mut pair = pair(Layout::Combined);
    let taken = listen(pair.lab.gwa(), near(7003));
    reload(&mut pair.a, &(to("one", 7001) + &to("three", 7003)));
    let row = pair.a.connector("three").unwrap();
    assert_eq!(row.state, ConnectorState::Error, "{row:?}");
    assert!(row.error.as_deref().is_some_and(|error| error.contains("in use")), "{row:?}");
    let listener = listen(pair.lab.h2(), target(7001));
    assert!(alive(&mut connection(&pair, &listener, 7001)), "{}", pair.evidence());
    let unavailable = pair.a.wait_event("connector_unavailable", "three", 0, LIMIT).unwrap();
    assert!(unavailable.message.contains("in use"), "{unavailable:?}");
    drop(taken);
    pair.a.wait_event("connector_available", "three", unavailable.number, 4 * LIMIT).unwrap();
    pair.finish();
}
