//! TCP through connectors and services: data and ends.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use gridway_e2e::layer4::{
    End, accept, assert_same, connector, dial, end_of, listen, near, near6, publish, published, service,
    target, target6, wait_no_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::tools::{Nginx, Transfer, echo_tcp, random_file};
use gridway_lab::{EchoServer, Iperf3, Iperf3Server, Marker, Namespace, Side};

/// What is larger than every buffer on the way.
const LARGE: usize = 64 << 20;

/// Uploads a file to an nginx and downloads it again, both by way of `dialled`.
fn transfer_both_ways(pair: &Pair, from: &Namespace, dialled: SocketAddr, nginx: &Nginx) {
    let path = |name: &str| pair.lab.path().join(name);
    random_file(&path("file"), LARGE).unwrap();
    let url = Transfer::new(&format!("http://{dialled}/sent")).limit(Duration::from_secs(60));
    url.upload(from, &path("file")).unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    assert_same(&nginx.root().join("sent"), &path("file"));
    url.download(from, &path("copy")).unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    assert_same(&path("copy"), &path("file"));
}

in_both_layouts! {
    fn large_files_pass_both_ways_unchanged(layout) {
        let pair = Pair::with(layout, published("tcp", 80));
        let nginx = Nginx::start(pair.lab.h2(), target(80)).unwrap();
        transfer_both_ways(&pair, pair.lab.h1(), near(80), &nginx);
        // The target sees the far node, and what was carried is counted at both.
        assert_eq!(Nginx::client_seen(pair.lab.h1(), near(80)).unwrap().ip(), Side::B.data());
        wait_no_sessions(&pair, LIMIT);
        let (near, far) = (pair.a.connector("app").unwrap(), pair.b.service("app").unwrap());
        assert!(near.bytes_in.min(near.bytes_out) > LARGE as u64, "{near:?}");
        assert_eq!((far.bytes_in, far.bytes_out), (near.bytes_in, near.bytes_out), "{far:?}");
        pair.finish();
    }

    fn a_half_closed_connection_goes_on_in_the_other_direction(layout) {
        let pair = Pair::with(layout, published("tcp", 7000));
        // The client is the first to close: the echo of it all comes after.
        let server = EchoServer::tcp(pair.lab.h2(), target(7000)).unwrap();
        let payload = Marker::random().payload(20 << 20);
        let answer = echo_tcp(pair.lab.h1(), near(7000), &payload, LIMIT);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
        assert!(answer == payload, "{} bytes came back", answer.len());
        drop(server);

        // The server is: it says all it has, and takes what the client sends after.
        let listener = listen(pair.lab.h2(), target(7000));
        let mut client = dial(pair.lab.h1(), near(7000)).unwrap();
        let mut server = accept(&listener);
        server.write_all(b"greeting").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut greeting = String::new();
        client.read_to_string(&mut greeting).unwrap();
        assert_eq!(greeting, "greeting");
        let taken = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                client.write_all(&payload).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            let mut taken = Vec::new();
            server.read_to_end(&mut taken).unwrap();
            sender.join().unwrap();
            taken
        });
        assert!(taken == payload, "{} bytes arrived\n{}", taken.len(), pair.evidence());
        wait_no_sessions(&pair, LIMIT);
        pair.finish();
    }

    fn resets_are_carried_both_ways(layout) {
        let pair = Pair::with(layout, published("tcp", 7000));
        let listener = listen(pair.lab.h2(), target(7000));
        let connection = || {
            let client = dial(pair.lab.h1(), near(7000)).unwrap();
            (client, accept(&listener))
        };
        let (mut client, server) = connection();
        reset(server, &mut client);
        assert_eq!(end_of(&mut client), End::Reset, "{}", pair.evidence());
        let (client, mut server) = connection();
        reset(client, &mut server);
        assert_eq!(end_of(&mut server), End::Reset, "{}", pair.evidence());
        // What ends in order does not end in a reset.
        let (client, mut server) = connection();
        drop(client);
        assert_eq!(end_of(&mut server), End::Closed, "{}", pair.evidence());
        drop(server);
        wait_no_sessions(&pair, LIMIT);
        pair.finish();
    }
}

/// Has `stream` reset: it is closed with data unread (RFC 2525, section 2.17).
fn reset(stream: TcpStream, other: &mut TcpStream) {
    other.write_all(b"never read").unwrap();
    let mut there = [0];
    assert_eq!(stream.peek(&mut there).unwrap(), 1);
    drop(stream);
}

#[test]
fn families_on_both_sides_are_independent() {
    let ways = [(near6(81), target6(81)), (near6(82), target(82)), (near(83), target6(83))];
    let pair = Pair::with(Layout::Combined, |side| {
        let of = |(n, (near, target)): (usize, &(SocketAddr, SocketAddr))| {
            publish("tcp", *near, *target)(side).replace("\"app\"", &format!("\"app-{n}\""))
        };
        ways.iter().enumerate().map(of).collect()
    });
    for (near, target) in ways {
        let _nginx = Nginx::start(pair.lab.h2(), target).unwrap();
        let seen = Nginx::client_seen(pair.lab.h1(), near);
        let seen = seen.unwrap_or_else(|error| panic!("{near}: {error}\n{}", pair.evidence())).ip();
        let node: [IpAddr; 2] = [Side::B.data().into(), Side::B.data6().into()];
        assert_eq!(seen, node[usize::from(target.is_ipv6())]);
    }
    pair.finish();
}

