//! What a node says happened, in words.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::{Duration, SystemTime};

use gridway_control::{EventRow, FlowFilter, Proposal, Reply, Request, Severity};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, Pki, vnets};
use gridway_lab::{Side, wait_until};
use gridway_pki::{CertificateRequest, Validity};

/// The event that follows `after`.
fn next(node: &Gateway, kind: &str, subject: &str, after: u64) -> EventRow {
    node.wait_event(kind, subject, after, 2 * LIMIT).unwrap()
}

fn last(node: &Gateway) -> u64 {
    node.events(0).unwrap().last
}

in_both_layouts! {
    fn a_tunnel_that_is_cut_and_comes_back_is_told_in_words(layout) {
        let pair = Pair::corp(layout);
        let began = pair.a.events(0).unwrap();
        next(&pair.a, "node_started", "gw-a", 0);
        next(&pair.a, "tunnel_up", "gw-b", 0);

        pair.lab.wan().cut().unwrap();
        let down = next(&pair.a, "tunnel_down", "gw-b", began.last);
        assert_eq!(down.severity, Severity::Error);
        assert!(down.message.contains("nothing received for 1s; it was up for "), "{down:?}");
        let refused = next(&pair.b, "tunnel_refused", "gw-a", 0);
        assert!(refused.message.starts_with("no connection with 192.0.2.1:8443: "), "{refused:?}");

        pair.lab.wan().restore().unwrap();
        let up = next(&pair.a, "tunnel_up", "gw-b", down.number);
        assert!(up.message.contains("; it was down for "), "{up:?}");
        let log = pair.a.log().unwrap();
        assert_eq!(log.matches("kind=\"tunnel_down\"").count(), 1, "{log}");
        pair.finish();
    }
}

#[test]
fn a_peer_that_is_killed_is_worse_than_one_that_stops() {
    let mut pair = Pair::corp(Layout::Combined);
    pair.b.stop().unwrap();
    let stopped = next(&pair.a, "tunnel_down", "gw-b", 0);
    assert_eq!(stopped.severity, Severity::Warning);
    assert!(stopped.message.contains("shutting"), "{stopped:?}");

    pair.b.start().unwrap();
    let up = next(&pair.a, "tunnel_up", "gw-b", stopped.number);
    pair.b.kill().unwrap();
    let killed = next(&pair.a, "tunnel_down", "gw-b", up.number);
    assert_eq!(killed.severity, Severity::Error);
    assert!(killed.message.contains("clos") || killed.message.contains("reset"), "{killed:?}");
}

/// Knocks a thousand times, from a hundred addresses.
const STRANGERS: &str = r#"
import socket
for i in range(1000):
    knocker = socket.socket()
    knocker.bind(("192.0.2.%d" % (100 + i % 100), 0))
    knocker.connect(("192.0.2.1", 8443))
    knocker.sendall(b"GET / HTTP/1.1\r\n\r\n")
    while knocker.recv(4096):
        pass
    knocker.close()
"#;

#[test]
fn a_thousand_refusals_of_strangers_leave_few_rows_and_lines() {
    let pair = Pair::corp(Layout::Combined);
    let strangers = pair.lab.gwb();
    for host in 100..200 {
        strangers.ip(&format!("addr add 192.0.2.{host}/24 dev wan0")).unwrap();
    }
    let refused = || {
        let limits = pair.a.limits().unwrap();
        limits.iter().find(|row| row.name == "handshakes").unwrap().refused
    };
    let before = refused();
    strangers.command("python3").args(["-c", STRANGERS]).timeout(Duration::from_secs(60)).run().unwrap();
    wait_until("every knock to be refused", LIMIT, || (refused() >= before + 1_000).then_some(())).unwrap();

    let events = pair.a.events(0).unwrap();
    let of_strangers: Vec<_> = events.rows.iter().filter(|row| row.kind == "tunnel_refused").collect();
    assert!((1..=32).contains(&of_strangers.len()), "{} rows", of_strangers.len());
    assert!(of_strangers.iter().all(|row| row.subject.starts_with("192.0.2.1")), "{of_strangers:?}");
    assert!(events.missed > 0, "the rest is counted");
    for kind in ["node_started", "tunnel_up"] {
        assert!(events.rows.iter().any(|row| row.kind == kind), "{kind} was pushed out");
    }
    let lines = pair.a.log().unwrap().matches("kind=\"tunnel_refused\"").count();
    assert!((1..=100).contains(&lines), "{lines} lines");
    pair.finish();
}

#[test]
fn a_monitor_that_goes_down_says_why() {
    let monitor = "\n  monitor = { protocol = \"icmp\", target = \"10.200.2.2\", interval = \"100ms\", max_latency = \"90ms\", count = 3 }";
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => {
            let via = "via = \"gw-b\"";
            vnets::corp(Side::A).replace(via, &format!("{via}{monitor}"))
        }
        Side::B => vnets::corp(Side::B),
    });
    let silent = |on: &str| {
        pair.lab.h2().sysctl("net/ipv4/icmp_echo_ignore_all", on).unwrap();
    };
    wait_until("a probe that was answered", LIMIT, || {
        pair.a
            .routes()
            .unwrap()
            .into_iter()
            .filter_map(|row| row.monitor)
            .find(|row| row.failures == 0 && row.up)
    })
    .unwrap();
    let began = last(&pair.a);
    silent("1");
    let down = next(&pair.a, "monitor_down", "corp: 10.200.2.2 via gw-b", began);
    assert_eq!(down.severity, Severity::Error);
    assert!(down.message.contains("has not answered 3 probes (no reply in time)"), "{down:?}");
    silent("0");
    let up = next(&pair.a, "monitor_up", "corp: 10.200.2.2 via gw-b", down.number);
    assert!(up.message.contains("answers again"), "{up:?}");
    pair.finish();
}

