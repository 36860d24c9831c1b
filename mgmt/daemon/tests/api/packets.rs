//! Lists that come row by row.

use std::io::{Read, Write};

use gridway_pki::Store;
use serde_json::{Value, json};

use crate::support::{Daemon, wait};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_come_as_lines_and_the_end_behind_them() {
    let daemon = Daemon::start("");
    let capture = json!({"point": "virtual", "count": 3, "wait_ms": 1000, "snap": 64});
    let answer = daemon.post("alice", "/v1/capture", &capture);
    assert!(answer.head.contains("content-type: application/x-ndjson"), "{answer:?}");
    let rows = lines(&answer.body);
    assert_eq!(rows.len(), 4);
    assert_eq!(
        (&rows[0]["reply"], &rows[3]),
        (&json!("captured"), &json!({"reply": "end", "value": {"rows": 3, "missed": 0}}))
    );
    let answer = daemon.post("alice", "/v1/trace", &json!({"count": 2, "wait_ms": 1000}));
    assert_eq!(lines(&answer.body)[1]["value"]["reason"], "no_vnet");
    let ping = json!({"vnet": "corp", "address": "10.200.2.2", "count": 2, "interval_ms": 100});
    let answer = daemon.post("vera", "/v1/ping", &ping);
    assert_eq!(lines(&answer.body)[0]["value"]["round_trip_us"], 900);
    let tuple = json!({"src": "10.1.0.2", "dst": "172.16.2.2", "proto": 6, "sport": 1, "dport": 2});
    let answer =
        daemon.post("vera", "/v1/simulate", &json!({"from": "local", "vnet": "corp", "tuple": tuple}));
    assert_eq!(answer.json()["verdict"], "dropped", "{answer:?}");

    let rows = daemon.get("vera", "/v1/audit").json();
    assert_eq!((&rows[0]["action"], &rows[1]["action"]), (&json!("trace"), &json!("capture")));
    assert!(rows[1]["detail"].as_str().unwrap().contains("\"point\":\"virtual\""), "{rows}");
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn a_refusal_has_its_status_and_is_audited() {
    let daemon = Daemon::start("");
    let answer =
        daemon.post("alice", "/v1/trace", &json!({"filter": {"vnet": "none"}, "count": 1, "wait_ms": 1}));
    assert_eq!((answer.status, answer.kind().as_str()), (404, "not_found"));
    assert_eq!(daemon.get("vera", "/v1/audit").json()[0]["outcome"], "not done: there is no such vnet");
    for body in [
        json!({"count": 0, "wait_ms": 1}),
        json!({"count": 1, "wait_ms": 86_400_000}),
        json!({"count": 1, "wait_ms": 1, "filter": {"colour": "red"}}),
    ] {
        assert_eq!(daemon.post("alice", "/v1/trace", &body).status, 400, "{body}");
    }
}

#[test]
fn a_revocation_ends_a_list_under_way() {
    let daemon = Daemon::start("");
    let body = json!({"filter": {"vnet": "silent"}, "count": 1, "wait_ms": 3_600_000}).to_string();
    let mut stream = daemon.tls("alice");
    let head =
        "POST /v1/trace HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes).unwrap();
    assert!(bytes[..count].starts_with(b"HTTP/1.1 200"));
    Store::operators(&daemon.path("pki")).unwrap().revoke("alice").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"error\"") && rest.contains("the certificate is revoked"), "{rest}");
    wait("the node to be told", || daemon.node.with(|state| (state.given_up == 1).then_some(())));
}

#[test]
fn echo_requests_are_bounded_in_time() {
    let daemon = Daemon::start("");
    let ping = |count, interval_ms| {
        let body =
            json!({"vnet": "corp", "address": "10.200.2.2", "count": count, "interval_ms": interval_ms});
        daemon.post("vera", "/v1/ping", &body).status
    };
    assert_eq!(
        (ping(10, 60_000), ping(11, 60_000), ping(10_000, 60), ping(10_000, 61)),
        (200, 400, 200, 400)
    );
}

#[test]
fn a_list_whose_client_goes_is_given_up_and_there_are_few_at_once() {
    let daemon = Daemon::start("");
    let body = json!({"filter": {"vnet": "silent"}, "count": 1, "wait_ms": 3_600_000}).to_string();
    let head = format!(
        "POST /v1/trace HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let begin = || {
        let mut stream = daemon.tls("alice");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).unwrap();
        let answer = String::from_utf8_lossy(&bytes[..count]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stream
    };
    let streams: Vec<_> = (0..6).map(|_| begin()).collect();
    let busy = daemon.post("alice", "/v1/trace", &json!({"count": 1, "wait_ms": 1}));
    assert_eq!((busy.status, busy.kind().as_str()), (503, "busy"));
    // What is answered at once is answered all the same, and so are lists of viewers.
    let ping = json!({"vnet": "corp", "address": "10.200.2.2", "count": 1, "interval_ms": 1});
    assert_eq!(daemon.post("vera", "/v1/ping", &ping).status, 200);
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    drop(streams);
    wait("the node to be told", || daemon.node.with(|state| (state.given_up == 6).then_some(())));
    assert_eq!(daemon.post("alice", "/v1/trace", &json!({"count": 1, "wait_ms": 1})).status, 200);
}