#[test]
fn a_target_is_found_by_its_name() {
    let names = "--host-record=db.example,10.2.0.2";
    let mut pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => connector("app", "tcp", near(7000), Side::B.node(), "app"),
        Side::B => service("app", "tcp", "db.example:7000"),
    });
    let address = SocketAddr::from((Side::B.wan(), 53));
    let _dns = gridway_lab::tools::Dnsmasq::start(pair.lab.gwb(), address, &[names]).unwrap();
    // Programs in the node's namespace see this file as theirs; the machine does not.
    let file = pair.lab.path().join("resolv.conf");
    std::fs::write(&file, format!("nameserver {}\n", address.ip())).unwrap();
    pair.lab.gwb().run("mount", ["--bind", file.to_str().unwrap(), "/etc/resolv.conf"]).unwrap();
    pair.b.restart().unwrap();
    pair.a.wait_streams_up(Side::B.node(), LIMIT).unwrap();
    let _server = EchoServer::tcp(pair.lab.h2(), target(7000)).unwrap();
    let answer = echo_tcp(pair.lab.h1(), near(7000), b"hello", LIMIT);
    assert_eq!(answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"hello");
    pair.a.stop().unwrap();
    pair.b.stop().unwrap();
}

#[test]
fn the_target_learns_the_clients_address_by_a_proxy_header() {
    let ways = [(near(80), target(80)), (near6(86), target6(86))];
    let pair = Pair::with(Layout::Combined, |side| {
        let [v4, v6] = ways.map(|(near, target)| publish("tcp", near, target)(side));
        let proxied = |text: String| if side == Side::B { text + "proxy_protocol = true\n" } else { text };
        proxied(v4) + &proxied(v6.replace("\"app\"", "\"app6\""))
    });
    let hosts: [IpAddr; 2] = [Side::A.host(0).into(), Side::A.host6(0).into()];
    for ((near, target), host) in ways.into_iter().zip(hosts) {
        let _nginx = Nginx::start_behind_proxy(pair.lab.h2(), target).unwrap();
        let seen = Nginx::client_seen(pair.lab.h1(), near);
        assert_eq!(seen.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())).ip(), host);
    }
    pair.finish();
}

/// Mbit/s.
const RATE: u32 = 20;

#[test]
fn a_connector_keeps_to_its_rate() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => {
            let limited = connector("app", "tcp", near(7000), Side::B.node(), "app");
            let free = connector("free", "tcp", near(7001), Side::B.node(), "app");
            format!("{limited}max_mbps = {RATE}\n{free}")
        }
        Side::B => service("app", "tcp", target(7000)),
    });
    let load =
        |port| Iperf3::tcp(Side::A.data()).port(port).parallel(2).omit(1).duration(Duration::from_secs(4));
    let mut server = Iperf3Server::start(pair.lab.h2(), 7000).unwrap();
    for load in [load(7000), load(7000).reverse()] {
        let report = load.run(pair.lab.h1()).unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
        let share = report.mbps() / f64::from(RATE);
        assert!((0.7..1.1).contains(&share), "{:.1} of {RATE} Mbit/s\n{}", report.mbps(), pair.evidence());
        server.wait_idle().unwrap();
    }
    // The service behind it is not what holds it back.
    let free = load(7001).run(pair.lab.h1()).unwrap();
    assert!(free.mbps() > f64::from(RATE) * 1.5, "{:.1} Mbit/s", free.mbps());
    pair.finish();
}

#[test]
fn connectors_and_services_on_both_nodes_work_at_once() {
    let ports = [7000, 7001, 7002];
    let listen_at = |side: Side, port| SocketAddr::from((side.data(), port));
    let serve_at = |side: Side, port| SocketAddr::from((side.host(0), port));
    let pair = Pair::with(Layout::Combined, |side| {
        let of = |port: u16| {
            let name = format!("app-{port}");
            connector(&name, "tcp", listen_at(side, port), side.other().node(), &name)
                + &service(&name, "tcp", serve_at(side, port))
        };
        ports.map(of).concat()
    });
    thread::scope(|scope| {
        for side in Side::BOTH {
            for port in ports {
                let pair = &pair;
                scope.spawn(move || {
                    // The far node's hosts serve, this side's hosts ask.
                    let far = side.other();
                    let server = EchoServer::tcp(pair.lab.host(far, 0), serve_at(far, port)).unwrap();
                    for _ in 0..3 {
                        let payload = Marker::random().payload(4 << 20);
                        let to = listen_at(side, port);
                        let answer = echo_tcp(pair.lab.host(side, 0), to, &payload, LIMIT);
                        let answer = answer.unwrap_or_else(|error| panic!("{to}: {error}"));
                        assert!(answer == payload, "{to}: {} bytes came back", answer.len());
                    }
                    assert_eq!(server.clients().len(), 3);
                });
            }
        }
    });
    pair.finish();
}
