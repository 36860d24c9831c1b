//! What a sender is told when its packet does not pass: ICMP errors and resets.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{check_books, vnets};
use gridway_lab::tools::{PortState, Scan, echo_tcp, echo_udp};
use gridway_lab::{Capture, EchoServer, HOST_INTERFACE, LabError, Namespace, Ping, Side, wait_until};

/// Allowed: ICMP, and port 7000. Refused: 7001. Dropped: 7002. No rule: everything else.
const RULES: &str = r#"
  [[vnet.acl]]
  line = 1
  action = "allow"
  protocol = "icmp"

  [[vnet.acl]]
  line = 2
  action = "allow"
  protocol = "tcp"
  ports = "7000"

  [[vnet.acl]]
  line = 3
  action = "reject"
  protocol = "tcp"
  ports = "7001"

  [[vnet.acl]]
  line = 4
  action = "reject"
  protocol = "udp"
  ports = "7001"

  [[vnet.acl]]
  line = 5
  action = "drop"
  protocol = "tcp"
  ports = "7002"

  [[vnet.acl]]
  line = 6
  action = "drop"
  protocol = "udp"
  ports = "7002"
"#;

/// `dual`, with access rules at `strict` and none that refuse at the other node. Hosts above .127 have no inside NAT,
/// and there are remote networks without a route.
fn fragment(side: Side, strict: Side, options: &str) -> String {
    let half = |network: &str| (format!("\"{network}\""), format!("\"{}\"", network.replace("/24", "/25")));
    let mut text = vnets::dual_with(side, options);
    for network in [side.network().to_owned(), vnets::virtual_network(side)] {
        let (whole, half) = half(&network);
        text = text.replace(&whole, &half);
    }
    let unrouted = r#"
  [[vnet.outside_nat]]
  virtual = "10.200.9.0/24"
  local = "172.16.9.0/24"

  [[vnet.outside_nat]]
  virtual = "fd00:200:9::/64"
  local = "fd00:c0:9::/64"
"#;
    text + unrouted + if side == strict { RULES } else { vnets::ALLOW_ALL }
}

/// An ICMP error as h1 saw it: who sent it, type and code.
type Told = (IpAddr, u8, u8);

/// The ICMP errors in a capture, in their order. Insists that every checksum is right.
fn told(capture: &mut Capture) -> Vec<Told> {
    capture.stop().unwrap();
    assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
    let fields = ["ip.src", "icmp.type", "icmp.code", "ipv6.src", "icmpv6.type", "icmpv6.code"];
    let rows = capture.fields("icmp.type == 3 || icmp.type == 11 || icmpv6.type < 128", &fields).unwrap();
    let read = |row: &[String]| -> Told {
        (row[0].parse().unwrap(), row[1].parse().unwrap(), row[2].parse().unwrap())
    };
    rows.iter().map(|row| if row[3].is_empty() { read(&row[..3]) } else { read(&row[3..]) }).collect()
}

fn capture(pair: &Pair) -> Capture {
    Capture::start_inbound(pair.lab.h1(), HOST_INTERFACE, "icmp or icmp6").unwrap()
}

/// One ping that is not answered.
fn ping(from: &Namespace, to: &str) {
    let to: IpAddr = to.parse().unwrap();
    let report = Ping::new(to).count(1).wait(Duration::from_millis(200)).run(from).unwrap();
    assert_eq!(report.received, 0, "{report:?}");
}

/// One datagram that is not answered.
fn udp(from: &Namespace, to: &str, port: u16) {
    let to: IpAddr = to.parse().unwrap();
    echo_udp(from, (to, port).into(), b"anyone", Duration::from_millis(200)).unwrap_err();
}

fn kind(error: &LabError) -> Option<ErrorKind> {
    match error {
        LabError::Io { source, .. } => Some(source.kind()),
        _ => None,
    }
}

/// h2 as h1 knows it.
const H2: &str = "172.16.2.2";
const H2_V6: &str = "fd00:c0:2:0:ff3f::2";

