//! `gridway config`: changes, versions, differences.

use std::fs;

use gridway_control::{
    ConfigState, ConfigText, Failure, FailureKind, InForce, Judgement, Pending, Proposal, Reply, Request,
    VersionRow,
};

use crate::fake::{FakeNode, gridway};
use crate::{json, stderr, text};

fn state(pending: bool) -> ConfigState {
    ConfigState {
        digest: "0123456789abcdef".into(),
        generation: 5,
        since: 1_700_000_000,
        by: "alice".into(),
        pending: pending.then(|| Pending { by: "alice".into(), left_s: 60, previous: "ff00".into() }),
        saved: !pending,
    }
}

/// A node and its management process in one.
fn node(request: &Request) -> Vec<Reply> {
    let row = |version, state: &str| VersionRow {
        version,
        digest: "0123456789abcdef".into(),
        since: 1_700_000_000,
        by: "alice".into(),
        state: state.into(),
        added: 1,
        removed: 2,
    };
    vec![match request {
        Request::ConfigState | Request::Confirm { .. } | Request::Rollback { .. } => {
            Reply::ConfigState(state(false))
        }
        Request::InForce => Reply::InForce(InForce { toml: "metric = 30\n".into(), state: state(false) }),
        Request::Judge { .. } => Reply::Judgement(Judgement {
            errors: Vec::new(),
            warnings: vec!["line 40 can never match".into()],
            diff: "--- in force\n+++ proposed\n-metric = 10\n+metric = 20\n".into(),
        }),
        Request::Apply(proposal) => Reply::ConfigState(state(proposal.confirm_within_s.is_some())),
        Request::History => Reply::History(vec![row(12, "pending"), row(11, "replaced")]),
        Request::Version { version: 9 } => Reply::Error(Failure::new(FailureKind::NotFound, "forgotten")),
        Request::Version { version } => {
            Reply::Version(ConfigText { toml: format!("# kept\nmetric = {version}\n") })
        }
        _ => Reply::Error(Failure::new(FailureKind::BadRequest, "not asked for here")),
    }]
}

fn with_file() -> FakeNode {
    let node = FakeNode::new(node);
    fs::write(node.folder().join("node.toml"), "metric = 20\n").unwrap();
    node
}

fn proposal(toml: &str, confirm_within_s: Option<u64>, base: Option<&str>) -> Request {
    let base = base.map(ToOwned::to_owned);
    Request::Apply(Proposal { toml: toml.into(), confirm_within_s, base, by: None })
}

#[test]
fn applying_shows_the_difference_and_what_comes_next() {
    let node = with_file();
    let output = node.run("config apply node.toml --confirm-within 60s");
    let shown = text(&output);
    assert!(shown.contains("-metric = 10\n+metric = 20\n"), "{shown}");
    let confirm =
        format!("undone in 60 s unless you run: gridway config confirm --socket {}", node.socket().display());
    assert!(shown.contains(&confirm), "{shown}");
    assert!(stderr(&output).contains("warning: line 40 can never match"));
    let judge = Request::Judge { toml: "metric = 20\n".into() };
    let apply = proposal("metric = 20\n", Some(60), Some("0123456789abcdef"));
    assert_eq!(node.requests(), [Request::ConfigState, judge, apply]);
}

#[test]
fn force_leaves_out_what_it_was_made_from() {
    let node = with_file();
    let value = json(&node.run("config apply node.toml --force --json"));
    assert_eq!((&value["generation"], &value["pending"]), (&5.into(), &serde_json::Value::Null));
    assert_eq!(node.requests().last(), Some(&proposal("metric = 20\n", None, None)));
}

#[test]
fn a_change_that_somebody_else_made_meanwhile_is_told_and_not_overwritten() {
    let node = FakeNode::new(|request| match request {
        Request::Apply(_) => {
            vec![Reply::Error(Failure::new(FailureKind::Conflict, "another one is in force"))]
        }
        other => node(other),
    });
    fs::write(node.folder().join("node.toml"), "metric = 20\n").unwrap();
    let output = node.run("config apply node.toml");
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for part in ["another one is in force", "since 2023-11-14 22:13:20 UTC", "by alice"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_wrong_file_is_never_applied() {
    let node = FakeNode::new(|request| match request {
        Request::Judge { .. } => vec![Reply::Judgement(Judgement {
            errors: vec!["node.toml:1: metric: found 0".into(), "node.toml:2: unknown key".into()],
            ..Judgement::default()
        })],
        other => node(other),
    });
    fs::write(node.folder().join("node.toml"), "metric = 0\n").unwrap();
    for command in ["config apply node.toml", "config diff node.toml"] {
        let output = node.run(command);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), "node.toml:1: metric: found 0\nnode.toml:2: unknown key\n");
    }
    assert!(!node.requests().iter().any(|request| matches!(request, Request::Apply(_))));
    assert_eq!(node.run("config apply none.toml").status.code(), Some(1));
}

