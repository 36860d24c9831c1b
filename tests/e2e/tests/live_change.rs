//! Policies that change, and flows that are ended, while traffic passes.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts, many_to_one};
use gridway_lab::gateway::{Gateway, find_binary, vnets};
use gridway_lab::tools::{Curl, MirrorServer, echo_udp_from};
use gridway_lab::{EchoServer, Iperf3, Iperf3Server, Lab, Namespace, Ping, Rate, Side, wait_until};

const POOL: &str = "172.16.9.1/32";
const SHARED: Ipv4Addr = Ipv4Addr::new(172, 16, 9, 1);

/// What is added to both nodes' configurations in turn. None of it is about the traffic of the test.
fn addition(n: usize, far: Side) -> String {
    let peer = far.node();
    let route = format!("  [[vnet.route]]\n  to = \"{}\"\n  via = \"{peer}\"\n  metric = 7\n", half_of(far));
    let rules: String = (0..200)
        .map(|line| {
            format!(
                "  [[vnet.acl]]\n  line = {}\n  action = \"drop\"\n  protocol = \"tcp\"\n  ports = \"{}\"\n",
                1000 + line,
                20_000 + line
            )
        })
        .collect();
    let first =
        "  [[vnet.acl]]\n  line = 1\n  action = \"reject\"\n  protocol = \"udp\"\n  ports = \"5301\"\n";
    let other = |address: &str| {
        format!(
            "[[vnet]]\nname = \"other\"\ncidr = \"10.201.0.0/16\"\naddress = \"{address}\"\n\
             [[vnet.route]]\nto = \"10.201.2.0/24\"\nvia = \"{peer}\"\n"
        )
    };
    match n % 5 {
        0 => first.to_owned(),
        1 => rules,
        2 => route,
        3 => other("10.201.1.1"),
        _ => other("10.201.1.2") + &route.replace(&half_of(far), "10.201.3.0/24"),
    }
}

/// A longer prefix for the hosts of a side.
fn half_of(side: Side) -> String {
    vnets::virtual_network(side).replace("/24", "/25")
}

