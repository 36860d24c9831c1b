//! Why does this packet not pass: simulate, trace, capture, ping, against what real packets meet.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{Read, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use gridway_control::{
    CapturePoint, CapturedPacket, Client, ClientError, End, FailureKind, PacketFilter, PacketTrace, Ping,
    Reply, Request, Side as From, SimulatedPacket, Tuple,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::tools::{echo_tcp, echo_udp};
use gridway_lab::{EchoServer, Ping as HostPing, Side, wait_until};

const RULES: &str = r#"
  [[vnet.acl]]
  line = 1
  action = "drop"
  protocol = "udp"
  ports = "7002"

  [[vnet.acl]]
  line = 2
  action = "reject"
  protocol = "tcp"
  ports = "7003"
"#;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

fn corp(side: Side) -> String {
    vnets::corp(side) + if side == Side::A { RULES } else { "" }
}

fn remote() -> IpAddr {
    vnets::outside_host(Side::B, 0).into()
}

/// A packet from h1 to h2 as h1 knows it.
fn packet(proto: u8, dport: u16) -> SimulatedPacket {
    let tuple = Tuple { src: Side::A.host(0).into(), dst: remote(), proto, sport: 40000, dport };
    SimulatedPacket {
        from: From::Local,
        vnet: "corp".into(),
        peer: None,
        tuple,
        tcp_flags: None,
        length: None,
        dont_fragment: false,
        ttl: 64,
    }
}

fn simulate(node: &Gateway, packet: SimulatedPacket) -> PacketTrace {
    match node.ask(&Request::Simulate(packet)).unwrap() {
        Reply::Trace(trace) => *trace,
        other => panic!("{other:?}"),
    }
}

fn step<'t>(trace: &'t PacketTrace, stage: &str) -> &'t str {
    let found = trace.steps.iter().rev().find(|step| step.stage == stage);
    found.map_or_else(|| panic!("no step {stage} in {trace:?}"), |step| step.detail.as_str())
}

/// The rows of a list, and its end.
fn follow(node: &Gateway, request: &Request) -> (Vec<Reply>, End) {
    let mut rows = Vec::new();
    let end = Client::connect(&node.socket()).unwrap().follow::<ClientError>(request, |row| {
        rows.push(row);
        Ok(ControlFlow::Continue(()))
    });
    (rows, end.unwrap().unwrap())
}

