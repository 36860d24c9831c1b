//! What is read.

use std::io::Write;
use std::process::{Command, Stdio};

use gridway_control::Request;

use crate::support::Daemon;

#[test]
fn lists_are_those_of_the_control_socket() {
    let daemon = Daemon::start("");
    assert_eq!(daemon.get("vera", "/v1/peers").json()[0]["rtt_us"], 1234);
    assert_eq!(daemon.get("vera", "/v1/status").json()["node"], "gw-a");
    assert_eq!(daemon.get("vera", "/v1/counters").json()["drops"]["no_vnet"], 2);
    assert_eq!(
        daemon.get("vera", "/v1/config/normalised?defaults=true").json()["toml"],
        "# defaults: true\n"
    );
    for list in ["routes", "nat", "acl", "connectors", "services", "connections"] {
        assert_eq!(daemon.get("vera", &format!("/v1/{list}")).json(), serde_json::json!([]), "{list}");
    }
    assert_eq!(daemon.get("vera", "/v1/sessions?limit=3").json()["matched"], 0);
    let query = "/v1/flows?peer=gw-b&proto=6&src=10.1.0.2&idle_at_least_s=5&limit=7";
    assert_eq!(daemon.get("vera", query).status, 200);
    assert!(daemon.node.asked(|request| matches!(
        request,
        Request::Flows { filter, limit: 7 } if filter.peer.as_deref() == Some("gw-b")
            && filter.proto == Some(6) && filter.idle_at_least_s == Some(5)
    )));
}

#[test]
fn what_cannot_be_understood_is_refused_in_json() {
    let daemon = Daemon::start("");
    for (path, status, kind) in [
        ("/v1/flows?colour=red", 400, "bad_request"),
        ("/v1/flows?proto=tcp", 400, "bad_request"),
        ("/v1/flows?limit=-1", 400, "bad_request"),
        ("/v1/flows?peer=a&peer=b", 400, "bad_request"),
        ("/v1/config/versions/x", 400, "bad_request"),
        ("/v1/config/versions/77", 404, "not_found"),
        ("/v1/config/versions/18446744073709551615", 404, "not_found"),
        ("/v1/events?after=x", 400, "bad_request"),
        ("/v1/nothing", 404, "not_found"),
        ("/", 404, "not_found"),
        ("/v1/config/confirm", 405, "bad_request"),
    ] {
        let answer = daemon.get("vera", path);
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{path}: {answer:?}");
    }
    let json = ["POST", "--header", "content-type: application/json", "--data"];
    for body in ["", "{", "[]", "{\"toml\":1}", "{\"toml\":\"x\",\"more\":1}"] {
        let answer = daemon.request("alice", &[&json[..], &[body]].concat(), "/v1/config/judge");
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    assert_eq!(daemon.delete("alice", "/v1/flows").status, 400);
    assert_eq!(daemon.delete("alice", "/v1/flows?all=false").status, 400);
    assert_eq!(daemon.delete("alice", "/v1/sessions/6").kind(), "not_found");
    assert!(daemon.request("vera", &["PUT"], "/v1/flows").head.contains("allow: "));
}

#[test]
fn every_response_tells_browsers_to_keep_and_run_nothing() {
    let daemon = Daemon::start("");
    for path in ["/v1/status", "/v1/nothing", "/metrics", "/v1/openapi.json"] {
        let head = daemon.get("vera", path).head;
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "strict-transport-security: max-age=",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        assert!(!head.contains("access-control") && !head.contains("server:"), "{head}");
    }
}

#[test]
fn a_node_that_does_not_answer_is_a_bad_gateway_and_what_is_kept_can_be_read() {
    let mut daemon = Daemon::start("");
    daemon.node.go();
    let answer = daemon.get("vera", "/v1/status");
    assert_eq!((answer.status, answer.kind().as_str()), (502, "unreachable"));
    assert_eq!(daemon.get("vera", "/v1/config/versions").status, 200);
    assert!(daemon.get("vera", "/metrics").body.contains("gridway_up 0\n"));
    daemon.node.come_back();
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    assert!(daemon.get("vera", "/metrics").body.contains("gridway_up 1\n"));
}

#[test]
fn the_description_names_every_path_and_refers_to_nothing_that_is_missing() {
    let daemon = Daemon::start("");
    let text = daemon.get("vera", "/v1/openapi.json");
    let description = text.json();
    for path in [
        "/v1/status",
        "/v1/peers",
        "/v1/routes",
        "/v1/nat",
        "/v1/acl",
        "/v1/counters",
        "/v1/limits",
        "/v1/connectors",
        "/v1/services",
        "/v1/connections",
        "/v1/flows",
        "/v1/sessions",
        "/v1/sessions/{id}",
        "/v1/config",
        "/v1/config/normalised",
        "/v1/config/confirm",
        "/v1/config/rollback",
        "/v1/config/judge",
        "/v1/config/versions",
        "/v1/config/versions/{version}",
        "/v1/events",
        "/v1/events/stream",
        "/v1/audit",
        "/v1/history/round-trips",
        "/v1/history/throughput",
        "/v1/history/events",
        "/v1/simulate",
        "/v1/trace",
        "/v1/capture",
        "/v1/ping",
        "/metrics",
        "/v1/openapi.json",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    for part in text.body.split("\"$ref\":\"#").skip(1) {
        let pointer = &part[..part.find('"').unwrap()];
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn prometheus_finds_nothing_to_say_about_the_metrics() {
    let daemon = Daemon::start("");
    let page = daemon.get("vera", "/metrics");
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    for line in [
        "gridway_dropped_packets_total{direction=\"outbound\",reason=\"no_vnet\"} 2",
        "gridway_peer_up{peer=\"gw-b\"} 1",
        "gridway_table_refused_total{table=\"flows\"} 2",
        "gridway_mgmt_not_kept_total 0",
    ] {
        assert!(page.body.lines().any(|found| found == line), "{line}\n{}", page.body);
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool (package prometheus, see cargo xtask setup): {error}"));
    promtool.stdin.take().unwrap().write_all(page.body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{}", page.body);
}
