//! `gridway sessions`, `connectors` and `services`.

use gridway_control::{
    ConnectorRow, ConnectorState, Killed, Refusals, Reply, Request, ServiceRow, SessionRow, SessionSide,
    SessionState, Sessions,
};

use crate::{ask, json, text};

fn session(side: SessionSide) -> SessionRow {
    let here = side == SessionSide::Connector;
    SessionRow {
        id: 42,
        connector: here.then(|| "db-from-a".into()),
        peer: "gw-b".into(),
        service: "db".into(),
        client: "10.1.0.200:40000".parse().unwrap(),
        bytes_in: 1_000_000_000,
        bytes_out: 7,
        age_s: 3700,
        protocol: "tcp".into(),
        side,
        target: (!here).then(|| "172.16.200.200:5432".parse().unwrap()),
        state: SessionState::Connecting,
        idle_s: 61,
    }
}

fn refused() -> Refusals {
    Refusals::from([("not_allowed".to_owned(), 7), ("never".to_owned(), 0)])
}

#[test]
fn both_ends_of_sessions_are_shown_and_a_cut_list_is_told() {
    let rows = vec![session(SessionSide::Connector), session(SessionSide::Service)];
    let reply = Reply::Sessions(Sessions { matched: 9, rows });
    let (request, output) = ask(&["sessions", "--limit 2"], &reply);
    assert_eq!(request, Request::Sessions { limit: 2 });
    let table = text(&output);
    for part in ["42", "db-from-a", "10.1.0.200:40000", "172.16.200.200:5432", "connecting", "1h1m", "1m1s"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 of 9 sessions"));
    let (request, output) = ask(&["sessions", "--json"], &reply);
    assert_eq!(request, Request::Sessions { limit: Request::DEFAULT_LIMIT });
    let list = json(&output);
    assert_eq!((&list[0]["id"], &list[0]["connector"]), (&42.into(), &"db-from-a".into()));
    assert_eq!((&list[1]["side"], &list[1]["state"]), (&"service".into(), &"connecting".into()));
    assert!(list[0]["target"].is_null() && list[1]["connector"].is_null());
}

#[test]
fn sessions_are_killed_by_their_numbers() {
    let (request, output) = ask(&["sessions kill 42 7"], &Reply::Killed(Killed::Sessions(1)));
    assert_eq!(request, Request::KillSessions { ids: vec![42, 7] });
    assert_eq!(text(&output), "1 session(s) ended\n");
    let (_, output) = ask(&["sessions kill 42 --json"], &Reply::Killed(Killed::Sessions(1)));
    assert_eq!(json(&output)["sessions"], 1);
    let (_, output) = ask(&["sessions kill 42 --json"], &Reply::Killed(Killed::Sessions(0)));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["sessions"], 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such session"));
}

#[test]
fn an_answer_about_flows_is_none_about_sessions() {
    let (_, output) = ask(&["sessions kill 42"], &Reply::Killed(Killed::Flows(1)));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn connectors_and_port_forwards_say_whether_they_listen() {
    let connector = ConnectorRow {
        name: "db-from-a".into(),
        protocol: "tcp".into(),
        listen: "10.1.0.1:15432".parse().unwrap(),
        peer: "gw-b".into(),
        service: "db".into(),
        vnet: None,
        state: ConnectorState::Listening,
        error: None,
        sessions: 3,
        accepted: 1_000_000,
        refused: refused(),
        lost: 2,
        bytes_in: 1_000_000_000,
        bytes_out: 5,
    };
    let forward = ConnectorRow {
        name: "web".into(),
        vnet: Some("corp".into()),
        state: ConnectorState::Error,
        error: Some("address in use".into()),
        refused: Refusals::new(),
        ..connector.clone()
    };
    let reply = Reply::Connectors(vec![connector, forward]);
    let (request, output) = ask(&["connectors"], &reply);
    assert_eq!(request, Request::Connectors);
    let table = text(&output);
    for part in ["10.1.0.1:15432", "listening", "not_allowed 7", "corp", "address in use", "1000000000"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(!table.contains("never"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let list = json(&ask(&["connectors", "--json"], &reply).1);
    assert_eq!((&list[0]["state"], &list[1]["state"]), (&"listening".into(), &"error".into()));
    assert!(list[0]["vnet"].is_null() && list[0]["error"].is_null());
    assert_eq!(list[0]["refused"]["not_allowed"], 7);
}

#[test]
fn services_and_ranges_name_their_peers() {
    let service = ServiceRow {
        name: Some("db".into()),
        protocol: "tcp".into(),
        target: "10.2.0.2:5432".into(),
        peers: vec!["gw-a".into(), "edge-c".into()],
        sessions: 3,
        opened: 1_000_000,
        refused: refused(),
        lost: 2,
        bytes_in: 1_000_000_000,
        bytes_out: 5,
    };
    let range = ServiceRow {
        name: None,
        protocol: "any".into(),
        target: "10.2.0.0/24 1-1023".into(),
        ..service.clone()
    };
    let reply = Reply::Services(vec![service, range]);
    let (request, output) = ask(&["services"], &reply);
    assert_eq!(request, Request::Services);
    let table = text(&output);
    for part in ["10.2.0.2:5432", "gw-a, edge-c", "not_allowed 7", "10.2.0.0/24 1-1023"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let list = json(&ask(&["services", "--json"], &reply).1);
    assert!(list[1]["name"].is_null());
    assert_eq!((&list[0]["peers"][1], &list[0]["opened"]), (&"edge-c".into(), &1_000_000.into()));
}