in_both_layouts! {
    fn the_near_node_says_why(layout) {
        let mut pair = Pair::with(layout, |side| fragment(side, Side::A, ""));
        let h1 = pair.lab.h1();
        h1.ip("addr add 10.1.0.200/24 dev eth0").unwrap();
        let mut seen = capture(&pair);
        let mut expected: Vec<Told> = Vec::new();
        let (near, near6) = (IpAddr::from(Side::A.data()), IpAddr::from(Side::A.data6()));

        // No vnet; no route; rejected; dropped, in silence; no rule, which is not silent.
        ping(h1, "10.99.0.1");
        ping(h1, "172.16.9.1");
        udp(h1, H2, 7001);
        udp(h1, H2, 7002);
        udp(h1, H2, 7003);
        expected.extend([(near, 3, 6), (near, 3, 0), (near, 3, 13), (near, 3, 13)]);
        // No inside NAT for this source.
        let elsewhere = Ping::new(vnets::outside_host(Side::B, 0)).count(1).source("10.1.0.200");
        elsewhere.wait(Duration::from_millis(200)).run(h1).unwrap();
        expected.push((near, 3, 6));
        ping(h1, "fd00:99::1");
        ping(h1, "fd00:c0:9::1");
        udp(h1, H2_V6, 7001);
        udp(h1, H2_V6, 7003);
        expected.extend([(near6, 1, 0), (near6, 1, 0), (near6, 1, 1), (near6, 1, 1)]);
        // The peer is down.
        pair.check_books();
        pair.b.stop().unwrap();
        pair.a.wait_peer_down("gw-b", LIMIT).unwrap();
        ping(h1, H2);
        ping(h1, H2_V6);
        expected.extend([(near, 3, 1), (near6, 1, 3)]);

        assert_eq!(told(&mut seen), expected, "{}", pair.evidence());
        check_books(&pair.a, LIMIT).unwrap();
        pair.a.stop().unwrap();
    }

    fn the_far_node_says_why(layout) {
        let mut pair = Pair::with(layout, |side| fragment(side, Side::B, ""));
        let (h1, mut seen) = (pair.lab.h1(), capture(&pair));
        let far = IpAddr::from(vnets::outside_gateway(Side::B));
        let far6 = IpAddr::from(vnets::outside_gateway6(Side::B));
        let mut expected: Vec<Told> = Vec::new();

        // Rejected; dropped; no rule; no inside NAT for the destination.
        udp(h1, H2, 7001);
        udp(h1, H2, 7002);
        udp(h1, H2, 7003);
        ping(h1, "172.16.2.200");
        expected.extend([(far, 3, 13), (far, 3, 13), (far, 3, 7)]);
        // The far node's own data address answers echo and nothing else.
        let config = pair.b.config().clone().without_fragments();
        pair.b.set_config(config.with(&fragment(Side::B, Side::A, ""))).unwrap();
        assert_eq!(pair.b.reload().unwrap(), None);
        udp(h1, "172.16.2.1", 7001);
        udp(h1, "fd00:c0:2:0:ff3f::1", 7001);
        expected.extend([(far, 3, 1), (far6, 1, 3)]);
        // Hosts that do not exist, once the kernel has given them up.
        ping(h1, "172.16.2.77");
        ping(h1, "fd00:c0:2:0:ff3f::77");
        let given_up = || (pair.b.drops("neighbour_failed").unwrap() == 2).then_some(());
        wait_until("both hosts to be given up", Duration::from_secs(6), given_up).unwrap();
        pair.check_books();
        let mut told = told(&mut seen);
        // In whichever order the kernel gave them up.
        let last = told.len().saturating_sub(2);
        told[last..].sort();
        expected.extend([(far, 3, 1), (far6, 1, 3)]);
        assert_eq!(told, expected, "{}", pair.evidence());
        pair.finish();
    }

    fn tcp_is_refused_at_once_or_not_at_all(layout) {
        for strict in Side::BOTH {
            let pair = Pair::with(layout, |side| fragment(side, strict, ""));
            let _servers = [IpAddr::from(Side::B.host(0)), Side::B.host6(0).into()].map(|address| {
                [7000, 7001, 7002].map(|port| EchoServer::tcp(pair.lab.h2(), (address, port).into()).unwrap())
            });
            let mut seen = Capture::start_inbound(pair.lab.h1(), HOST_INTERFACE, "").unwrap();
            let ports = Scan::tcp(vnets::outside_host(Side::B, 0), "7000-7002").run(pair.lab.h1()).unwrap();
            let states = [7000, 7001, 7002].map(|port| ports.state(port));
            let expected = [PortState::Open, PortState::Closed, PortState::Filtered].map(Some);
            assert_eq!(states, expected, "rules of {strict:?}\n{}", pair.evidence());
            for host in [H2, H2_V6] {
                let to: IpAddr = host.parse().unwrap();
                let ask = |port, limit| echo_tcp(pair.lab.h1(), (to, port).into(), b"hello", limit);
                assert_eq!(ask(7000, LIMIT).unwrap(), b"hello");
                let asked = Instant::now();
                let refused = ask(7001, LIMIT).unwrap_err();
                assert_eq!(kind(&refused), Some(ErrorKind::ConnectionRefused), "{refused}");
                assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
                let silent = ask(7002, Duration::from_millis(300)).unwrap_err();
                assert_eq!(kind(&silent), Some(ErrorKind::TimedOut), "{silent}");
            }
            seen.stop().unwrap();
            assert_eq!(seen.bad_checksums().unwrap(), [[""; 0]; 0]);
            pair.finish();
        }
    }

    /// UDP to a port where nobody listens: the far kernel's own error reaches the program that asked.
    fn a_closed_udp_port_is_refused_through_both_nats(layout) {
        let pair = Pair::with(layout, vnets::dual);
        let mut seen = capture(&pair);
        for side in Side::BOTH {
            let to: [IpAddr; 2] = [vnets::outside_host(side, 0).into(), vnets::outside_host6(side, 0).into()];
            for to in to {
                let from = pair.lab.host(side.other(), 0);
                let refused = echo_udp(from, (to, 9).into(), b"anyone", LIMIT).unwrap_err();
                assert_eq!(kind(&refused), Some(ErrorKind::ConnectionRefused), "{refused}\n{}", pair.evidence());
            }
        }
        let (h2, h2_v6): (IpAddr, IpAddr) = (H2.parse().unwrap(), H2_V6.parse().unwrap());
        assert_eq!(told(&mut seen), [(h2, 3, 3), (h2_v6, 1, 4)]);
        pair.finish();
    }
}

