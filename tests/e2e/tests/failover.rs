//! A way that fails while its tunnels stay up: live connections move to the relay and back.
//!
//! ```text
//! h1 10.1.0.2, 10.1.0.9 -- gwa ==+== gwb (172.16.9.1) -- h2 10.2.0.2, 10.2.0.9
//!                                |
//!                               gwh
//! ```
//!
//! A and B watch the direct way from both ends, each by a host of the other side.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use gridway_control::{FlowRow, MonitorRow, Tuple};
use gridway_e2e::{LIMIT, Trio, many_to_one};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::{EchoServer, Hub, Namespace, Side, wait_until};

const COUNT: u32 = 3;

/// The host that the other side's monitor asks.
fn target(side: Side) -> Ipv4Addr {
    side.host(7)
}

fn node(side: Side) -> String {
    let far = side.other();
    let direct = format!("via = \"{}\"\n", far.node());
    let watched = format!(
        "{direct}  metric = 10\n  monitor = {{ protocol = \"icmp\", target = \"{}\", interval = \"300ms\", \
         max_latency = \"290ms\", count = {COUNT} }}\n",
        vnets::virtual_host(far, 7)
    );
    let relayed = format!(
        "  [[vnet.route]]\n  to = \"{}\"\n  via = \"{}\"\n  metric = 20\n",
        vnets::virtual_network(far),
        Hub::NODE
    );
    many_to_one("172.16.9.1/32")(side).replace(&direct, &watched) + &relayed
}

/// Has a host lose those echo requests to its monitored address for which `which` holds.
fn lose(host: &Namespace, side: Side, which: &str) {
    let rules = format!(
        "table ip lose {{ chain input {{ type filter hook input priority 0; \
         ip daddr {} icmp type echo-request {which} drop; }}; }}",
        target(side)
    );
    host.run("nft", [rules]).unwrap();
}

fn lose_nothing(host: &Namespace) {
    host.run("nft", ["delete", "table", "ip", "lose"]).unwrap();
}

/// Whether the watched route is available, and its monitor.
fn watched(node: &Gateway) -> (bool, MonitorRow) {
    let rows = node.routes().unwrap();
    let row = rows.into_iter().find(|row| row.metric == 10).unwrap();
    (row.available, row.monitor.unwrap())
}

/// Whether the watched route's monitor has had an answer, and nothing is held against it.
fn answered(node: &Gateway) -> bool {
    let monitor = watched(node).1;
    monitor.latency_us.is_some() && monitor.failures == 0
}

/// The TCP connection's flow.
fn flow(node: &Gateway) -> FlowRow {
    node.flows().unwrap().into_iter().find(|flow| flow.local.proto == 6).unwrap()
}

/// A connection whose server echoes, and what both nodes called it when it began.
struct Connection {
    stream: TcpStream,
    tuples: [[Tuple; 2]; 2],
}

impl Connection {
    fn open(trio: &Trio) -> Self {
        let server = (vnets::outside_host(Side::B, 0), 7000);
        let stream = trio.lab.h1().enter(|| TcpStream::connect(server)).unwrap().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let tuples = Self::tuples(trio);
        Self { stream, tuples }
    }

    fn tuples(trio: &Trio) -> [[Tuple; 2]; 2] {
        [&trio.a, &trio.b].map(|node| {
            let flow = flow(node);
            [flow.local, flow.virtual_tuple]
        })
    }

    /// Sends, and gets it back. Nothing of its translation has changed, and both nodes send to these peers.
    fn goes_by(&mut self, trio: &Trio, peers: [&str; 2]) {
        self.stream.write_all(b"still there").unwrap();
        let mut answer = [0; 11];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still there");
        assert_eq!(Self::tuples(trio), self.tuples);
        let seen = [&trio.a, &trio.b].map(|node| flow(node).peer);
        assert_eq!(seen, peers, "{}", trio.evidence());
    }
}

#[test]
fn a_connection_moves_to_the_relay_and_back_with_its_translation() {
    let trio = Trio::mesh([&node(Side::A), &node(Side::B), &vnets::corp_hub(true, vnets::ALLOW_ALL)]);
    let ends = [(trio.lab.h1(), Side::A), (trio.lab.h2(), Side::B)];
    for (host, side) in ends {
        host.ip(&format!("addr add {}/24 dev eth0", target(side))).unwrap();
    }
    let _server = EchoServer::tcp(trio.lab.h2(), (Side::B.host(0), 7000).into()).unwrap();
    let direct = [Side::B.node(), Side::A.node()];
    let wait_for = |available: bool| {
        let both = || [&trio.a, &trio.b].iter().all(|node| watched(node).0 == available);
        let reached = wait_until("both monitors", LIMIT, || both().then_some(()));
        assert!(reached.is_ok(), "available: {available}\n{}", trio.evidence());
    };
    wait_until("answered probes", LIMIT, || (answered(&trio.a) && answered(&trio.b)).then_some(())).unwrap();
    let mut connection = Connection::open(&trio);
    connection.goes_by(&trio, direct);

    // Every second probe of A is lost: never two of them in a row. The interval leaves room for a machine that is busy
    // for a moment: each late probe would count on top.
    lose(trio.lab.h2(), Side::B, "numgen inc mod 2 0");
    let (start, mut lost) = (Instant::now(), false);
    while start.elapsed() < Duration::from_secs(3) {
        let (available, monitor) = watched(&trio.a);
        assert!(available && monitor.failures < COUNT, "{}", trio.evidence());
        lost |= monitor.failures > 0;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lost, "no probe was lost");
    connection.goes_by(&trio, direct);
    lose_nothing(trio.lab.h2());

    for _ in 0..2 {
        ends.iter().for_each(|(host, side)| lose(host, *side, ""));
        wait_for(false);
        connection.goes_by(&trio, [Hub::NODE; 2]);
        for node in [&trio.a, &trio.b] {
            assert!(node.peers().unwrap().iter().all(|peer| peer.connections == 1), "the tunnels stay up");
        }
        // Neither can use the direct way before its probes are answered again, by that way.
        ends.iter().for_each(|(host, _)| lose_nothing(host));
        wait_for(true);
        connection.goes_by(&trio, direct);
    }
    assert!(trio.hub.flows().unwrap().iter().any(|flow| flow.relayed && flow.local.proto == 6));
    trio.finish();
}
