//! The real binary: exit status, what goes to which stream, and files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `gridway` in `folder`.
fn gridway(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gridway")).args(args).current_dir(folder).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs `gridway`, which must succeed.
fn good(folder: &Path, args: &[&str]) -> String {
    let output = gridway(folder, args);
    assert_eq!(status(&output), 0, "{args:?}: {}", stderr(&output));
    stdout(&output)
}

const EXAMPLE: &str = include_str!("../../config/examples/gateway.toml");

#[test]
fn certificates_of_a_laboratory_make_a_checked_node() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    good(here, &["pki", "init", "--domain", "lab.example", "--out", "pki"]);
    good(here, &["pki", "issue", "--dir", "pki", "--node", "gw-a"]);
    fs::write(here.join("node.toml"), EXAMPLE).unwrap();
    let output = gridway(here, &["config", "check", "node.toml"]);
    assert_eq!((status(&output), stderr(&output).as_str()), (0, ""));

    fs::set_permissions(here.join("pki/gw-a.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = gridway(here, &["config", "check", "node.toml"]);
    assert_eq!(status(&output), 1);
    assert!(stderr(&output).contains("0644") && stderr(&output).contains("gw-a.key"), "{}", stderr(&output));
}

#[test]
fn check_warns_of_missing_credentials() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("node.toml"), EXAMPLE).unwrap();
    let output = gridway(folder.path(), &["config", "check", "node.toml"]);
    assert_eq!(status(&output), 0);
    assert_eq!(stderr(&output).lines().filter(|line| line.contains("does not exist")).count(), 4);
}

#[test]
fn check_says_every_error_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = EXAMPLE.replace("metric = 10", "metric = 0").replace("via = \"edge-c\"", "via = \"edge-x\"");
    fs::write(folder.path().join("node.toml"), &text).unwrap();
    let output = gridway(folder.path(), &["config", "check", "node.toml"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (1, ""));
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let expected = [
        format!(
            "node.toml:{}: vnet[0].route[0].metric: found 0, expected an integer from 1 to 200",
            line("metric = 0")
        ),
        format!(
            "node.toml:{}: vnet[0].route[1].via: found \"edge-x\", expected the name of a configured peer; there are: edge-c, gw-b",
            line("via = \"edge-x\"")
        ),
    ];
    assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), expected);
    assert_eq!(status(&gridway(folder.path(), &["config", "check", "none.toml"])), 1);
}

#[test]
fn issuing_never_overwrites_and_revoking_finds_what_was_issued() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    good(here, &["pki", "init", "--domain", "lab.example", "--out", "pki"]);
    assert_eq!(status(&gridway(here, &["pki", "init", "--domain", "lab.example", "--out", "pki"])), 1);
    good(here, &["pki", "issue", "--dir", "pki", "--node", "gw-a"]);
    let key = fs::read(here.join("pki/gw-a.key")).unwrap();
    let again = gridway(here, &["pki", "issue", "--dir", "pki", "--node", "gw-a"]);
    assert_eq!(status(&again), 1);
    assert!(stderr(&again).contains("exists already"), "{}", stderr(&again));
    assert_eq!(fs::read(here.join("pki/gw-a.key")).unwrap(), key);
    good(here, &["pki", "issue", "--dir", "pki", "--node", "gw-a", "--renew"]);
    let list = fs::read(here.join("pki/crl.pem")).unwrap();
    assert!(good(here, &["pki", "revoke", "--dir", "pki", "--node", "gw-a"]).contains("2 certificate(s)"));
    assert_ne!(fs::read(here.join("pki/crl.pem")).unwrap(), list);
    assert_eq!(status(&gridway(here, &["pki", "revoke", "--dir", "pki", "--node", "gw-a"])), 1);
    good(here, &["pki", "crl", "--dir", "pki", "--days", "1"]);
    good(here, &["pki", "issue", "--dir", "pki", "--operator", "alice", "--role", "viewer"]);
    assert!(here.join("pki/operators/alice.key").exists());
    good(here, &["pki", "revoke", "--dir", "pki", "--operator", "alice"]);
}

#[test]
fn wrong_usage_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &[][..],
        &["fly"],
        &["peers", "--colour"],
        &["config", "check"],
        &["pki", "init", "--domain", "LAB", "--out", "pki"],
        &["pki", "issue", "--dir", "pki"],
        &["pki", "issue", "--dir", "pki", "--node", "a", "--operator", "b", "--role", "viewer"],
        &["pki", "issue", "--dir", "pki", "--node", "a", "--role", "viewer"],
        &["pki", "issue", "--dir", "pki", "--operator", "b"],
        &["pki", "issue", "--dir", "pki", "--operator", "b", "--role", "king"],
        &["pki", "issue", "--dir", "pki", "--node", "../../etc"],
        &["flows", "--proto", "carrier-pigeon"],
        &["flows", "--src", "10.0.0.0/8"],
        &["flows", "--tcp-flags", "SYN,XMAS"],
        &["flows", "--tcp-flags", ""],
        &["flows", "--idle-at-least", "5"],
        &["flows", "--started-by", "me"],
        &["flows", "--all"],
        &["flows", "kill"],
        &["flows", "kill", "--json"],
        &["flows", "kill", "--limit", "5", "--vnet", "corp"],
        &["flows", "kill", "--all", "--vnet", "corp"],
        &["flows", "--vnet", "corp", "kill", "--all"],
        &["sessions", "kill"],
        &["sessions", "kill", "-1"],
        &["sessions", "kill", "all"],
        &["sessions", "--limit", "5", "kill", "1"],
        &["connectors", "db"],
    ] {
        let output = gridway(folder.path(), args);
        assert_eq!(status(&output), 2, "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
        assert_ne!(stderr(&output), "", "{args:?}");
    }
}

#[test]
fn a_node_that_cannot_be_reached_is_status_3() {
    let folder = tempfile::tempdir().unwrap();
    // A socket nobody listens at any more.
    drop(UnixListener::bind(folder.path().join("dead.sock")).unwrap());
    for command in [
        "status",
        "peers",
        "routes",
        "flows",
        "sessions",
        "connectors",
        "services",
        "counters",
        "nat",
        "acl",
        "limits",
    ] {
        for socket in ["none.sock", "dead.sock"] {
            let output = gridway(folder.path(), &[command, "--json", "--socket", socket]);
            assert_eq!(status(&output), 3, "{command}");
            assert!(stderr(&output).contains(socket), "{}", stderr(&output));
            assert_eq!(stdout(&output), "");
        }
    }
    assert_eq!(
        status(&gridway(folder.path(), &["config", "show", "--defaults", "--socket", "none.sock"])),
        3
    );
}

#[test]
fn check_warns_of_rules_that_never_match_and_calls_the_file_good() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "  [[vnet.acl]]\n  line = 35\n  action = \"drop\"\n  protocol = \"icmp\"\n\n  [[vnet.acl]]\n  line     = 40\n";
    let text = EXAMPLE.replace("  [[vnet.acl]]\n  line     = 40\n", rule);
    fs::write(folder.path().join("node.toml"), &text).unwrap();
    let output = gridway(folder.path(), &["config", "check", "node.toml"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (0, "node.toml: good\n"));
    let line = text.lines().position(|line| line.contains("line = 35")).unwrap();
    let expected = format!(
        "warning: node.toml:{line}: vnet[0].acl[3]: line 35 can never match: line 30 matches all of it (icmp, any -> any)"
    );
    assert!(stderr(&output).lines().any(|line| line == expected), "{}", stderr(&output));
}
