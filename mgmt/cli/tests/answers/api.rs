//! Over HTTPS: what the management API is asked, and what is made of its answers.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use gridway_control::{ConfigState, End, Ping, Reply, RouteRow, encode_reply};
use serde_json::{Value, json};

use crate::fake::gridway;
use crate::fake_api::FakeApi;
use crate::{json as parsed, stderr, text};

fn routes() -> Vec<RouteRow> {
    vec![RouteRow {
        vnet: "corp".into(),
        to: "10.200.2.0/24".into(),
        via: "gw-b".into(),
        metric: 10,
        available: true,
        chosen: true,
        monitor: None,
    }]
}

#[test]
fn a_node_is_read_over_the_api() {
    let api = FakeApi::new(|asked| match asked {
        "GET /v1/routes" => (200, serde_json::to_string(&routes()).unwrap()),
        _ => (200, json!({"matched": 0, "rows": []}).to_string()),
    });
    assert!(text(&api.run("routes")).contains("10.200.2.0/24"));
    assert_eq!(parsed(&api.run("routes --json"))[0]["via"], "gw-b");
    text(&api.run("flows --src fd00::1 --tcp-flags SYN,ACK --limit 7"));
    let asked = api.asked();
    let (path, query) = asked[2].split_once('?').unwrap();
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    assert_eq!(path, "GET /v1/flows");
    assert_eq!(query.len(), 3);
    assert!(query[1].starts_with("src=fd00") && query[0] == "limit=7", "{query:?}");
}

#[test]
fn the_environment_names_the_api_and_a_socket_goes_before_it() {
    let api = FakeApi::new(|_| (200, serde_json::to_string(&routes()).unwrap()));
    let named = |args: &str| {
        let mut command = gridway(args);
        command.env("GRIDWAY_API", api.address.to_string()).env("GRIDWAY_API_NAME", "gw-a.lab.example");
        command.env("GRIDWAY_API_CA", "ca.crt").env("GRIDWAY_API_CERT", "alice.crt");
        command.env("GRIDWAY_API_KEY", "alice.key").current_dir(api.folder.path());
        command
    };
    assert!(text(&named("routes").output().unwrap()).contains("gw-b"));
    let output = named("routes --socket none.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("none.sock"));
    let output = named("routes").env_remove("GRIDWAY_API_KEY").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--key"), "{}", stderr(&output));
}

#[test]
fn refusals_of_the_api_are_status_1_and_a_lost_node_status_3() {
    let api = FakeApi::new(|asked| match asked {
        "GET /v1/peers" => (403, json!({"kind": "forbidden", "message": "viewers only read"}).to_string()),
        "GET /v1/nat" => (429, json!({"kind": "busy", "message": "50 a second"}).to_string()),
        "GET /v1/acl" => (502, json!({"kind": "internal", "message": "no socket"}).to_string()),
        "GET /v1/limits" => (503, json!({"kind": "busy", "message": "too many clients"}).to_string()),
        "GET /v1/routes" => (200, "[{\"vnet\":".to_owned()),
        "GET /v1/services" => (404, "nothing here".to_owned()),
        _ => (200, json!({"flows": 3}).to_string()),
    });
    for (command, status, told) in [
        ("peers", 1, "viewers only read (HTTP status 403)"),
        ("nat", 1, "50 a second (HTTP status 429)"),
        ("acl", 3, "cannot reach its node: no socket"),
        ("limits", 1, "the node refused: too many clients"),
        ("routes", 3, "not a valid message"),
        ("services", 1, "nothing here (HTTP status 404)"),
        ("sessions kill 7", 3, "another kind of reply"),
    ] {
        let output = api.run(command);
        assert_eq!(output.status.code(), Some(status), "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{command}: {}", stderr(&output));
    }
}

#[test]
fn flows_and_sessions_are_ended_over_the_api() {
    let api = FakeApi::new(|asked| match asked {
        "DELETE /v1/sessions/8" => (404, json!({"kind": "not_found", "message": "no session 8"}).to_string()),
        asked if asked.starts_with("DELETE /v1/sessions/") => (200, json!({"sessions": 1}).to_string()),
        _ => (200, json!({"flows": 3}).to_string()),
    });
    assert_eq!(text(&api.run("flows kill --all")), "3 flow(s) ended\n");
    assert_eq!(text(&api.run("sessions kill 7 8 9")), "2 session(s) ended\n");
    let asked = api.asked();
    assert_eq!(asked[0], "DELETE /v1/flows?all=true");
    assert_eq!(asked[1..], [7, 8, 9].map(|id| format!("DELETE /v1/sessions/{id}")));
    assert_eq!(api.run("sessions kill 8").status.code(), Some(1));
}

#[test]
fn changes_are_proposed_and_versions_compared_over_the_api() {
    let state = ConfigState {
        digest: "00ff".into(),
        generation: 2,
        since: 0,
        by: "alice".into(),
        pending: None,
        saved: true,
    };
    let api = FakeApi::new(move |asked| {
        let state = serde_json::to_value(&state).unwrap();
        let value = match asked.split(' ').nth(1).unwrap() {
            "/v1/config/judge" => json!({"errors": [], "warnings": [], "diff": ""}),
            "/v1/config/versions/3" => json!({"toml": "a = 1\n"}),
            "/v1/config/versions/4" => json!({"toml": "a = 2\n"}),
            _ => state,
        };
        (200, value.to_string())
    });
    fs::write(api.folder.path().join("node.toml"), "a = 3\n").unwrap();
    assert!(text(&api.run("config apply node.toml --confirm-within 5s")).contains("no differences"));
    let posted: Value =
        serde_json::from_str(api.asked()[2].strip_prefix("POST /v1/config ").unwrap()).unwrap();
    assert_eq!(posted, json!({"toml": "a = 3\n", "confirm_within_s": 5, "base": "00ff"}));
    assert!(text(&api.run("config diff --from 3 --to 4")).contains("-a = 1\n+a = 2\n"));
    text(&api.run("config confirm"));
    assert_eq!(api.asked().last().unwrap(), "POST /v1/config/confirm {\"digest\":\"00ff\"}");
}

#[test]
fn lists_come_row_by_row_over_the_api() {
    let api = FakeApi::new(|asked| {
        let row = Reply::Ping(Ping { sequence: 1, round_trip_us: Some(1234), peer: None, error: None });
        let mut rows = vec![row, Reply::End(End { rows: 1, missed: 0 })];
        if asked.contains("\"count\":2") {
            rows.pop();
        }
        let lines: String =
            rows.iter().map(|row| String::from_utf8(encode_reply(row).unwrap()).unwrap()).collect();
        (200, lines)
    });
    assert!(text(&api.run("ping --vnet corp 10.200.2.2")).contains("1 sent, 1 received"));
    let asked = api.asked();
    let posted: Value = serde_json::from_str(asked[0].strip_prefix("POST /v1/ping ").unwrap()).unwrap();
    assert_eq!(posted["vnet"], "corp");
    let output = api.run("ping --vnet corp 10.200.2.2 --count 2");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("the list ended early"), "{}", stderr(&output));
}