#[test]
fn a_change_is_kept_or_undone() {
    let node = FakeNode::new(|request| match request {
        Request::ConfigState => vec![Reply::ConfigState(state(true))],
        other => node(other),
    });
    let kept = text(&node.run("config confirm"));
    assert!(kept.starts_with("the change by alice is kept: 0123456789ab, generation 5\n"), "{kept}");
    assert!(text(&node.run("config rollback")).starts_with("the change by alice is undone"));
    // It is of what was looked at, and of no other one that came meanwhile.
    let digest = Some("0123456789abcdef".to_owned());
    assert_eq!(
        node.requests(),
        [
            Request::ConfigState,
            Request::Confirm { digest: digest.clone(), by: None },
            Request::ConfigState,
            Request::Rollback { digest, by: None }
        ]
    );
    for wrong in [
        "config rollback --force",
        "config rollback --confirm-within 5s",
        "config apply node.toml --confirm-within 0s",
    ] {
        assert_eq!(node.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn whoever_became_root_by_sudo_is_who_asks() {
    let node = with_file();
    let output = node.command("config confirm").env("SUDO_USER", "bob").output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        node.requests(),
        [
            Request::ConfigState,
            Request::Confirm { digest: Some("0123456789abcdef".into()), by: Some("bob".into()) }
        ]
    );
}

#[test]
fn an_earlier_version_comes_back_as_a_change() {
    let node = with_file();
    let management = format!("--mgmt-socket {}", node.socket().display());
    let output = node.run(&format!("config rollback --to 11 --confirm-within 90s {management}"));
    assert!(text(&output).contains("undone in 60 s unless"));
    let requests = node.requests();
    assert_eq!(requests[0], Request::Version { version: 11 });
    let expected = proposal("# kept\nmetric = 11\n", Some(90), Some("0123456789abcdef"));
    assert_eq!(requests.last(), Some(&expected));
    let output = node.run(&format!("config rollback --to 9 {management}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no version 9"), "{}", stderr(&output));
}

#[test]
fn versions_are_listed_and_compared() {
    let node = with_file();
    let management = format!("--mgmt-socket {}", node.socket().display());
    let run = |args: &str| node.run(&format!("{args} {management}"));
    let table = text(&run("config history"));
    for part in ["12", "pending", "2023-11-14 22:13:20", "alice", "0123456789ab"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert_eq!(json(&run("config history --json"))[1]["version"], 11);
    let between = "--- version 3\n+++ version 4\n@@ -1,2 +1,2 @@\n # kept\n-metric = 3\n+metric = 4\n";
    assert_eq!(text(&run("config diff --from 3 --to 4")), between);
    assert!(text(&run("config diff --from 3")).contains("+++ in force\n"));
    assert!(text(&run("config diff")).starts_with("--- version 11\n+++ version 12\n"));
    assert_eq!(text(&run("config diff --from 3 --to 3")), "no differences\n");
    assert!(text(&node.run("config diff node.toml")).contains("+metric = 20\n"));
    for wrong in ["config diff --to 3", "config diff node.toml --from 3", "config history 3"] {
        assert_eq!(node.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn a_management_process_that_does_not_run_is_status_3() {
    let node = with_file();
    for command in ["config history", "config diff --from 3", "config rollback --to 3"] {
        let output = node.run(&format!("{command} --mgmt-socket none.sock"));
        assert_eq!(output.status.code(), Some(3), "{command}");
        assert!(stderr(&output).contains("management process does not run"), "{}", stderr(&output));
    }
    assert!(node.requests().is_empty());
    let output = gridway("config state --ca ca.crt").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_state_says_who_and_how_long() {
    let node = FakeNode::new(|_| vec![Reply::ConfigState(state(true))]);
    let shown = text(&node.run("config state"));
    for part in
        ["0123456789ab, generation 5", "by alice", "ff00 comes back in 1m0s", "gridway config confirm"]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(shown.contains("saved       no"), "{shown}");
    assert_eq!(json(&node.run("config state --json"))["pending"]["left_s"], 60);
}