fn traces(node: &Gateway, filter: PacketFilter, count: u64) -> Vec<PacketTrace> {
    let (rows, _) = follow(node, &Request::Trace { filter, count, wait_ms: 5_000 });
    rows.into_iter()
        .map(|row| match row {
            Reply::Trace(trace) => *trace,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Runs `load` again and again until `watch` has what it waits for.
fn under<T: Send>(watch: impl FnOnce() -> T + Send, load: impl Fn()) -> T {
    thread::scope(|scope| {
        let watching = scope.spawn(watch);
        while !watching.is_finished() {
            load();
        }
        watching.join().unwrap()
    })
}

#[test]
fn a_simulation_says_what_real_packets_meet_and_leaves_no_trace() {
    let pair = Pair::with(Layout::Combined, corp);
    let before = (pair.a.counters().unwrap(), pair.a.acl().unwrap(), pair.a.nat().unwrap());

    let allowed = simulate(&pair.a, packet(TCP, 7000));
    assert_eq!((allowed.verdict.as_str(), &allowed.reason), ("forwarded", &None));
    let translated = allowed.translated.unwrap();
    assert_eq!(translated.src, vnets::virtual_host(Side::A, 0));
    assert_eq!(translated.dst, vnets::virtual_host(Side::B, 0));
    assert!(step(&allowed, "acl").contains("line 10 says allow"), "{allowed:?}");
    assert!(step(&allowed, "route").contains("gw-b"), "{allowed:?}");
    assert!(step(&allowed, "inside_nat").contains("10.1.0.0/24"), "{allowed:?}");
    assert!(step(&allowed, "flow").contains("made"), "{allowed:?}");

    let dropped = simulate(&pair.a, packet(UDP, 7002));
    assert_eq!((dropped.verdict.as_str(), dropped.reason.as_deref()), ("dropped", Some("acl_deny")));
    assert!(step(&dropped, "acl").contains("line 1 says drop"));
    assert_eq!(dropped.answer, None);
    let rejected = simulate(&pair.a, packet(TCP, 7003));
    assert_eq!(rejected.reason.as_deref(), Some("acl_reject"));
    assert_eq!(rejected.answer.as_deref(), Some("TCP reset"));
    let late = simulate(&pair.a, SimulatedPacket { ttl: 1, ..packet(UDP, 7000) });
    assert_eq!(late.reason.as_deref(), Some("ttl_exceeded"));
    assert_eq!(late.answer.as_deref(), Some("ICMP time exceeded"));
    let large = SimulatedPacket { length: Some(1600), dont_fragment: true, ..packet(UDP, 7000) };
    let large = simulate(&pair.a, large);
    assert_eq!(large.reason.as_deref(), Some("too_big"));
    assert!(large.answer.unwrap().contains("MTU 1500"));
    let mut stranger = packet(TCP, 7000);
    stranger.tuple.src = "10.9.9.9".parse().unwrap();
    assert_eq!(simulate(&pair.a, stranger).reason.as_deref(), Some("no_inside_nat"));
    let mut nowhere = packet(TCP, 7000);
    nowhere.tuple.dst = "198.51.100.1".parse().unwrap();
    assert_eq!(simulate(&pair.a, nowhere).reason.as_deref(), Some("no_vnet"));
    let mut own = packet(ICMP, 0);
    own.tuple.dst = Side::A.data().into();
    assert_eq!(simulate(&pair.a, own).verdict, "to_kernel");

    // From the overlay: what h2's packet would meet here.
    let mut back = packet(TCP, 7000);
    back.from = From::Overlay;
    (back.tuple.src, back.tuple.dst) =
        (vnets::virtual_host(Side::B, 0).into(), vnets::virtual_host(Side::A, 0).into());
    let delivered = simulate(&pair.a, back.clone());
    assert_eq!(delivered.verdict, "delivered", "{delivered:?}");
    assert_eq!(delivered.translated.unwrap().dst, Side::A.host(0));
    assert!(step(&delivered, "source").contains("gw-b"));
    back.tuple.src = "10.200.99.1".parse().unwrap();
    back.peer = Some("gw-b".into());
    let spoofed = simulate(&pair.a, back);
    assert_eq!(spoofed.reason.as_deref(), Some("source_check"), "{spoofed:?}");

    let after = (pair.a.counters().unwrap(), pair.a.acl().unwrap(), pair.a.nat().unwrap());
    assert_eq!(before.0.drops, after.0.drops);
    assert_eq!(before.0.flows_created, after.0.flows_created);
    assert_eq!((before.1, before.2), (after.1, after.2), "no rule has counted");
    assert!(pair.a.flows().unwrap().is_empty());

    // And so it is.
    let echo = |port| EchoServer::tcp(pair.lab.h2(), (Side::B.host(0), port).into()).unwrap();
    let (open, closed) = (echo(7000), echo(7003));
    let to = |server: &EchoServer| (remote(), server.address().port()).into();
    echo_tcp(pair.lab.h1(), to(&open), b"hello", LIMIT).unwrap();
    assert!(echo_tcp(pair.lab.h1(), to(&closed), b"hello", LIMIT).is_err());
    let udp = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 7002).into()).unwrap();
    assert!(echo_udp(pair.lab.h1(), to(&udp), b"hello", Duration::from_millis(300)).is_err());
    assert!(pair.a.drops("acl_reject").unwrap() > 0 && pair.a.drops("acl_deny").unwrap() > 0);

    // A packet of a flow that lives is known as such.
    let flow = pair.a.flows().unwrap().into_iter().find(|flow| flow.local.dport == 7000).unwrap();
    let known = SimulatedPacket { tuple: flow.local, tcp_flags: Some("ACK".into()), ..packet(TCP, 7000) };
    let known = simulate(&pair.a, known);
    assert!(step(&known, "flow").contains("that was allowed"), "{known:?}");
    pair.finish();
}

in_both_layouts! {
    fn a_trace_shows_the_steps_of_the_next_packets_and_no_others(layout) {
        let pair = Pair::with(layout, corp);
        let denied = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 7002).into()).unwrap();
        let to = (remote(), denied.address().port()).into();
        let load = || {
            drop(echo_udp(pair.lab.h1(), to, b"hello", Duration::from_millis(20)));
            drop(HostPing::new(remote()).count(1).wait(Duration::from_millis(300)).run(pair.lab.h1()));
        };
        let dropped = PacketFilter { dropped: Some("any".into()), ..PacketFilter::default() };
        for trace in under(|| traces(&pair.a, dropped, 3), load) {
            assert_eq!((trace.verdict.as_str(), trace.reason.as_deref()), ("dropped", Some("acl_deny")));
            assert_eq!((trace.from, trace.tuple.unwrap().dport), (From::Local, 7002));
            assert!(step(&trace, "acl").contains("line 1 says drop"), "{trace:?}");
        }
        let pings = PacketFilter {
            from: Some(From::Overlay),
            proto: Some(ICMP),
            peer: Some("gw-b".into()),
            vnet: Some("corp".into()),
            // By its local address, which the packet gets here only.
            address: Some(format!("{}/32", remote()).parse().unwrap()),
            ..PacketFilter::default()
        };
        let seen = under(|| traces(&pair.a, pings, 2), load);
        assert_eq!(seen.len(), 2);
        for trace in seen {
            assert_eq!((trace.verdict.as_str(), trace.from), ("delivered", From::Overlay));
            assert_eq!(trace.tuple.unwrap().src, vnets::virtual_host(Side::B, 0));
            assert_eq!(trace.translated.unwrap().src, remote());
            assert!(step(&trace, "parse").contains("reply"), "{trace:?}");
        }
        let none = PacketFilter { proto: Some(99), ..PacketFilter::default() };
        let (rows, end) = under(
            || follow(&pair.a, &Request::Trace { filter: none, count: 1, wait_ms: 300 }),
            load,
        );
        assert_eq!((rows.len(), end), (0, End::default()));
        pair.finish();
    }

    fn a_capture_has_packets_before_and_after_translation(layout) {
        let pair = Pair::with(layout, corp);
        let load = || {
            drop(HostPing::new(remote()).count(2).interval(Duration::from_millis(10)).run(pair.lab.h1()));
        };
        let capture = |point| {
            let request = Request::Capture {
                point,
                filter: PacketFilter { proto: Some(ICMP), ..PacketFilter::default() },
                count: 4,
                wait_ms: 5_000,
                snap: 28,
            };
            under(|| follow(&pair.a, &request), load)
        };
        let ends = |captured: &CapturedPacket| -> Vec<IpAddr> {
            let bytes: Vec<u8> = (0..captured.bytes.len() / 2)
                .map(|at| u8::from_str_radix(&captured.bytes[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            assert_eq!((bytes.len(), captured.length), (28, 84), "cut to what was asked for");
            [12, 16].map(|at| <[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap().into()).to_vec()
        };
        for (point, hosts) in [
            (CapturePoint::Local, [IpAddr::from(Side::A.host(0)), remote()]),
            (CapturePoint::Virtual, [Side::A, Side::B].map(|side| vnets::virtual_host(side, 0).into())),
        ] {
            let (rows, end) = capture(point);
            assert_eq!((rows.len(), end.rows, end.missed), (4, 4, 0));
            let mut sides = Vec::new();
            for row in rows {
                let Reply::Captured(captured) = row else { panic!("{row:?}") };
                let (mut ends, from) = (ends(&captured), captured.from);
                if from == From::Overlay {
                    ends.reverse();
                }
                assert_eq!(ends, hosts, "{captured:?}");
                let said = if from == From::Local { "forwarded, to gw-b" } else { "delivered, from gw-b" };
                assert!(captured.comment.contains(said), "{captured:?}");
                sides.push(from);
            }
            assert!(sides.contains(&From::Local) && sides.contains(&From::Overlay));
        }
        pair.finish();
    }

    fn a_ping_goes_through_the_overlay(layout) {
        let mut pair = Pair::with(layout, corp);
        let ping = |address: IpAddr| {
            let request = Request::Ping { vnet: "corp".into(), address, count: 3, interval_ms: 100 };
            let (rows, _) = follow(&pair.a, &request);
            let rows = rows.into_iter().map(|row| match row {
                Reply::Ping(ping) => ping,
                other => panic!("{other:?}"),
            });
            rows.collect::<Vec<Ping>>()
        };
        let answered = ping(vnets::virtual_host(Side::B, 0).into());
        assert_eq!(answered.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        for row in &answered {
            assert_eq!(row.peer.as_deref(), Some("gw-b"));
            assert!(row.round_trip_us.is_some_and(|time| time < 1_000_000), "{row:?}");
        }
        // Each row is about its own request: while one host answers and goes, the later ones go without.
        let times: Vec<_> = answered.iter().map(|row| row.round_trip_us).collect();
        assert!(times.windows(2).any(|pair| pair[0] != pair[1]), "one time for all: {times:?}");
        let no_host = ping("10.200.2.77".parse().unwrap());
        assert!(no_host.iter().all(|row| row.round_trip_us.is_none()), "{no_host:?}");
        let no_route = ping("10.200.99.1".parse().unwrap());
        assert!(no_route.iter().all(|row| row.error.as_deref() == Some("no route")), "{no_route:?}");
        pair.b.stop().unwrap();
        pair.a.wait_peer_down("gw-b", LIMIT).unwrap();
        let down = ping(vnets::virtual_host(Side::B, 0).into());
        assert!(down.iter().all(|row| row.error.as_deref() == Some("no route is available")), "{down:?}");
        let unknown = Request::Ping {
            vnet: "none".into(),
            address: vnets::virtual_host(Side::B, 0).into(),
            count: 1,
            interval_ms: 100,
        };
        let refused = Client::connect(&pair.a.socket())
            .unwrap()
            .follow::<ClientError>(&unknown, |_| Ok(ControlFlow::Continue(())));
        assert!(
            matches!(&refused, Err(ClientError::Refused(failure)) if failure.kind == FailureKind::NotFound),
            "{refused:?}"
        );
        gridway_lab::gateway::check_books(&pair.a, LIMIT).unwrap();
        pair.a.stop().unwrap();
    }
}

#[test]
fn watchers_are_bounded_and_end_with_their_clients() {
    let pair = Pair::with(Layout::Combined, corp);
    let request = Request::Trace { filter: PacketFilter::default(), count: u64::MAX, wait_ms: 60_000 };
    let begin = || {
        let mut stream = UnixStream::connect(pair.a.socket()).unwrap();
        stream.write_all(&gridway_control::encode_request(&request).unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut watchers: Vec<_> = (0..9).map(|_| begin()).collect();
    // One of nine has no place, whichever comes last.
    wait_until("the ninth to be refused", LIMIT, || {
        let mut line = [0; 100];
        watchers.iter_mut().find_map(|stream| stream.read(&mut line).ok())
    })
    .unwrap();
    let ask = || {
        let request = Request::Trace { filter: PacketFilter::default(), count: 1, wait_ms: 100 };
        let mut client = Client::connect(&pair.a.socket()).unwrap();
        client.follow::<ClientError>(&request, |_| Ok(ControlFlow::Continue(())))
    };
    let refused = ask().unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused(failure) if failure.kind == FailureKind::Busy),
        "{refused}"
    );
    // Their clients do not read: packets pass all the same.
    let report = HostPing::new(remote()).count(20).interval(Duration::from_millis(10)).run(pair.lab.h1());
    assert!(report.unwrap().all_answered());
    drop(watchers);
    wait_until("their places to be free", LIMIT, || ask().ok()).unwrap();
    pair.finish();
}
