//! The access policy as a port scanner sees it.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::IpAddr;

use gridway_e2e::{Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::tools::PortState::{self, Closed, Filtered, Open, OpenOrFiltered};
use gridway_lab::tools::{Scan, ScanReport};
use gridway_lab::{EchoServer, Lab, Namespace, Side};

/// Two ports that are allowed, one rejected, one dropped; whatever no rule is about is refused, too.
const RULES: &str = r#"
  [[vnet.acl]]
  line = 10
  action = "allow"
  protocol = "tcp"
  ports = "8000-8001"

  [[vnet.acl]]
  line = 20
  action = "reject"
  protocol = "tcp"
  ports = "8100"

  [[vnet.acl]]
  line = 30
  action = "drop"
  protocol = "tcp"
  ports = "8200"

  [[vnet.acl]]
  line = 40
  action = "allow"
  protocol = "udp"
  ports = "9000-9001"

  [[vnet.acl]]
  line = 50
  action = "reject"
  protocol = "udp"
  ports = "9100"

  [[vnet.acl]]
  line = 60
  action = "drop"
  protocol = "udp"
  ports = "9200"
"#;

/// Vnet `plain` with addresses for ICMP errors to come from, and with `rules` on one side.
fn plain(side: Side, ruled: Side, rules: &str) -> String {
    let number = if side == Side::A { 1 } else { 2 };
    let addresses = format!("nat = false\naddress = [\"10.{number}.0.254\", \"fd00:{number}::fe\"]");
    let text = vnets::plain(side).replace("nat = false", &addresses);
    if side == ruled { text.replace(vnets::ALLOW_ALL, rules) } else { text }
}

/// h2's addresses.
fn targets() -> [IpAddr; 2] {
    [Side::B.host(0).into(), Side::B.host6(0).into()]
}

/// Listeners on all ports but two, so that it is not for want of them that a port is not open.
fn listen(host: &Namespace, tcp: &[u16], udp: &[u16]) -> Vec<EchoServer> {
    let everywhere = |ports: &[u16]| -> Vec<_> {
        targets()
            .into_iter()
            .flat_map(|address| ports.iter().map(move |port| (address, *port).into()).collect::<Vec<_>>())
            .collect()
    };
    let tcp = everywhere(tcp).into_iter().map(|address| EchoServer::tcp(host, address));
    let udp = everywhere(udp).into_iter().map(|address| EchoServer::udp(host, address));
    tcp.chain(udp).map(|server| server.unwrap()).collect()
}

fn states(report: &ScanReport) -> Vec<(u16, PortState)> {
    report.ports.iter().map(|(port, state)| (*port, *state)).collect()
}

fn scan(pair: &Pair, ruled: &Gateway) {
    let _servers = listen(pair.lab.h2(), &[8000, 8100, 8200, 8300], &[9000, 9100, 9200, 9300]);
    for target in targets() {
        let tcp = Scan::tcp(target, "8000,8001,8100,8200,8300").run(pair.lab.h1()).unwrap();
        let expected = [(8000, Open), (8001, Closed), (8100, Closed), (8200, Filtered), (8300, Filtered)];
        assert_eq!(states(&tcp), expected, "{target}\n{}", pair.evidence());
        let udp = Scan::udp(target, "9000,9001,9100,9200,9300").run(pair.lab.h1()).unwrap();
        let expected =
            [(9000, Open), (9001, Closed), (9100, Filtered), (9200, OpenOrFiltered), (9300, Filtered)];
        assert_eq!(states(&udp), expected, "{target}\n{}", pair.evidence());
    }
    for reason in ["acl_reject", "acl_deny", "acl_no_match"] {
        // TCP and UDP, IPv4 and IPv6.
        assert!(ruled.drops(reason).unwrap() >= 4, "{reason}\n{}", pair.evidence());
    }
    let acl = ruled.acl().unwrap();
    assert!(acl.iter().all(|rule| rule.hits >= 2), "{acl:?}");
}

in_both_layouts! {
    fn the_far_node_allows_rejects_and_drops(layout) {
        let pair = Pair::with(layout, |side| plain(side, Side::B, RULES));
        scan(&pair, &pair.b);
        pair.finish();
    }
}

#[test]
fn the_near_node_allows_rejects_and_drops() {
    let pair = Pair::with(Layout::Combined, |side| plain(side, Side::A, RULES));
    scan(&pair, &pair.a);
    pair.finish();
}

#[test]
fn objects_hold_objects_and_can_be_negated() {
    const TRUSTED: &str = r#"
  [[vnet.acl]]
  line = 10
  action = "allow"
  protocol = "tcp"
  source = "trusted"
  ports = "8000"

  [[vnet.acl]]
  line = 20
  action = "reject"
  protocol = "tcp"
  source = "!trusted"
  ports = "8000"

  [[vnet.acl]]
  line = 30
  action = "allow"
  protocol = "tcp"
  source = "!trusted"
  destination = "!10.2.0.128/25"
  ports = "8010"

  [[vnet.acl]]
  line = 40
  action = "drop"
  protocol = "any"

[[object]]
name = "trusted"
prefixes = ["staff", "fd00:1::3/128"]

[[object]]
name = "staff"
prefixes = ["10.1.0.3/32", "admins"]

[[object]]
name = "admins"
prefixes = ["10.1.0.2/32", "fd00:1::2/128"]
"#;
    let builder = Lab::builder().hosts(Side::A, 3);
    let pair = Pair::built(builder, Layout::Combined, |side| plain(side, Side::B, TRUSTED));
    let _servers = listen(pair.lab.h2(), &[8000, 8010], &[]);
    for (n, expected) in [
        (0, [(8000, Open), (8010, Filtered)]),
        (1, [(8000, Open), (8010, Filtered)]),
        (2, [(8000, Closed), (8010, Open)]),
    ] {
        for target in targets() {
            let report = Scan::tcp(target, "8000,8010").run(pair.lab.host(Side::A, n)).unwrap();
            assert_eq!(states(&report), expected, "host {n}, {target}\n{}", pair.evidence());
        }
    }
    pair.finish();
}
