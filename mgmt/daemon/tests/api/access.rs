//! Who gets in, and what they may do.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use gridway_control::Request;
use gridway_pki::{CRL_DAYS, CertificateRequest, OperatorRole, Store};
use serde_json::json;

use crate::support::{Daemon, name, operator_request, over, wait};

#[test]
fn a_client_without_a_certificate_of_an_operator_gets_no_answer() {
    let daemon = Daemon::start("");
    daemon.refuses(daemon.curl_without_certificate());
    // One of a node.
    let mut curl = daemon.curl_without_certificate();
    curl.arg("--cert").arg(daemon.path("pki/gw-a.crt")).arg("--key").arg(daemon.path("pki/gw-a.key"));
    daemon.refuses(curl);
    daemon.issue("old", &CertificateRequest { validity: over(), ..operator_request("old") });
    daemon.refuses(daemon.curl("old"));
    for (index, unit) in [None, Some("admin"), Some("Operator"), Some("")].into_iter().enumerate() {
        let file = format!("odd-{index}");
        let organizational_unit = unit.map(str::to_owned);
        daemon.issue(&file, &CertificateRequest { organizational_unit, ..operator_request("odd") });
        daemon.refuses(daemon.curl(&file));
    }
    daemon.issue(
        "server",
        &CertificateRequest { client_auth: false, server_auth: true, ..operator_request("server") },
    );
    daemon.refuses(daemon.curl("server"));
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
}

#[test]
fn only_tls_1_3_is_spoken() {
    let daemon = Daemon::start("");
    let mut curl = daemon.curl("alice");
    curl.args(["--tls-max", "1.2"]);
    daemon.refuses(curl);
}

#[test]
fn a_viewer_reads_and_changes_nothing() {
    let daemon = Daemon::start("");
    assert_eq!(daemon.get("vera", "/v1/peers").status, 200);
    let judged = daemon.post("vera", "/v1/config/judge", &json!({"toml": "x"}));
    assert_eq!(judged.status, 200, "{judged:?}");
    let filter = json!({"count": 1, "wait_ms": 1, "point": "local", "snap": 64});
    for refused in [
        daemon.delete("vera", "/v1/flows?all=true"),
        daemon.delete("vera", "/v1/sessions/5"),
        daemon.post("vera", "/v1/config", &json!({"toml": "x"})),
        daemon.request("vera", &["POST"], "/v1/config/confirm"),
        daemon.request("vera", &["POST"], "/v1/config/rollback"),
        daemon.post("vera", "/v1/trace", &json!({"count": 1, "wait_ms": 1})),
        daemon.post("vera", "/v1/capture", &filter),
    ] {
        assert_eq!((refused.status, refused.kind().as_str()), (403, "forbidden"), "{refused:?}");
    }
    let changes = |request: &Request| {
        matches!(
            request,
            Request::KillFlows { .. } | Request::Apply(_) | Request::Trace { .. } | Request::Capture { .. }
        )
    };
    assert!(!daemon.node.asked(changes));
    let rows = daemon.get("vera", "/v1/audit").json();
    assert_eq!(rows.as_array().unwrap().len(), 7, "{rows}");
    assert_eq!(
        (&rows[6]["by"], &rows[6]["action"], &rows[6]["detail"]),
        (&json!("vera"), &json!("refused"), &json!("DELETE /v1/flows"))
    );
    assert_eq!(daemon.delete("alice", "/v1/flows?all=true").json(), json!({"flows": 7}));
}

#[test]
fn a_revoked_operator_is_refused_also_on_a_connection_that_lives() {
    let daemon = Daemon::start("");
    let mut stream = daemon.tls("alice");
    let mut ask = || {
        stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: gw-a.lab.example\r\n\r\n").unwrap();
        let mut bytes = [0; 8192];
        let count = stream.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert!(ask().starts_with("HTTP/1.1 200"));
    Store::operators(&daemon.path("pki")).unwrap().revoke("alice").unwrap();
    wait("the list to be read", || ask().starts_with("HTTP/1.1 403").then_some(()));
    daemon.refuses(daemon.curl("alice"));
    assert_eq!(daemon.get("vera", "/v1/limits").status, 200);
}

#[test]
fn a_revocation_is_heard_of_whatever_is_wrong_with_the_own_certificate() {
    let daemon = Daemon::start("");
    let key = daemon.path("pki/gw-a-api.key");
    fs::write(&key, "nothing").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    daemon.wait_log("new certificates not loaded");
    assert_eq!(daemon.get("alice", "/v1/limits").status, 200);
    Store::operators(&daemon.path("pki")).unwrap().revoke("alice").unwrap();
    daemon.wait_log("certificates and revocations reloaded");
    daemon.refuses(daemon.curl("alice"));
    assert_eq!(daemon.get("vera", "/v1/limits").status, 200);
}

#[test]
fn a_replaced_ca_of_operators_ends_connections_of_the_one_before() {
    let daemon = Daemon::start("");
    let mut stream = daemon.tls("alice");
    let mut ask = || {
        stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: gw-a.lab.example\r\n\r\n").unwrap();
        let mut bytes = [0; 8192];
        let count = stream.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).to_ascii_lowercase()
    };
    assert!(ask().starts_with("http/1.1 200"));
    let other = Daemon::prepare("");
    for file in ["crl.pem", "ca.crt"] {
        let file = format!("pki/operators/{file}");
        fs::copy(other.path(&file), daemon.path(&file)).unwrap();
    }
    let refused = wait("the CA to be read", || Some(ask()).filter(|text| text.starts_with("http/1.1 403")));
    assert!(refused.contains("connection: close") && refused.contains("was replaced"), "{refused}");
    daemon.refuses(daemon.curl("alice"));
}

