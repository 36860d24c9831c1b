//! Layer 4 when something goes wrong: targets that do not read, clients that vanish, tunnels that are cut, nodes that
//! die.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use gridway_e2e::layer4::{
    End, accept, connector, dial, dial_to_the_end, end_of, listen, near, open_files, published, resident,
    service, target, wait_no_sessions, wait_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::tools::echo_tcp;
use gridway_lab::{EchoServer, HOST_INTERFACE, Lab, Marker, Side, wait_until};

/// A connection through both nodes: the client's end and the target's.
fn connection(pair: &Pair, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = dial(pair.lab.h1(), near(7000));
    let client = client.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    (client, accept(listener))
}

/// Writes until the way is full: nothing more is taken for a while. Returns how much was.
fn fill(stream: &mut TcpStream, most: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(700))).unwrap();
    let chunk = vec![0x5a; 256 << 10];
    let mut taken = 0;
    while taken < most {
        match stream.write(&chunk) {
            Ok(len) => taken += len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("after {taken} bytes: {error}"),
        }
    }
    taken
}

/// Connections whose target does not read.
const STALLED: usize = 64;
/// What each would send if it could.
const OFFERED: usize = 64 << 20;
/// What a node may hold for all of them, an eighth of what is offered.
const HELD: u64 = (STALLED as u64 * OFFERED as u64) / 8;

in_both_layouts! {
    fn a_target_that_never_reads_holds_up_nobody_else_and_costs_bounded_memory(layout) {
        let pair = Pair::with(layout, |side| published("tcp", 7000)(side)
            + &published("tcp", 7001)(side).replace("\"app\"", "\"echo\""));
        let _echo = EchoServer::tcp(pair.lab.h2(), target(7001)).unwrap();
        let listener = listen(pair.lab.h2(), target(7000));
        let before = [&pair.a, &pair.b].map(resident);
        let mut stalled: Vec<_> = (0..STALLED).map(|_| connection(&pair, &listener)).collect();
        let taken: Vec<usize> = thread::scope(|scope| {
            let filling: Vec<_> =
                stalled.iter_mut().map(|(client, _)| scope.spawn(|| fill(client, OFFERED))).collect();
            filling.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let after = [&pair.a, &pair.b].map(resident);
        let total: usize = taken.iter().sum();
        println!("{STALLED} stalled connections took {} MiB; nodes grew from {before:?} to {after:?} bytes", total >> 20);
        assert!(taken.iter().all(|taken| *taken < OFFERED), "back-pressure reaches every client: {taken:?}");
        for (node, (before, after)) in [&pair.a, &pair.b].into_iter().zip(before.into_iter().zip(after)) {
            let grown = after.saturating_sub(before);
            assert!(grown < HELD, "{} grew by {grown} bytes", node.config().name());
        }
        // Beside them another connection passes, and so does one of the same connector.
        let payload = Marker::random().payload(8 << 20);
        let answer = echo_tcp(pair.lab.h1(), near(7001), &payload, LIMIT);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
        assert!(answer == payload, "{} bytes came back", answer.len());
        let (mut client, mut server) = connection(&pair, &listener);
        client.write_all(b"quick").unwrap();
        let mut quick = [0; 5];
        server.read_exact(&mut quick).unwrap();
        assert_eq!(&quick, b"quick");
        // One that reads at last gets all that its client could send.
        let (slow_client, mut slow_server) = stalled.pop().unwrap();
        drop(slow_client);
        let mut got = Vec::new();
        slow_server.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), *taken.last().unwrap(), "{}", pair.evidence());

        drop((stalled, listener, client, server, slow_server));
        wait_no_sessions(&pair, LIMIT);
        pair.finish();
    }

    fn a_cut_tunnel_resets_both_ends_in_mid_transfer_and_new_connections_pass_once_it_is_mended(layout) {
        let pair = Pair::with(layout, published("tcp", 7000));
        let listener = listen(pair.lab.h2(), target(7000));
        let (client, server) = connection(&pair, &listener);
        let (idle_client, idle_server) = connection(&pair, &listener);
        let ends = transfer_until(client, server, || pair.lab.wan().cut().unwrap());
        // Each node notices on its own: one reset does not depend on the other one's arrival.
        assert_eq!(ends, [End::Reset; 2], "{}", pair.evidence());
        for mut idle in [idle_client, idle_server] {
            assert_eq!(end_of(&mut idle), End::Reset, "{}", pair.evidence());
        }
        wait_no_sessions(&pair, LIMIT);
        assert_eq!(dial_to_the_end(pair.lab.h1(), near(7000)), End::Reset, "while it is cut");
        pair.lab.wan().restore().unwrap();
        mended(&pair, &listener);
        let Pair { mut a, mut b, lab: _lab } = pair;
        a.stop().unwrap();
        b.stop().unwrap();
    }

    fn a_far_node_that_dies_resets_clients_and_targets_at_once(layout) {
        let mut pair = Pair::with(layout, published("tcp", 7000));
        let listener = listen(pair.lab.h2(), target(7000));
        let (client, server) = connection(&pair, &listener);
        let ends = transfer_until(client, server, || pair.b.kill().unwrap());
        assert_eq!(ends[0], End::Reset, "{}", pair.evidence());
        // The kernel closes a dead process's sockets: with a reset where data was unread.
        assert_ne!(ends[1], End::Open, "{}", pair.evidence());
        wait_sessions(&pair.a, 0, LIMIT);
        pair.b.start().unwrap();
        mended(&pair, &listener);
        pair.a.stop().unwrap();
        pair.b.stop().unwrap();
    }
}