in_both_layouts! {
    fn twenty_policies_in_a_row_lose_no_datagram_and_move_no_port(layout) {
        let builder = Lab::builder().hosts(Side::A, 2);
        let mut pair = Pair::built(builder, layout, many_to_one(POOL));
        let _load = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let _web = MirrorServer::start(pair.lab.h2(), (Side::B.host(0), 8080).into()).unwrap();
        let server = vnets::outside_host(Side::B, 0);
        let curl = Curl::new((server, 8080).into()).local_port(40_000);
        let seen_as = |pair: &Pair| [0, 1].map(|n| curl.run(pair.lab.host(Side::A, n)).unwrap());
        let before = seen_as(&pair);
        assert_ne!(before[0], before[1]);

        // Half of what the path carries, and no more than sockets take without room to wait in.
        let tcp = Iperf3::tcp(server).duration(Duration::from_secs(2)).run(pair.lab.h1()).unwrap();
        let rate = Rate::mbit((tcp.mbps() / 2.0).clamp(1.0, 30.0) as u64);
        let load = Iperf3::udp(server, rate).length(1200).duration(Duration::from_secs(10));
        let mut running = load.start(pair.lab.h1()).unwrap();
        let of_load = |node: &Gateway| {
            let flows = node.flows().unwrap();
            flows.into_iter().find(|flow| flow.local.proto == 17).map(|flow| (flow.local, flow.virtual_tuple))
        };
        let flow = wait_until("the load's flow", LIMIT, || of_load(&pair.b)).unwrap();
        let no_room = pair.without_room();

        let original = [pair.a.config().clone(), pair.b.config().clone()];
        let start = Instant::now();
        for n in 0..20 {
            let far = [Side::B, Side::A];
            for (node, (config, far)) in [&mut pair.a, &mut pair.b].into_iter().zip(original.iter().zip(far)) {
                node.set_config(config.clone().with(&addition(n, far))).unwrap();
                assert_eq!(node.reload().unwrap(), None, "policy {n}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(start.elapsed() < Duration::from_secs(9), "the load ended before the changes: {:?}", start.elapsed());
        assert_eq!(of_load(&pair.b), Some(flow), "the load kept its mapping");
        let report = load.finish(pair.lab.h1(), &mut running).unwrap();
        let (lost, sent) = report.datagrams.unwrap();
        let no_room = pair.without_room() - no_room;
        assert!(sent > 1000, "{report:?}");
        // A machine that is busy elsewhere leaves workers without time and the server's socket without room: both
        // are counted. Nothing else was lost.
        assert_eq!(lost.saturating_sub(no_room), 0, "of {sent} at {rate:?}, {no_room} without room\n{}", pair.evidence());
        assert_eq!(seen_as(&pair), before, "connections from the same ports got the same ones");
        pair.finish();
    }
}

fn bind(host: &Namespace, port: u16) -> UdpSocket {
    let socket = host.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

/// The far side goes on to send to a port whose mapping went with its flow.
#[test]
fn a_killed_flow_stops_and_the_command_says_how_many_there_were() {
    let pair = Pair::with(Layout::Combined, many_to_one(POOL));
    let (inner, outer) = (bind(pair.lab.h1(), 40_001), bind(pair.lab.h2(), 7000));
    let mut buffer = [0; 64];
    inner.send_to(b"hello", (vnets::outside_host(Side::B, 0), 7000)).unwrap();
    let (_, client) = outer.recv_from(&mut buffer).unwrap();
    assert_eq!(client, SocketAddr::from((SHARED, 40_001)));
    for _ in 0..10 {
        outer.send_to(b"more", client).unwrap();
        inner.recv_from(&mut buffer).unwrap();
    }
    let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(1).run(pair.lab.h1()).unwrap();
    assert!(ping.all_answered());

    let filter = ["--vnet", "corp", "--proto", "udp", "--sport", "7000", "--dst", "172.16.9.1"];
    let kill: Vec<&str> = ["flows", "kill"].into_iter().chain(filter).collect();
    assert_eq!(pair.b.cli(&kill).unwrap()["flows"], 1);
    let before = pair.b.drops("pat_no_mapping").unwrap();
    for _ in 0..10 {
        outer.send_to(b"more", client).unwrap();
    }
    assert!(inner.recv_from(&mut buffer).is_err(), "the flow goes on");
    assert_eq!(pair.b.drops("pat_no_mapping").unwrap(), before + 10);
    assert_eq!(pair.b.flows().unwrap().len(), 1, "the ping's flow was not meant");

    // Nothing left to end: the answer is no, and said so.
    let gridway = || pair.b.namespace().command(find_binary("gridway").unwrap()).args(["flows", "kill"]);
    let socket = pair.b.socket();
    let again = gridway().args(filter).arg("--socket").arg(&socket).run_unchecked().unwrap();
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let all = gridway().args(["--all"]).arg("--socket").arg(&socket).run().unwrap();
    assert!(all.stdout.contains('1'), "{all:?}");
    assert!(pair.b.flows().unwrap().is_empty());
    // Whoever has a policy that lets him may begin anew.
    inner.send_to(b"hello again", (vnets::outside_host(Side::B, 0), 7000)).unwrap();
    outer.recv_from(&mut buffer).unwrap();
    pair.finish();
}

#[test]
fn every_filter_finds_the_flow_and_no_other() {
    let pair = Pair::with(Layout::Combined, many_to_one(POOL));
    let server = vnets::outside_host(Side::B, 0);
    let _udp = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 7000).into()).unwrap();
    let _web = MirrorServer::start(pair.lab.h2(), (Side::B.host(0), 8080).into()).unwrap();
    echo_udp_from(pair.lab.h1(), 40_001, (server, 7000).into(), b"hello", LIMIT).unwrap();
    Curl::new((server, 8080).into()).local_port(40_002).run(pair.lab.h1()).unwrap();
    let back = Ping::new(server).count(1).run(pair.lab.h1()).unwrap();
    assert!(back.all_answered());
    std::thread::sleep(Duration::from_millis(1100));

    let udp: &[&str] = &["--proto", "udp"];
    let cases: &[(&[&str], usize)] = &[
        (&[], 3),
        (&["--vnet", "corp"], 3),
        (&["--vnet", "other"], 0),
        (&["--peer", "gw-a"], 3),
        (&["--peer", "gw-b"], 0),
        (&["--proto", "icmp"], 1),
        (&["--proto", "6"], 1),
        (&["--proto", "47"], 0),
        (&["--address", "10.2.0.2"], 3),
        (&["--address", "10.200.1.2"], 3),
        (&["--address", "10.2.0.9"], 0),
        (&["--dst", "172.16.9.1"], 3),
        (&["--dst", "10.200.2.2"], 0),
        (&["--src", "10.200.2.2"], 3),
        (&["--src", "172.16.9.1"], 0),
        (&["--port", "7000"], 1),
        (&["--port", "40002"], 1),
        (&["--dport", "40001"], 1),
        (&["--dport", "7000"], 0),
        (&["--sport", "8080"], 1),
        (&["--sport", "40002"], 0),
        (&["--state", "two-way"], 2),
        (&["--state", "closing"], 1),
        (&["--state", "established"], 0),
        (&["--tcp-flags", "SYN,FIN"], 1),
        (&["--tcp-flags", "RST"], 0),
        (&["--idle-at-least", "1s"], 3),
        (&["--idle-at-least", "1h"], 0),
        (&["--started-by", "overlay"], 3),
        (&["--started-by", "local"], 0),
        (&["--dst", "172.16.9.1", "--sport", "7000", "--state", "two-way"], 1),
        (&["--dst", "172.16.9.1", "--src", "10.200.2.2"], 0),
    ];
    for (filter, expected) in cases {
        let args: Vec<&str> = std::iter::once("flows").chain(filter.iter().copied()).collect();
        let rows = pair.b.cli(&args).unwrap();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), *expected, "{filter:?} in {rows:?}");
    }
    let row = pair.b.cli(&[&["flows"], udp].concat()).unwrap();
    assert_eq!((&row[0]["local"]["dst"], &row[0]["local"]["dport"]), (&"172.16.9.1".into(), &40_001.into()));
    assert_eq!((&row[0]["virtual"]["dst"], &row[0]["packets"]), (&"10.200.1.2".into(), &2.into()));
    pair.finish();
}
