//! `gridway doctor` beside real nodes: on a machine that is well, and on one that is not.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::TcpListener;

use gridway_e2e::layer4::published;
use gridway_e2e::{Layout, configs};
use gridway_lab::gateway::{Gateway, Pki, find_binary, vnets};
use gridway_lab::{DATA_INTERFACE, Lab, Side, WAN_INTERFACE};
use serde_json::Value;

/// A node of side A that does not run, in a laboratory of its own.
fn prepared() -> (Lab, Gateway) {
    let lab = Lab::new().unwrap();
    let with_service = |side| vnets::corp(side) + &published("tcp", 7000)(side);
    let [config, _] = configs(Layout::Combined, with_service);
    let node = Gateway::prepare(&lab, Side::A, &Pki::of(&lab).unwrap(), config).unwrap();
    (lab, node)
}

/// What the doctor finds, and its exit status.
fn examine(node: &Gateway) -> (Vec<Value>, i32) {
    let doctor =
        node.namespace().command(find_binary("gridway").unwrap()).args(["doctor", "--json", "--config"]);
    let output = doctor.arg(node.config_path()).run_unchecked().unwrap();
    let findings: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
    for finding in &findings {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["advice", "found", "id", "status", "subject"]);
        assert_eq!(finding["status"] == "ok", finding["advice"] == "", "{finding}");
    }
    (findings, output.status.code().unwrap())
}

/// Ids of the findings with that status.
fn ids<'a>(findings: &'a [Value], status: &str) -> Vec<&'a str> {
    let those = findings.iter().filter(|finding| finding["status"] == status);
    those.map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// Insists on exactly these problems.
fn problems(node: &Gateway, expected: &[&str]) {
    let (findings, status) = examine(node);
    assert_eq!(ids(&findings, "problem"), expected, "{findings:#?}");
    assert_eq!(status, i32::from(!expected.is_empty()));
}

#[test]
fn a_node_that_is_well_has_no_problem_before_it_starts_and_while_it_runs() {
    let (_lab, mut node) = prepared();
    problems(&node, &[]);
    let (findings, _) = examine(&node);
    for id in ["data.peer_checksums", "management.route"] {
        assert!(ids(&findings, "warning").contains(&id), "{id}: {findings:#?}");
    }
    for id in [
        "data.xdp",
        "data.mtu",
        "certificate.chain",
        "certificate.expiry",
        "crl.expiry",
        "ports.tunnel",
        "ports.connector",
    ] {
        assert!(ids(&findings, "ok").contains(&id), "{id}: {findings:#?}");
    }

    node.start().unwrap();
    problems(&node, &[]);
    let (findings, _) = examine(&node);
    let running = findings.iter().find(|finding| finding["id"] == "node.running").unwrap();
    assert!(running["found"].as_str().unwrap().starts_with("runs since"), "{running}");
    node.stop().unwrap();
}

#[test]
fn what_keeps_a_node_from_starting_is_found_and_the_advice_mends_it() {
    let (lab, node) = prepared();
    let gwa = lab.gwa();
    let ip = |words: &str| gwa.ip(words).unwrap();

    ip(&format!("link set {DATA_INTERFACE} mtu 9000"));
    problems(&node, &["data.mtu"]);
    let (findings, _) = examine(&node);
    let advice =
        findings.iter().find(|finding| finding["id"] == "data.mtu").unwrap()["advice"].as_str().unwrap();
    ip(advice.strip_prefix("ip ").unwrap().split(',').next().unwrap());
    problems(&node, &[]);

    ip(&format!("link set {DATA_INTERFACE} down"));
    problems(&node, &["interface.link"]);
    ip(&format!("link set {DATA_INTERFACE} up"));

    let address = format!("{}/24", Side::A.wan());
    ip(&format!("address del {address} dev {WAN_INTERFACE}"));
    let (findings, _) = examine(&node);
    assert!(ids(&findings, "problem").contains(&"ports.tunnel"), "{findings:#?}");
    ip(&format!("address add {address} dev {WAN_INTERFACE}"));

    let listener = gwa.enter(|| TcpListener::bind(Side::A.tunnel())).unwrap().unwrap();
    problems(&node, &["ports.tunnel"]);
    drop(listener);
    problems(&node, &[]);
}

#[test]
fn a_program_of_somebody_else_on_the_data_nic_is_found() {
    let (_lab, mut node) = prepared();
    node.start().unwrap();
    // Another node's configuration for the same NIC: from its side the program is somebody else's.
    let other = std::fs::read_to_string(node.config_path()).unwrap();
    let other = other.replace("control.sock", "other.sock");
    node.write_raw_config(&other).unwrap();
    let (findings, status) = examine(&node);
    assert_eq!((ids(&findings, "problem").contains(&"data.occupied"), status), (true, 1), "{findings:#?}");
    node.stop().unwrap();
}

#[test]
fn credentials_that_a_peer_would_refuse_are_found() {
    let (_lab, node) = prepared();
    let config = std::fs::read_to_string(node.config_path()).unwrap();
    let key = config.lines().find_map(|line| line.strip_prefix("private_key = ")).unwrap().trim_matches('"');
    let chmod = |mode: &str| node.namespace().run("chmod", [mode, key]).unwrap();
    chmod("644");
    problems(&node, &["certificate.key_mode"]);
    chmod("600");
    node.write_raw_config(&config.replace("name = \"gw-a\"", "name = \"gw-x\"")).unwrap();
    problems(&node, &["certificate.name"]);
    node.write_raw_config("[node]\nname = 7\n").unwrap();
    problems(&node, &["config.file"]);
}