/// Waits for the tunnel and insists that a new connection passes.
fn mended(pair: &Pair, listener: &TcpListener) {
    pair.a.wait_streams_up(Side::B.node(), Duration::from_secs(10)).unwrap();
    pair.b.wait_streams_up(Side::A.node(), Duration::from_secs(10)).unwrap();
    let (mut client, mut server) = connection(pair, listener);
    client.write_all(b"again").unwrap();
    let mut again = [0; 5];
    server.read_exact(&mut again).unwrap();
    assert_eq!(&again, b"again");
}

/// Transfers in both directions, breaks something once data flows both ways, and returns how both ends ended.
fn transfer_until(client: TcpStream, server: TcpStream, break_it: impl FnOnce()) -> [End; 2] {
    thread::scope(|scope| {
        let ends = [client, server].map(|stream| {
            let mut writer = stream.try_clone().unwrap();
            let writing = scope.spawn(move || {
                loop {
                    if let Err(error) = writer.write_all(&[0x5a; 64 << 10]) {
                        break error.kind();
                    }
                }
            });
            (stream, writing)
        });
        // A megabyte first, so that it is known to flow.
        for (stream, _) in &ends {
            let mut stream: &TcpStream = stream;
            stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
        }
        break_it();
        let broken = Instant::now();
        let reading = ends.map(|(mut stream, writing)| {
            scope.spawn(move || {
                let end = end_of(&mut stream);
                // Ends the thread that writes, unless it has. A reset is told once: to it or to the reader.
                let _ = stream.shutdown(Shutdown::Both);
                if writing.join().unwrap() == ErrorKind::ConnectionReset { End::Reset } else { end }
            })
        });
        let ends = reading.map(|thread| thread.join().unwrap());
        println!("both ends ended {:?} after the break: {ends:?}", broken.elapsed());
        ends
    })
}

/// How long a client may be gone before its session is.
const VANISHED: Duration = Duration::from_secs(120);

/// Its host is switched off: no reset, no close. Keep-alive finds out.
#[test]
fn sessions_of_a_client_that_vanished_end_and_others_go_on() {
    let builder = Lab::builder().hosts(Side::A, 2);
    let pair = Pair::built(builder, Layout::Combined, published("tcp", 7000));
    let listener = listen(pair.lab.h2(), target(7000));
    let (_vanished, mut idle) = connection(&pair, &listener);
    let mut other = dial(pair.lab.host(Side::A, 1), near(7000)).unwrap();
    let mut other_end = accept(&listener);
    wait_sessions(&pair.a, 2, LIMIT);
    pair.lab.h1().ip(&format!("link set {HOST_INTERFACE} down")).unwrap();
    let started = Instant::now();
    let ended = wait_until("the end of the session", VANISHED, || {
        let passed = other.write_all(b"x").and_then(|()| other_end.read_exact(&mut [0]));
        passed.unwrap_or_else(|error| panic!("{:?}: {error}\n{}", started.elapsed(), pair.evidence()));
        thread::sleep(Duration::from_millis(200));
        (pair.b.session_list().unwrap().matched == 1).then_some(())
    });
    ended.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    println!("the session ended {:?} after its client", started.elapsed());
    assert_eq!(end_of(&mut idle), End::Reset, "{}", pair.evidence());
    wait_sessions(&pair.a, 1, LIMIT);
    drop((other, other_end));
    wait_no_sessions(&pair, LIMIT);
    pair.finish();
}

/// Connections in all, and at once.
const MANY: usize = 10_000;
const WAVE: usize = 500;

#[test]
fn ten_thousand_connections_come_and_go_and_leave_nothing() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => connector("app", "tcp", near(7000), Side::B.node(), "app"),
        Side::B => service("app", "tcp", target(7000)),
    });
    let listener = listen(pair.lab.h2(), target(7000));
    // The first connection may open what stays, such as connections for streams.
    drop(connection(&pair, &listener));
    wait_no_sessions(&pair, LIMIT);
    let files = [&pair.a, &pair.b].map(open_files);
    let before = [&pair.a, &pair.b].map(resident);
    for wave in 0..MANY / WAVE {
        let mut ends: Vec<_> = (0..WAVE).map(|_| connection(&pair, &listener)).collect();
        // They end in every way: with data under way or without, from either side.
        for (n, (client, server)) in ends.iter_mut().enumerate() {
            match (n + wave) % 3 {
                0 => client.write_all(b"dropped").unwrap(),
                1 => server.write_all(b"dropped").unwrap(),
                _ => {}
            }
        }
        for (n, (client, server)) in ends.into_iter().enumerate() {
            if n % 2 == 0 { drop((client, server)) } else { drop((server, client)) }
        }
    }
    wait_no_sessions(&pair, Duration::from_secs(20));
    let (near, far) = (pair.a.connector("app").unwrap(), pair.b.service("app").unwrap());
    assert_eq!((near.accepted, far.opened), (MANY as u64 + 1, MANY as u64 + 1), "{}", pair.evidence());
    assert_eq!((near.sessions, far.sessions), (0, 0));
    for (node, files) in [&pair.a, &pair.b].into_iter().zip(files) {
        let closed = || (open_files(node) <= files).then_some(());
        let now = wait_until("sockets to be closed", LIMIT, closed);
        assert!(
            now.is_ok(),
            "{}: {files} open files before, {} after",
            node.config().name(),
            open_files(node)
        );
    }
    println!("resident before {before:?}, after {:?}", [&pair.a, &pair.b].map(resident));
    pair.finish();
}
