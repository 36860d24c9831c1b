//! UDP through connectors and services: datagrams, sessions, their end and their number.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use gridway_e2e::layer4::{
    connector, near, near6, published, published6, refusals, service, target, target6, wait_no_sessions,
    wait_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::tools::{echo_udp, echo_udp_from};
use gridway_lab::{EchoServer, Marker, Namespace, Side, wait_until};

/// How long the answer of one datagram is waited for.
const ANSWER: Duration = Duration::from_millis(500);

/// A connector whose sessions end after that much silence.
fn short_lived(idle: &str) -> impl Fn(Side) -> String {
    move |side| match side {
        Side::A => {
            let connector = connector("app", "udp", near(7000), Side::B.node(), "app");
            format!("{connector}idle = \"{idle}\"\n")
        }
        Side::B => service("app", "udp", target(7000)),
    }
}

fn clients(host: &Namespace, count: usize) -> Vec<UdpSocket> {
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(near(7000)).unwrap();
        socket.set_read_timeout(Some(ANSWER)).unwrap();
        socket
    };
    host.enter(|| (0..count).map(|_| open()).collect()).unwrap()
}

/// Says something of its own and hears it, within a few tries.
fn echoes(client: &UdpSocket) -> bool {
    let said = Marker::random().payload(100);
    let mut heard = [0; 200];
    (0..4).any(|_| {
        client.send(&said).unwrap();
        client.recv(&mut heard).is_ok_and(|len| heard[..len] == said)
    })
}

in_both_layouts! {
    fn datagrams_of_every_size_arrive_whole(layout) {
        let both = |side| published("udp", 7000)(side)
            + &published6("udp", 7001)(side).replace("\"app\"", "\"app6\"");
        let pair = Pair::with(layout, both);
        for (server, near) in [(target(7000), near(7000)), (target6(7001), near6(7001))] {
            let server = EchoServer::udp(pair.lab.h2(), server).unwrap();
            for size in [32, 512, 1432, 1472, 1473, 4096, 9000, 32_768, 60_000] {
                let payload = Marker::random().payload(size);
                let ask = || echo_udp(pair.lab.h1(), near, &payload, ANSWER).ok();
                let answer = wait_until("an answer", LIMIT, ask);
                let answer = answer.unwrap_or_else(|error| panic!("{size}: {error}\n{}", pair.evidence()));
                assert!(answer == payload, "{} of {size} bytes came back", answer.len());
            }
            let node = [Side::B.data().into(), Side::B.data6().into()];
            assert!(server.clients().iter().all(|client| node.contains(&client.ip())));
        }
        pair.finish();
    }

    fn every_client_has_a_session_of_its_own_that_ends_when_idle(layout) {
        const CLIENTS: usize = 200;
        let pair = Pair::with(layout, short_lived("3s"));
        let server = EchoServer::udp(pair.lab.h2(), target(7000)).unwrap();
        let clients = clients(pair.lab.h1(), CLIENTS);
        for client in &clients {
            assert!(echoes(client), "{}", pair.evidence());
        }
        let ports: BTreeSet<u16> = server.clients().iter().map(SocketAddr::port).collect();
        assert!(ports.len() >= CLIENTS, "{} ports for {CLIENTS} clients", ports.len());
        // They end by themselves, on both nodes, and those who come back have a new one.
        wait_no_sessions(&pair, Duration::from_secs(10));
        assert!(echoes(&clients[0]), "{}", pair.evidence());
        wait_sessions(&pair.a, 1, LIMIT);
        let session = &pair.a.sessions().unwrap()[0];
        let client = clients[0].local_addr().unwrap();
        assert_eq!((session.client, session.protocol.as_str()), (client, "udp"), "{session:?}");
        pair.finish();
    }
}

#[test]
fn a_client_that_goes_on_keeps_its_session() {
    let pair = Pair::with(Layout::Combined, short_lived("1s"));
    let server = EchoServer::udp(pair.lab.h2(), target(7000)).unwrap();
    for _ in 0..30 {
        let answer = echo_udp_from(pair.lab.h1(), 45_000, near(7000), b"still here", ANSWER);
        assert_eq!(answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"still here");
        std::thread::sleep(Duration::from_millis(100));
    }
    let ports: BTreeSet<u16> = server.clients().iter().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 1, "one session from beginning to end");
    pair.finish();
}

/// Sessions that a node may have.
const MOST: usize = 50;

#[test]
fn the_number_of_sessions_is_bounded_and_those_that_are_there_go_on() {
    let pair = Pair::with(Layout::Combined, |side| {
        format!("[limits]\nsessions = {MOST}\n{}", short_lived("60s")(side))
    });
    let _server = EchoServer::udp(pair.lab.h2(), target(7000)).unwrap();
    let clients = clients(pair.lab.h1(), MOST + 30);
    let (within, beyond) = clients.split_at(MOST);
    for client in within {
        assert!(echoes(client), "{}", pair.evidence());
    }
    for client in beyond {
        client.send(b"one too many").unwrap();
    }
    let refused = || refusals(&pair.a, "app").get("too_many_sessions").copied();
    let all = || refused().filter(|count| *count >= 30);
    wait_until("refusals", LIMIT, all).unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    assert_eq!(pair.a.sessions().unwrap().len(), MOST);
    for client in within {
        assert!(echoes(client), "{}", pair.evidence());
    }
    pair.finish();
}

#[test]
fn only_allowed_prefixes_may_use_a_connector() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => short_lived("60s")(side) + "allow = [\"10.1.0.3/32\"]\n",
        Side::B => short_lived("60s")(side),
    });
    let server = EchoServer::udp(pair.lab.h2(), target(7000)).unwrap();
    let answer = echo_udp(pair.lab.h1(), near(7000), b"hello", ANSWER);
    assert!(answer.is_err() && server.clients().is_empty(), "{}", pair.evidence());
    assert_eq!(refusals(&pair.a, "app").get("not_allowed"), Some(&1), "{}", pair.evidence());
    assert_eq!(pair.a.connector("app").unwrap().accepted, 0);
    pair.finish();
}
