//! The keys and words of changes of the configuration, of events and of connections.

use gridway_control::{
    ConfigState, ConnectionRow, EventRow, Events, InForce, Judgement, Pending, Proposal, Reply, Request,
    RoundTrip, Severity, TcpInfo, VersionRow, encode_request,
};

use crate::keys::{keys, rows};

fn state() -> ConfigState {
    ConfigState {
        digest: "00ff".into(),
        generation: 2,
        since: 1_700_000_000,
        by: "alice".into(),
        pending: Some(Pending { by: "alice".into(), left_s: 60, previous: "ff00".into() }),
        saved: false,
    }
}

#[test]
fn states_have_the_documented_keys() {
    let value = rows(&Reply::ConfigState(state()));
    assert_eq!(keys(&value), ["by", "digest", "generation", "pending", "saved", "since"]);
    assert_eq!(keys(&value["pending"]), ["by", "left_s", "previous"]);
    let value = rows(&Reply::InForce(InForce { toml: String::new(), state: state() }));
    assert_eq!(keys(&value), ["state", "toml"]);
    assert_eq!(keys(&rows(&Reply::Judgement(Judgement::default()))), ["diff", "errors", "warnings"]);
    let version = VersionRow {
        version: 1,
        digest: "00ff".into(),
        since: 0,
        by: "start".into(),
        state: "in_force".into(),
        added: 1,
        removed: 0,
    };
    let expected = ["added", "by", "digest", "removed", "since", "state", "version"];
    assert_eq!(keys(&rows(&Reply::History(vec![version]))[0]), expected);
}

#[test]
fn a_proposal_is_spelled_as_documented() {
    let plain = Proposal { toml: "x".into(), confirm_within_s: None, base: None, by: None };
    let line = encode_request(&Request::Apply(plain.clone())).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "{\"request\":\"apply\",\"toml\":\"x\"}\n");
    let full =
        Proposal { confirm_within_s: Some(60), base: Some("00ff".into()), by: Some("a".into()), ..plain };
    let line = encode_request(&Request::Apply(full)).unwrap();
    let expected =
        "{\"request\":\"apply\",\"toml\":\"x\",\"confirm_within_s\":60,\"base\":\"00ff\",\"by\":\"a\"}\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    let line = encode_request(&Request::Confirm { digest: None, by: None }).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "{\"request\":\"confirm\"}\n");
}

#[test]
fn events_have_the_documented_keys() {
    let row = EventRow {
        number: 1,
        first_ms: 1,
        last_ms: 2,
        count: 3,
        severity: Severity::Warning,
        kind: "tunnel_down".into(),
        subject: "gw-b".into(),
        message: String::new(),
    };
    let value = rows(&Reply::Events(Events { instance: "00ff".into(), last: 1, missed: 0, rows: vec![row] }));
    assert_eq!(keys(&value), ["instance", "last", "missed", "rows"]);
    let expected = ["count", "first_ms", "kind", "last_ms", "message", "number", "severity", "subject"];
    assert_eq!(keys(&value["rows"][0]), expected);
    for severity in [Severity::Info, Severity::Warning, Severity::Error] {
        assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
    }
}

#[test]
fn connections_have_the_documented_keys() {
    let tcp = TcpInfo {
        congestion: "bbr".into(),
        rtt_us: 1,
        rtt_var_us: 1,
        min_rtt_us: 1,
        congestion_window: 10,
        mss: 1448,
        unacked: 0,
        lost: 0,
        retransmitted: 0,
        retransmitted_bytes: 0,
        unsent_bytes: 0,
        delivery_rate_bps: 0,
        pacing_rate_bps: 0,
    };
    let row = ConnectionRow {
        peer: "gw-b".into(),
        carries: "packets".into(),
        worker: 0,
        age_s: 1,
        round_trip: RoundTrip::default(),
        queued_records: 0,
        queue_wait_us: 0,
        tcp: Some(tcp),
    };
    let value = rows(&Reply::Connections(vec![row]));
    let expected =
        ["age_s", "carries", "peer", "queue_wait_us", "queued_records", "round_trip", "tcp", "worker"];
    assert_eq!(keys(&value[0]), expected);
    let expected = ["last_us", "max_us", "p50_us", "p90_us", "p99_us", "samples"];
    assert_eq!(keys(&value[0]["round_trip"]), expected);
    let expected = [
        "congestion",
        "congestion_window",
        "delivery_rate_bps",
        "lost",
        "min_rtt_us",
        "mss",
        "pacing_rate_bps",
        "retransmitted",
        "retransmitted_bytes",
        "rtt_us",
        "rtt_var_us",
        "unacked",
        "unsent_bytes",
    ];
    assert_eq!(keys(&value[0]["tcp"]), expected);
}