#[test]
fn neither_side_takes_a_certificate_of_the_other_kind() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let output = api.command("routes", "stranger").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("is the certificate of an operator"), "{}", stderr(&output));
    assert!(api.asked().is_empty());

    let here = |args: &[&str]| {
        let mut command = gridway("routes --cert alice.crt --key alice.key");
        command.args(args).current_dir(api.folder.path()).output().unwrap()
    };
    let address = api.address.to_string();
    // An API by another name, and one that another authority vouches for.
    let other_name = here(&["--api", &address, "--api-name", "gw-b.lab.example", "--ca", "ca.crt"]);
    let other_ca = here(&["--api", &address, "--api-name", "gw-a.lab.example", "--ca", "alice.crt"]);
    for output in [other_name, other_ca] {
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("cannot reach the management API"), "{}", stderr(&output));
    }
    assert!(api.asked().is_empty());
}

#[test]
fn files_of_the_api_are_judged_before_it_is_asked() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let key = api.folder.path().join("alice.key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let output = api.run("routes");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("0644"), "{}", stderr(&output));
    fs::remove_file(&key).unwrap();
    assert_eq!(api.run("routes").status.code(), Some(2));
    for bad in ["gw-a", "user@gw-a:1", "gw-a:0x", ""] {
        let mut command = gridway("routes --ca ca.crt --cert alice.crt --key stranger.key");
        let output = command.args(["--api", bad]).current_dir(api.folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}: {}", stderr(&output));
    }
    assert!(api.asked().is_empty());
}

#[test]
fn nobody_at_the_address_is_status_3() {
    let api = FakeApi::new(|_| (200, "[]".to_owned()));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = gridway("routes --ca ca.crt --cert alice.crt --key alice.key");
    let output =
        command.args(["--api", &closed.to_string()]).current_dir(api.folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&closed.to_string()), "{}", stderr(&output));
}