#[test]
fn a_data_nic_without_carrier_is_noticed() {
    let pair = Pair::corp(Layout::Combined);
    let began = last(&pair.b);
    pair.lab.h2().ip("link set eth0 down").unwrap();
    let down = next(&pair.b, "link_down", "data0", began);
    assert_eq!(down.severity, Severity::Error);
    pair.lab.h2().ip("link set eth0 up").unwrap();
    next(&pair.b, "link_up", "data0", down.number);
}

#[test]
fn a_certificate_about_to_end_is_announced_and_a_bad_one_refused() {
    let pair = Pair::corp(Layout::Combined);
    let pki = Pki::of(&pair.lab).unwrap();
    let (day, now) = (Duration::from_secs(86_400), SystemTime::now());
    let request = CertificateRequest {
        common_name: "gw-a".to_owned(),
        organizational_unit: None,
        dns_names: vec!["gw-a.lab.example".to_owned()],
        validity: Validity { not_before: now - 300 * day, not_after: now + day / 2 },
        server_auth: true,
        client_auth: true,
    };
    let issued = pki.store().unwrap().authority().issue(&request).unwrap();
    let write = |name: &str, text: &str| std::fs::write(pki.dir().join(name), text).unwrap();
    let began = last(&pair.a);

    // It does not belong to the key that is there.
    write("gw-a.crt", &issued.certificate_pem);
    let refused = next(&pair.a, "certificates_refused", "identity", began);
    assert_eq!(refused.severity, Severity::Error);
    assert!(refused.message.contains("private_key does not belong to certificate"), "{refused:?}");

    write("gw-a.key", &issued.key_pem);
    let reloaded = next(&pair.a, "certificates_reloaded", "identity", began);
    let expires = next(&pair.a, "certificate_expires", "certificate gw-a.lab.example", reloaded.number);
    assert_eq!(expires.severity, Severity::Error);
    assert!(expires.message.starts_with("it ends in 11 hours, on 20"), "{expires:?}");
    let announced = pair.a.events(0).unwrap().rows;
    let announced = announced.iter().filter(|row| row.kind == "certificate_expires");
    assert_eq!(announced.count(), 1, "authority and revocation list are fresh");
    pair.finish();
}

/// Begins a flow for each of 3,500 ports, slowly enough for the receive ring.
const FLOWS: &str = r#"
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("", 9999))
for port in range(10000, 13500):
    try:
        sender.sendto(b"hello", ("172.16.2.2", port))
    except OSError:
        pass
    if port % 64 == 0:
        time.sleep(0.005)
"#;

#[test]
fn a_table_that_fills_is_announced_and_so_is_its_relief() {
    let limits = |side| format!("[limits]\nflows = 4096\n\n{}", vnets::corp(side));
    let pair = Pair::with(Layout::Combined, limits);
    let began = last(&pair.a);
    let near = wait_until("a table that is nearly full", 4 * LIMIT, || {
        pair.lab.h1().command("python3").args(["-c", FLOWS]).run().unwrap();
        let rows = pair.a.events(began).unwrap().rows;
        rows.into_iter().find(|row| row.kind == "table_near_full" && row.subject == "flows")
    });
    let near = near.unwrap();
    assert!(near.message.starts_with("flows: ") && near.message.contains(" of 4096 in use (8"), "{near:?}");
    assert_eq!(near.severity, Severity::Warning);
    let Reply::Killed(_) = pair.a.ask(&Request::KillFlows { filter: FlowFilter::default() }).unwrap() else {
        panic!("flows cannot be ended")
    };
    let relieved = next(&pair.a, "table_relieved", "flows", near.number);
    assert_eq!(relieved.severity, Severity::Info);
}

#[test]
fn configurations_are_told_of_whether_taken_or_not() {
    let mut pair = Pair::corp(Layout::Combined);
    let began = last(&pair.a);
    let config = pair
        .a
        .config()
        .clone()
        .with("  [[vnet.acl]]\n  line = 5\n  action = \"drop\"\n  protocol = \"udp\"\n");
    pair.a.set_config(config).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
    let generation = pair.a.status().unwrap().policy_generation;
    let changed = next(&pair.a, "configuration_changed", "reload", began);
    assert!(
        changed.message.contains(&format!("generation {generation}, from the node's file")),
        "{changed:?}"
    );

    let toml = std::fs::read_to_string(pair.a.config_path()).unwrap() + "# another comment\n";
    let proposal = Proposal { toml, confirm_within_s: Some(1), base: None, by: Some("alice".to_owned()) };
    let Reply::ConfigState(_) = pair.a.ask(&Request::Apply(proposal)).unwrap() else { panic!("not taken") };
    let applied = next(&pair.a, "configuration_changed", "alice", changed.number);
    assert!(applied.message.ends_with("undone in 1 s unless it is confirmed"), "{applied:?}");
    let undone = next(&pair.a, "configuration_changed", "alice", applied.number);
    assert!(undone.message.contains("nobody confirmed"), "{undone:?}");
    assert_eq!(undone.severity, Severity::Warning);

    pair.a.write_raw_config("[node]\nname = \"gw-a\"\nnonsense = 1\n").unwrap();
    assert!(pair.a.reload().unwrap().is_some());
    let refused = next(&pair.a, "configuration_refused", "reload", undone.number);
    assert_eq!(refused.severity, Severity::Error);
    assert!(refused.message.contains("nonsense"), "{refused:?}");
    pair.finish();
}
