//! `gridway events` and `connections`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use gridway_control::{ConnectionRow, EventRow, Events, Reply, Request, RoundTrip, Severity, TcpInfo};

use crate::fake::FakeNode;
use crate::packets::interrupt;
use crate::{ask, json, stderr, text};

pub(crate) fn event(number: u64, message: &str) -> EventRow {
    EventRow {
        number,
        first_ms: 1_700_000_000_000,
        last_ms: 1_700_000_000_000,
        count: number,
        severity: Severity::Warning,
        kind: "tunnel_down".into(),
        subject: "gw-b".into(),
        message: message.into(),
    }
}

pub(crate) fn events(instance: &str, last: u64, rows: Vec<EventRow>) -> Events {
    Events { instance: instance.into(), last, missed: 0, rows }
}

#[test]
fn events_are_a_table_or_an_object() {
    let reply = Reply::Events(Events { missed: 5, ..events("a", 2, vec![event(2, "no answer to pings")]) });
    let (request, output) = ask(&["events", "--after 1"], &reply);
    assert_eq!(request, Request::Events { after: 1, wait_ms: 0 });
    let table = text(&output);
    for part in ["2023-11-14 22:13:20", "warning", "tunnel_down", "gw-b", " 2 ", "no answer to pings"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(stderr(&output).contains("5 event(s) were forgotten"));
    let value = json(&ask(&["events --json"], &reply).1);
    assert_eq!((&value["last"], &value["rows"][0]["kind"]), (&2.into(), &"tunnel_down".into()));
}

#[test]
fn events_are_followed_across_a_restart_of_the_node() {
    let telling = |instance: &'static str, last, message: &'static str| {
        move |request: &Request| {
            let Request::Events { after, .. } = request else { panic!("another request") };
            let rows = if *after == 0 { vec![event(last, message)] } else { Vec::new() };
            vec![Reply::Events(events(instance, last, rows))]
        }
    };
    let mut node = FakeNode::new(telling("a", 7, "before"));
    let mut child =
        node.command("events --follow").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "2023-11-14 22:13:20 warning tunnel_down gw-b: before (7 times)");
    node.go();
    node.listen(telling("b", 3, "after"));
    // The new instance is asked for all it has.
    assert_eq!(lines.next().unwrap(), "2023-11-14 22:13:20 warning tunnel_down gw-b: after (3 times)");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("the node was restarted"));
}

pub(crate) fn connection(tcp: bool) -> ConnectionRow {
    let tcp = tcp.then(|| TcpInfo {
        congestion: "bbr".into(),
        rtt_us: 20_500,
        rtt_var_us: 1_500,
        min_rtt_us: 19_000,
        congestion_window: 40,
        mss: 1448,
        unacked: 3,
        lost: 1,
        retransmitted: 17,
        retransmitted_bytes: 24_616,
        unsent_bytes: 65_536,
        delivery_rate_bps: 94_000_000,
        pacing_rate_bps: 0,
    });
    ConnectionRow {
        peer: "gw-b".into(),
        carries: "packets".into(),
        worker: 1,
        age_s: 3700,
        round_trip: RoundTrip {
            samples: 600,
            last_us: 20_100,
            p50_us: 20_200,
            p90_us: 25_000,
            p99_us: 41_250,
            max_us: 90_000,
        },
        queued_records: 4,
        queue_wait_us: 1_250,
        tcp,
    }
}

#[test]
fn connections_show_the_tunnel_and_its_tcp() {
    let idle = ConnectionRow { round_trip: RoundTrip::default(), ..connection(false) };
    let reply = Reply::Connections(vec![connection(true), idle]);
    let (request, output) = ask(&["connections"], &reply);
    assert_eq!(request, Request::Connections);
    let table = text(&output);
    for part in ["41.250 ms", "1.250 ms", "bbr", "20.500 ms", "94Mbit/s", "65k", " 17 ", "1h1m", " no"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let list = json(&ask(&["connections", "--json"], &reply).1);
    assert_eq!((&list[0]["tcp"]["retransmitted"], &list[1]["tcp"]), (&17.into(), &serde_json::Value::Null));
}