#[test]
fn an_expired_revocation_list_refuses_everybody() {
    let daemon = Daemon::start("");
    let mut store = Store::operators(&daemon.path("pki")).unwrap();
    let expired =
        store.authority().crl(9, &[], over().not_before, std::time::Duration::from_secs(60)).unwrap();
    fs::write(daemon.path("pki/operators/crl.pem"), expired).unwrap();
    daemon.wait_log("certificates and revocations reloaded");
    daemon.refuses(daemon.curl("alice"));
    store.renew_crl(CRL_DAYS).unwrap();
    wait("the list to be read", || {
        daemon.curl("alice").arg(daemon.url("/v1/limits")).output().unwrap().status.success().then_some(())
    });
}

#[test]
fn a_replaced_certificate_is_shown_without_a_restart() {
    let daemon = Daemon::start("");
    let serial = || {
        let mut curl = daemon.curl("vera");
        let output = curl.args(["--verbose", &daemon.url("/v1/limits")]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        text.lines().find(|line| line.contains("start date")).unwrap().to_owned()
    };
    let before = serial();
    // A second later its dates differ.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    Store::nodes(&daemon.path("pki")).unwrap().issue_api(&crate::support::node_name("gw-a"), true).unwrap();
    wait("the certificate to be read", || (serial() != before).then_some(()));
    // One that cannot be used leaves the old one in force.
    fs::write(daemon.path("pki/gw-a-api.crt"), "nothing").unwrap();
    daemon.wait_log("new certificates not loaded");
    assert_eq!(daemon.get("vera", "/v1/limits").status, 200);
}

#[test]
fn a_page_of_another_site_may_not_ask() {
    let daemon = Daemon::start("");
    let refused =
        daemon.request("alice", &["POST", "--header", "sec-fetch-site: cross-site"], "/v1/config/confirm");
    assert_eq!((refused.status, refused.kind().as_str()), (403, "forbidden"));
    let form = ["POST", "--header", "content-type: text/plain", "--data", "{\"toml\":\"x\"}"];
    assert_eq!(daemon.request("alice", &form, "/v1/config").status, 415);
    assert_eq!(daemon.get("alice", "/v1/config").json()["toml"], "# first\n");
}

#[test]
fn a_start_with_unfit_files_says_what_to_do() {
    let daemon = Daemon::prepare("");
    let key = daemon.path("pki/gw-a-api.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(daemon.refusal().contains("expected 0600"), "{}", daemon.refusal());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // The certificate of the node would open tunnels.
    fs::copy(daemon.path("pki/gw-a.crt"), daemon.path("pki/gw-a-api.crt")).unwrap();
    fs::copy(daemon.path("pki/gw-a.key"), &key).unwrap();
    let said = daemon.refusal();
    assert!(said.contains("serverAuth alone") && said.contains("--api"), "{said}");
    daemon.configure("[tunnel]\n");
    assert!(daemon.refusal().contains("mgmt.toml:"), "{}", daemon.refusal());
}

#[test]
fn names_of_operators_may_be_any_that_the_ca_gave() {
    let daemon = Daemon::start("");
    daemon.issue("jose", &CertificateRequest { common_name: "José Ñandú".into(), ..operator_request("x") });
    assert_eq!(daemon.delete("jose", "/v1/sessions/5").status, 200);
    let rows = daemon.get("vera", "/v1/audit").json();
    assert_eq!(rows[0]["by"], "José Ñandú", "{rows}");
    Store::operators(&daemon.path("pki"))
        .unwrap()
        .issue_operator(&name("bob"), OperatorRole::Viewer, false)
        .unwrap();
    assert_eq!(daemon.get("bob", "/v1/status").status, 200);
}
