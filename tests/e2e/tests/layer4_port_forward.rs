//! Addresses of a vnet that lead local hosts to a service of another node.
//!
//! ```text
//! h1 ---- 172.16.2.99, 10.1.0.200 gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gridway_e2e::layer4::{service, target, wait_no_sessions};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{Nginx, echo_tcp};
use gridway_lab::{EchoServer, Ping, Side};

/// Among the addresses by which h1 knows hosts of the other side.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 2, 99);
/// Among those of h1's own network, and what the other side knows it as.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 200);
const INSIDE_AS_KNOWN_TO_H2: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 200);

fn forward(name: &str, listen: Ipv4Addr) -> String {
    format!(
        "  [[vnet.port_forward]]\n  name = \"{name}\"\n  listen = \"{listen}:80\"\n  peer = \"gw-b\"\n  service = \"web\"\n"
    )
}

fn config(side: Side) -> String {
    match side {
        Side::A => vnets::corp(side) + &forward("outside", OUTSIDE) + &forward("inside", INSIDE),
        Side::B => vnets::corp(side) + &service("web", "tcp", target(80)),
    }
}

/// Everything that the kernel of node A routes, by which rules, and to whom it answers.
fn kernel_state(pair: &Pair) -> String {
    let shown = |line: &str| pair.lab.gwa().ip(line).unwrap().stdout;
    ["route show table all", "rule show", "neigh show proxy", "addr show"].map(shown).concat()
}

in_both_layouts! {
    fn local_hosts_reach_a_service_at_an_address_of_the_vnet(layout) {
        let mut pair = Pair::with(layout, config);
        let _nginx = Nginx::start(pair.lab.h2(), target(80)).unwrap();
        for (name, address) in [("outside", OUTSIDE), ("inside", INSIDE)] {
            for _ in 0..5 {
                let seen = Nginx::client_seen(pair.lab.h1(), (address, 80).into());
                let seen = seen.unwrap_or_else(|error| panic!("{name}: {error}\n{}", pair.evidence()));
                assert_eq!(seen.ip(), Side::B.data(), "the far node asks");
            }
            let row = pair.a.connector(name).unwrap();
            assert_eq!((row.vnet.as_deref(), row.accepted), (Some("corp"), 5), "{row:?}");
        }
        // The vnet goes on around it.
        let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(5).run(pair.lab.h1()).unwrap();
        assert!(ping.all_answered(), "{ping:?}\n{}", pair.evidence());
        wait_no_sessions(&pair, LIMIT);
        pair.check_books();

        // Nothing of it stays in the kernel.
        let with = kernel_state(&pair);
        assert!(with.contains(&OUTSIDE.to_string()), "{with}");
        pair.a.stop().unwrap();
        let without = kernel_state(&pair);
        for address in [OUTSIDE, INSIDE] {
            assert!(!without.contains(&address.to_string()), "{without}");
        }
        pair.b.stop().unwrap();
    }
}

#[test]
fn from_the_overlay_it_is_refused() {
    let pair = Pair::with(Layout::Combined, config);
    let server = EchoServer::tcp(pair.lab.h2(), target(80)).unwrap();
    let port = |address: Ipv4Addr| SocketAddr::from((address, 80));
    // h1 gets there.
    let answer = echo_tcp(pair.lab.h1(), port(INSIDE), b"local", LIMIT);
    assert_eq!(answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"local");
    let asked = server.clients().len();
    let answer = echo_tcp(pair.lab.h2(), port(INSIDE_AS_KNOWN_TO_H2), b"remote", Duration::from_secs(2));
    assert!(answer.is_err(), "{answer:?}\n{}", pair.evidence());
    assert_eq!(server.clients().len(), asked);
    assert_eq!(pair.a.connector("inside").unwrap().accepted, 1);
    pair.finish();
}

#[test]
fn a_reload_takes_one_away_and_leaves_the_other() {
    let mut pair = Pair::with(Layout::Combined, config);
    let _server = EchoServer::tcp(pair.lab.h2(), target(80)).unwrap();
    let port = |address: Ipv4Addr| SocketAddr::from((address, 80));
    let without = config(Side::A).replace(&forward("inside", INSIDE), "");
    let config = pair.a.config().clone().without_fragments().with(&without);
    pair.a.set_config(config).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
    let gone = echo_tcp(pair.lab.h1(), port(INSIDE), b"gone", Duration::from_secs(1));
    assert!(gone.is_err(), "{gone:?}\n{}", pair.evidence());
    assert!(!kernel_state(&pair).contains(&INSIDE.to_string()));
    let answer = echo_tcp(pair.lab.h1(), port(OUTSIDE), b"there", LIMIT);
    assert_eq!(answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"there");
    pair.finish();
}
