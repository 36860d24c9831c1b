//! Changes: by whom, and what is known of them afterwards.

use gridway_control::Request;
use serde_json::{Value, json};

use crate::support::{Daemon, wait};

/// The states of all versions, the newest first.
fn states(daemon: &Daemon) -> Vec<String> {
    let rows = daemon.get("vera", "/v1/config/versions").json();
    rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

fn wait_states(daemon: &Daemon, expected: &[&str]) {
    wait(&format!("{expected:?}"), || (states(daemon) == expected).then_some(()));
}

fn audit(daemon: &Daemon) -> Vec<Value> {
    daemon.get("vera", "/v1/audit").json().as_array().unwrap().clone()
}

#[test]
fn a_change_is_made_in_the_name_of_the_certificate() {
    let daemon = Daemon::start("");
    wait_states(&daemon, &["in_force"]);
    let proposal = json!({"toml": "# second\n", "confirm_within_s": 60, "by": "mallory"});
    let applied = daemon.post("alice", "/v1/config", &proposal);
    assert_eq!((applied.status, &applied.json()["by"]), (200, &json!("alice")), "{applied:?}");
    assert_eq!(applied.json()["pending"]["by"], "alice");
    wait_states(&daemon, &["pending", "replaced"]);
    assert_eq!(daemon.post("alice", "/v1/config", &json!({"toml": "x"})).kind(), "conflict");
    let other = daemon.post("alice", "/v1/config/confirm", &json!({"digest": "ff00"}));
    assert_eq!((other.status, other.kind().as_str()), (409, "conflict"), "{other:?}");
    let digest = applied.json()["digest"].as_str().unwrap().to_owned();
    let meant = json!({"digest": digest, "by": "mallory"});
    assert_eq!(daemon.post("alice", "/v1/config/confirm", &meant).status, 200);
    assert!(
        daemon.node.asked(|asked| matches!(asked, Request::Confirm { by: Some(by), .. } if by == "alice"))
    );
    wait_states(&daemon, &["in_force", "replaced"]);
    let rows = daemon.get("vera", "/v1/config/versions").json();
    assert_eq!(
        (&rows[0]["by"], &rows[0]["version"], &rows[0]["added"]),
        (&json!("alice"), &json!(2), &json!(1))
    );
    assert_eq!(daemon.get("vera", "/v1/config/versions/2").json()["toml"], "# second\n");
    assert_eq!(daemon.get("vera", "/v1/config").json()["toml"], "# second\n");

    let rows = audit(&daemon);
    let actions: Vec<&str> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["confirm_config", "confirm_config", "apply_config", "apply_config"]);
    assert_eq!(rows[0]["detail"], digest.as_str());
    assert!(rows.iter().all(|row| row["by"] == "alice"), "{rows:?}");
    assert!(rows[2]["outcome"].as_str().unwrap().contains("another change is pending"), "{rows:?}");
    assert!(rows[3]["detail"].as_str().unwrap().contains("within 60 s"), "{rows:?}");
    assert!(rows[0]["address"].as_str().unwrap().starts_with("127."), "{rows:?}");
    for word in ["audit", "by=\"alice\"", "apply_config"] {
        assert!(daemon.log().contains(word), "{word}: {}", daemon.log());
    }
}

#[test]
fn a_change_that_is_undone_leaves_the_version_before_it_in_force() {
    let daemon = Daemon::start("");
    wait_states(&daemon, &["in_force"]);
    daemon.post("alice", "/v1/config", &json!({"toml": "# second\n", "confirm_within_s": 60}));
    wait_states(&daemon, &["pending", "replaced"]);
    assert_eq!(daemon.request("alice", &["POST"], "/v1/config/rollback").json()["pending"], Value::Null);
    wait_states(&daemon, &["undone", "in_force"]);
    let nothing = daemon.request("alice", &["POST"], "/v1/config/rollback");
    assert_eq!((nothing.status, nothing.kind().as_str()), (409, "conflict"));
}

#[test]
fn a_wrong_configuration_is_refused_with_its_errors() {
    let daemon = Daemon::start("");
    let answer = daemon.post("alice", "/v1/config", &json!({"toml": "wrong"}));
    assert_eq!((answer.status, answer.kind().as_str()), (422, "invalid"));
    assert_eq!(answer.json()["message"], "node.toml:1: it is wrong");
}

#[test]
fn a_change_by_other_ways_becomes_a_version_too() {
    let daemon = Daemon::start("");
    wait_states(&daemon, &["in_force"]);
    daemon.node.with(|state| {
        state.toml = "# by a signal\n".into();
        (state.by, state.generation) = ("reload".into(), 2);
    });
    wait_states(&daemon, &["in_force", "replaced"]);
    assert_eq!(daemon.get("vera", "/v1/config/versions").json()[0]["by"], "reload");
}

#[test]
fn flows_and_sessions_that_are_ended_are_audited() {
    let daemon = Daemon::start("");
    assert_eq!(daemon.delete("alice", "/v1/flows?peer=gw-b").json(), json!({"flows": 3}));
    assert_eq!(daemon.delete("alice", "/v1/sessions/5").json(), json!({"sessions": 1}));
    assert_eq!(daemon.delete("alice", "/v1/sessions/6").status, 404);
    let rows = audit(&daemon);
    let row =
        |index: usize| (rows[index]["action"].as_str().unwrap(), rows[index]["outcome"].as_str().unwrap());
    assert_eq!(row(2), ("kill_flows", "done: 3 ended"));
    assert_eq!(row(1), ("kill_session", "done: ended"));
    assert_eq!(row(0), ("kill_session", "not done: there is no such session"));
    assert_eq!(rows[2]["detail"], "{\"peer\":\"gw-b\"}");
}
