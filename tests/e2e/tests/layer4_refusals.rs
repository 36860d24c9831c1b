//! What connectors and services refuse: the client is reset at once, and the reason is counted.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use gridway_e2e::layer4::{
    End, connector, dial_to_the_end, near, refusals, service, target, wait_no_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair};
use gridway_lab::tools::echo_tcp;
use gridway_lab::{EchoServer, Lab, Side};

/// Dials the connector `app`, and insists on a reset for that reason and nothing left of it.
fn assert_refused(pair: &Pair, reason: &str) {
    let end = dial_to_the_end(pair.lab.h1(), near(7000));
    assert_eq!(end, End::Reset, "{reason}\n{}", pair.evidence());
    let counts = refusals(&pair.a, "app");
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(reason.to_owned(), 1)], "{}", pair.evidence());
    wait_no_sessions(pair, LIMIT);
}

fn to_app(further: &str) -> String {
    connector("app", "tcp", near(7000), Side::B.node(), "app") + further
}

/// A pair whose connector leads to what B has.
fn pair_with(of_b: &str) -> Pair {
    Pair::with(Layout::Combined, |side| if side == Side::A { to_app("") } else { of_b.to_owned() })
}

/// The client does not have to wait: there is much more time to connect than it waits for.
#[test]
fn a_refused_target_resets_the_client_at_once() {
    let pair = pair_with(&(service("app", "tcp", target(7000)) + "connect_timeout = \"60s\"\n"));
    assert_refused(&pair, "connect_refused");
    let row = pair.b.service("app").unwrap();
    assert_eq!((row.sessions, row.opened, row.refused.get("connect_refused")), (0, 0, Some(&1)), "{row:?}");
    pair.finish();
}

/// Has h2 do something with what arrives at port 7000.
fn filter(pair: &Pair, verdict: &str) {
    let rules = format!(
        "table inet t {{ chain input {{ type filter hook input priority 0; tcp dport 7000 {verdict}; }}; }}"
    );
    pair.lab.h2().run("nft", [rules]).unwrap();
}

#[test]
fn a_target_that_is_silent_resets_the_client_after_the_connect_timeout() {
    let pair = pair_with(&(service("app", "tcp", target(7000)) + "connect_timeout = \"700ms\"\n"));
    filter(&pair, "drop");
    assert_refused(&pair, "connect_timeout");
    pair.finish();
}

#[test]
fn a_target_that_is_unreachable_resets_the_client() {
    let pair = pair_with(&(service("app", "tcp", target(7000)) + "connect_timeout = \"60s\"\n"));
    filter(&pair, "reject with icmp type host-unreachable");
    assert_refused(&pair, "unreachable");
    pair.finish();
}

#[test]
fn an_unknown_service_is_refused() {
    let pair = pair_with(&service("other", "tcp", target(7000)));
    assert_refused(&pair, "unknown_service");
    pair.finish();
}

#[test]
fn a_service_for_other_peers_is_refused() {
    let of_b = "[[peer]]\nname = \"gw-x\"\n".to_owned()
        + &service("app", "tcp", target(7000))
        + "peers = [\"gw-x\"]\n"
        + &service("other", "tcp", target(7001));
    let pair = pair_with(&of_b);
    let server = EchoServer::tcp(pair.lab.h2(), target(7000)).unwrap();
    assert_refused(&pair, "peer_not_allowed");
    assert!(server.clients().is_empty());
    pair.finish();
}

#[test]
fn a_service_of_another_protocol_is_refused() {
    let pair = pair_with(&service("app", "udp", target(7000)));
    assert_refused(&pair, "protocol_mismatch");
    pair.finish();
}

#[test]
fn a_name_that_does_not_resolve_resets_the_client() {
    let pair = pair_with(&(service("app", "tcp", "nobody.invalid:7000") + "connect_timeout = \"60s\"\n"));
    assert_refused(&pair, "resolve_failed");
    pair.finish();
}

#[test]
fn a_peer_that_is_down_resets_the_client() {
    let mut pair = pair_with(&service("app", "tcp", target(7000)));
    pair.b.stop().unwrap();
    pair.a.wait_peer_down(Side::B.node(), LIMIT).unwrap();
    assert_eq!(dial_to_the_end(pair.lab.h1(), near(7000)), End::Reset, "{}", pair.evidence());
    assert_eq!(refusals(&pair.a, "app").get("peer_down"), Some(&1));
    pair.b.start().unwrap();
    pair.a.wait_streams_up(Side::B.node(), LIMIT).unwrap();
    let _server = EchoServer::tcp(pair.lab.h2(), target(7000)).unwrap();
    assert_eq!(echo_tcp(pair.lab.h1(), near(7000), b"again", LIMIT).unwrap(), b"again");
    pair.a.stop().unwrap();
    pair.b.stop().unwrap();
}

#[test]
fn only_allowed_prefixes_may_use_a_connector() {
    let builder = Lab::builder().hosts(Side::A, 2);
    let allowed = format!("allow = [\"{}/32\", \"10.1.0.128/25\"]\n", Side::A.host(1));
    let pair = Pair::built(builder, Layout::Combined, |side| match side {
        Side::A => to_app(&allowed),
        Side::B => service("app", "tcp", target(7000)),
    });
    let server = EchoServer::tcp(pair.lab.h2(), target(7000)).unwrap();
    assert_refused(&pair, "not_allowed");
    assert!(server.clients().is_empty());
    let other = echo_tcp(pair.lab.host(Side::A, 1), near(7000), b"hello", LIMIT);
    assert_eq!(other.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"hello");
    pair.finish();
}

#[test]
fn a_service_range_admits_what_is_in_it_and_nothing_else() {
    let asked = [
        ("inside", 7001, "10.2.0.2:8000"),
        ("port", 7002, "10.2.0.2:9000"),
        ("address", 7003, "10.2.0.3:8000"),
        ("node", 7004, "127.0.0.1:8000"),
    ];
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => asked
            .iter()
            .map(|(name, port, asked)| connector(name, "tcp", near(*port), Side::B.node(), asked))
            .collect(),
        Side::B => "[[service_range]]\nprefixes = [\"10.2.0.2/32\"]\nports = \"8000-8099\"\n".to_owned(),
    });
    let _servers = [8000, 9000].map(|port| EchoServer::tcp(pair.lab.h2(), target(port)).unwrap());
    let answer = echo_tcp(pair.lab.h1(), near(7001), b"hello", LIMIT);
    assert_eq!(answer.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), b"hello");
    for (name, port, _) in &asked[1..] {
        assert_eq!(dial_to_the_end(pair.lab.h1(), near(*port)), End::Reset, "{name}\n{}", pair.evidence());
        assert_eq!(refusals(&pair.a, name).get("not_in_range"), Some(&1), "{name}\n{}", pair.evidence());
    }
    pair.finish();
}
