//! What people and scripts see of a node's answers. The real codec answers here; the real node is
//! asked in the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod config;
mod events;
mod fake;
mod flows;
mod packets;
mod policy;
mod sessions;
mod top;
mod watch;

use std::process::Output;

use gridway_control::{
    ConfigText, Counters, Drops, Failure, FailureKind, InboundCounters, OutboundCounters, PeerRow, PeerState,
    Reply, Request,
};

use fake::FakeNode;

/// Runs `gridway` against a node that gives `reply`, and returns what it was asked. Arguments with spaces between
/// are several.
fn ask(args: &[&str], reply: &Reply) -> (Request, Output) {
    let reply = reply.clone();
    let node = FakeNode::new(move |_| vec![reply.clone()]);
    let output = node.run(&args.join(" "));
    let request = node.requests().pop().unwrap_or_else(|| panic!("nothing asked: {output:?}"));
    (request, output)
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&text(output)).unwrap()
}

#[test]
fn peers_are_a_table_or_a_list() {
    let row = PeerRow {
        name: "gw-b".into(),
        state: PeerState::Up,
        reason: None,
        rtt_us: Some(1234),
        connections: 2,
        stream_connections: 5,
        tx_bytes: 1,
        rx_bytes: 2,
        tx_packets: 3,
        rx_packets: 4,
        instance: Some("00ff".into()),
        version: Some("0.1.0".into()),
        address: Some("192.0.2.2:8443".into()),
        since_s: 3700,
    };
    let reply = Reply::Peers(vec![row]);
    let (request, output) = ask(&["peers"], &reply);
    assert_eq!(request, Request::Peers);
    let table = text(&output);
    for part in ["gw-b", "up", "1.234 ms", "1h1m", " 5 "] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let (_, output) = ask(&["peers", "--json"], &reply);
    let list = json(&output);
    assert_eq!((list[0]["state"].as_str(), list[0]["rtt_us"].as_u64()), (Some("up"), Some(1234)));
    assert_eq!(list[0]["stream_connections"], 5);
    assert!(list[0]["reason"].is_null());
}

#[test]
fn counters_show_each_direction_and_each_reason() {
    let drops = |count| Drops::from([("no_vnet".to_owned(), count), ("never".to_owned(), 0)]);
    let outbound =
        OutboundCounters { rx_packets: 10, tunnelled: 8, drops: drops(2), ..OutboundCounters::default() };
    let inbound = InboundCounters {
        rx_packets: 11,
        delivered: 4,
        relayed: 1,
        consumed: 6,
        originated: 3,
        unsent: 2,
        drops: drops(0),
        ..InboundCounters::default()
    };
    let counters = Counters { flows_evicted: 77, ..Counters::from_directions(outbound, inbound) };
    let reply = Reply::Counters(Box::new(counters));
    let table = text(&ask(&["counters"], &reply).1);
    assert!(table.contains("no_vnet") && !table.contains("never"), "{table}");
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!([row("relayed "), row("originated "), row("unaccounted ")], ["- 1", "0 3", "0 0"]);
    assert_eq!([row("consumed "), row("unsent ")], ["- 6", "0 2"]);
    assert_eq!(row("flows evicted"), "77");
    let value = json(&ask(&["counters", "--json"], &reply).1);
    assert_eq!((value["rx_packets"].as_u64(), value["tx_packets"].as_u64()), (Some(10), Some(4)));
    assert_eq!((&value["originated"], &value["inbound"]["relayed"]), (&3.into(), &1.into()));
    assert_eq!(value["drops"]["no_vnet"], 2);
}

#[test]
fn configuration_in_force_is_toml_or_json() {
    let reply = Reply::Config(ConfigText { toml: "[limits]\nflows = 5\n".into() });
    let (request, output) = ask(&["config", "show", "--defaults"], &reply);
    assert_eq!(request, Request::Config { defaults: true });
    assert_eq!(text(&output), "[limits]\nflows = 5\n");
    let (request, output) = ask(&["config", "show", "--json"], &reply);
    assert_eq!(request, Request::Config { defaults: false });
    assert_eq!(json(&output)["limits"]["flows"], 5);
}

#[test]
fn a_refusal_of_the_node_is_status_1() {
    let (_, output) = ask(&["nat"], &Reply::Error(Failure::new(FailureKind::Busy, "too many clients")));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("too many clients"));
}
