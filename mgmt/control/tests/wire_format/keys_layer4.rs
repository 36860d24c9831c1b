//! The keys and words of Layer 4.

use gridway_control::{
    ConnectorRow, ConnectorState, Killed, Refusals, Reply, Request, ServiceRow, SessionRow, SessionSide,
    SessionState, Sessions, encode_reply, encode_request,
};

use crate::keys::{keys, rows};

#[test]
fn session_rows_have_the_documented_keys() {
    let row = SessionRow {
        id: 1,
        connector: None,
        peer: "gw-b".into(),
        service: "db".into(),
        client: "10.1.0.2:40000".parse().unwrap(),
        bytes_in: 0,
        bytes_out: 0,
        age_s: 0,
        protocol: "tcp".into(),
        side: SessionSide::Service,
        target: Some("[fd00::2]:5432".parse().unwrap()),
        state: SessionState::Open,
        idle_s: 0,
    };
    let value = rows(&Reply::Sessions(Sessions { matched: 1, rows: vec![row] }));
    assert_eq!(keys(&value), ["matched", "rows"]);
    let expected = [
        "age_s",
        "bytes_in",
        "bytes_out",
        "client",
        "connector",
        "id",
        "idle_s",
        "peer",
        "protocol",
        "service",
        "side",
        "state",
        "target",
    ];
    assert_eq!(keys(&value["rows"][0]), expected);
    assert_eq!(value["rows"][0]["client"], "10.1.0.2:40000");
    assert_eq!(value["rows"][0]["target"], "[fd00::2]:5432");
}

#[test]
fn connector_and_service_rows_have_the_documented_keys() {
    let row = ConnectorRow {
        name: "db-from-a".into(),
        protocol: "tcp".into(),
        listen: "10.1.0.1:15432".parse().unwrap(),
        peer: "gw-b".into(),
        service: "db".into(),
        vnet: None,
        state: ConnectorState::Listening,
        error: None,
        sessions: 0,
        accepted: 0,
        refused: Refusals::from([("not_allowed".to_owned(), 1)]),
        lost: 2,
        bytes_in: 0,
        bytes_out: 0,
    };
    let value = rows(&Reply::Connectors(vec![row]));
    let expected = [
        "accepted",
        "bytes_in",
        "bytes_out",
        "error",
        "listen",
        "lost",
        "name",
        "peer",
        "protocol",
        "refused",
        "service",
        "sessions",
        "state",
        "vnet",
    ];
    assert_eq!(keys(&value[0]), expected);
    assert_eq!(value[0]["refused"]["not_allowed"], 1);
    let row = ServiceRow {
        name: None,
        protocol: "any".into(),
        target: "10.2.0.0/24 1-1023".into(),
        peers: vec!["gw-a".into()],
        sessions: 0,
        opened: 0,
        refused: Refusals::new(),
        lost: 2,
        bytes_in: 0,
        bytes_out: 0,
    };
    let value = rows(&Reply::Services(vec![row]));
    let expected = [
        "bytes_in",
        "bytes_out",
        "lost",
        "name",
        "opened",
        "peers",
        "protocol",
        "refused",
        "sessions",
        "target",
    ];
    assert_eq!(keys(&value[0]), expected);
}

#[test]
fn killing_sessions_is_spelled_as_documented() {
    let line = encode_request(&Request::KillSessions { ids: vec![1, 2] }).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "{\"request\":\"kill_sessions\",\"ids\":[1,2]}\n");
    let line = encode_reply(&Reply::Killed(Killed::Sessions(2))).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "{\"reply\":\"killed\",\"value\":{\"sessions\":2}}\n");
}

#[test]
fn words_of_layer_4_are_spelled_as_documented() {
    let spelled = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for side in [SessionSide::Connector, SessionSide::Service] {
        assert_eq!(spelled(serde_json::to_value(side).unwrap()), side.as_str());
    }
    for state in [SessionState::Connecting, SessionState::Open, SessionState::Closing] {
        assert_eq!(spelled(serde_json::to_value(state).unwrap()), state.as_str());
    }
    for state in [ConnectorState::Listening, ConnectorState::Error] {
        assert_eq!(spelled(serde_json::to_value(state).unwrap()), state.as_str());
    }
}