#[test]
fn a_dark_vnet_says_nothing() {
    let mut pair = Pair::with(Layout::Combined, |side| fragment(side, Side::A, "dark = true"));
    let mut seen = capture(&pair);
    let refuse = |pair: &Pair| {
        let h1 = pair.lab.h1();
        for to in ["10.99.0.1", "172.16.9.1", "172.16.2.200", "fd00:c0:9::1"] {
            ping(h1, to);
        }
        for (host, port) in [(H2, 7001), (H2, 7003), (H2_V6, 7001), ("172.16.2.1", 7000)] {
            udp(h1, host, port);
        }
        for hops in [1, 2] {
            let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(1).ttl(hops);
            ping.wait(Duration::from_millis(200)).run(h1).unwrap();
        }
        let to = (vnets::outside_host(Side::B, 0), 7001).into();
        let silent = echo_tcp(h1, to, b"hello", Duration::from_millis(300)).unwrap_err();
        assert_eq!(kind(&silent), Some(ErrorKind::TimedOut), "{silent}");
    };
    refuse(&pair);
    assert!(pair.a.drops("acl_reject").unwrap() > 0);
    assert!(pair.a.drops("ttl_exceeded").unwrap() > 0);
    assert!(pair.b.drops("ttl_exceeded").unwrap() > 0);
    // Now B alone has the rules: what it refuses it refuses in silence too.
    for (node, side) in [(&mut pair.a, Side::A), (&mut pair.b, Side::B)] {
        let config = node.config().clone().without_fragments();
        node.set_config(config.with(&fragment(side, Side::B, "dark = true"))).unwrap();
        assert_eq!(node.reload().unwrap(), None);
    }
    refuse(&pair);
    for reason in ["acl_reject", "acl_no_match", "no_inside_nat"] {
        assert!(pair.b.drops(reason).unwrap() > 0, "{reason}\n{}", pair.evidence());
    }
    assert_eq!(told(&mut seen), []);
    pair.finish();
}
