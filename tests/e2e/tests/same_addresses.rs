//! Virtual networks with the same addresses on one node.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{Ipv4Addr, SocketAddr};

use gridway_e2e::{Pair, Trio, in_both_layouts};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::tools::{Curl, MirrorServer};
use gridway_lab::{Hub, Lab, Namespace, Ping, Side};

/// A vnet in which side A is 10.200.1.0/24 and the other side 10.200.2.0/24, whatever its name.
fn vnet(name: &str, inside: (&str, &str), outside: (&str, &str), peer: &str) -> String {
    format!(
        r#"
[[vnet]]
name = "{name}"
cidr = "10.200.0.0/16"

  [[vnet.inside_nat]]
  local = "{}"
  virtual = "{}"

  [[vnet.outside_nat]]
  local = "{}"
  virtual = "{}"

  [[vnet.route]]
  to = "{}"
  via = "{peer}"
{}"#,
        inside.0,
        inside.1,
        outside.0,
        outside.1,
        outside.1,
        vnets::ALLOW_ALL
    )
}

const A: &str = "10.200.1.0/24";
const B: &str = "10.200.2.0/24";
/// What h1 dials.
const RED: Ipv4Addr = Ipv4Addr::new(172, 16, 2, 2);
const BLUE: Ipv4Addr = Ipv4Addr::new(172, 17, 2, 2);

/// Vnets `red` and `blue` on gw-a.
fn on_a(red_peer: &str, blue_peer: &str) -> String {
    let local = Side::A.network();
    vnet("red", (local, A), ("172.16.2.0/24", B), red_peer)
        + &vnet("blue", (local, A), ("172.17.2.0/24", B), blue_peer)
}

fn ping(from: &Namespace, to: Ipv4Addr) {
    let report = Ping::new(to).count(5).run(from).unwrap();
    assert!(report.all_answered(), "{report:?}");
}

/// Vnets of flows that go to a peer.
fn vnets_towards(node: &Gateway, peer: &str) -> Vec<String> {
    let flows = node.flows().unwrap();
    let mut vnets: Vec<_> =
        flows.into_iter().filter(|flow| flow.peer == peer).map(|flow| flow.vnet).collect();
    vnets.sort_unstable();
    vnets.dedup();
    vnets
}

/// Each vnet leads to another node.
#[test]
fn two_peers_have_hosts_with_the_same_address() {
    let trio = Trio::mesh([
        &on_a(Side::B.node(), Hub::NODE),
        &vnet("red", (Side::B.network(), B), ("172.16.1.0/24", A), Side::A.node()),
        &vnet("blue", (Hub::NETWORK, B), ("172.17.1.0/24", A), Side::A.node()),
    ]);
    let start = |host, address: Ipv4Addr| MirrorServer::start(host, (address, 8080).into()).unwrap();
    let _red = start(trio.lab.h2(), Side::B.host(0));
    let _blue = start(trio.lab.hub().host(), Hub::HOST);
    // From one port, so that the virtual tuples are the same ones.
    let ask = |to: Ipv4Addr| Curl::new((to, 8080).into()).local_port(40_000).run(trio.lab.h1()).unwrap();
    for _ in 0..2 {
        ping(trio.lab.h1(), RED);
        ping(trio.lab.h1(), BLUE);
        // Each side knows h1 by another address, which tells who answered.
        assert_eq!(ask(RED), SocketAddr::from(([172, 16, 1, 2], 40_000)));
        assert_eq!(ask(BLUE), SocketAddr::from(([172, 17, 1, 2], 40_000)));
    }
    assert_eq!(vnets_towards(&trio.a, Side::B.node()), ["red"]);
    assert_eq!(vnets_towards(&trio.a, Hub::NODE), ["blue"]);
    trio.finish();
}

in_both_layouts! {
    /// Both vnets are in one tunnel, and every virtual tuple is there twice.
    fn one_peer_has_two_hosts_with_the_same_address(layout) {
        let peer = Side::B.node();
        let of_b = vnet("red", ("10.2.0.2/32", "10.200.2.2/32"), ("172.16.1.0/24", A), Side::A.node())
            + &vnet("blue", ("10.2.0.3/32", "10.200.2.2/32"), ("172.17.1.0/24", A), Side::A.node());
        let fragment = |side| if side == Side::A { on_a(peer, peer) } else { of_b.clone() };
        let pair = Pair::built(Lab::builder().hosts(Side::B, 2), layout, fragment);
        let start = |n| {
            MirrorServer::start(pair.lab.host(Side::B, n), (Side::B.host(n), 8080).into()).unwrap()
        };
        let _servers = [start(0), start(1)];
        let ask = |to: Ipv4Addr| Curl::new((to, 8080).into()).local_port(40_000).run(pair.lab.h1()).unwrap();
        for _ in 0..2 {
            ping(pair.lab.h1(), RED);
            ping(pair.lab.h1(), BLUE);
            assert_eq!(ask(RED), SocketAddr::from(([172, 16, 1, 2], 40_000)));
            assert_eq!(ask(BLUE), SocketAddr::from(([172, 17, 1, 2], 40_000)));
        }
        // And in the other direction.
        ping(pair.lab.host(Side::B, 0), Ipv4Addr::new(172, 16, 1, 2));
        ping(pair.lab.host(Side::B, 1), Ipv4Addr::new(172, 17, 1, 2));
        assert_eq!(vnets_towards(&pair.a, peer), ["blue", "red"]);
        let rows = pair.b.cli(&["flows", "--vnet", "blue", "--proto", "tcp"]).unwrap();
        assert_eq!(rows[0]["local"]["src"], "10.2.0.3", "{rows}");
        pair.finish();
    }
}
