//! The database, whatever happens to it, and the socket that shows what it holds.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use gridway_control::{Client, ClientError, FailureKind, Reply, Request};
use serde_json::json;

use crate::support::{Daemon, has_sibling, wait};

fn history(daemon: &Daemon) -> Vec<gridway_control::VersionRow> {
    let reply = Client::connect(&daemon.local_socket()).unwrap().ask(&Request::History).unwrap();
    let Reply::History(rows) = reply else { panic!("{reply:?}") };
    rows
}

fn wait_versions(daemon: &Daemon, count: usize) {
    wait(&format!("{count} versions"), || (history(daemon).len() == count).then_some(()));
}

#[test]
fn the_local_socket_shows_versions_and_nothing_else() {
    let daemon = Daemon::start("");
    wait_versions(&daemon, 1);
    let mut client = Client::connect(&daemon.local_socket()).unwrap();
    let reply = client.ask(&Request::Version { version: 1 }).unwrap();
    assert!(matches!(reply, Reply::Version(text) if text.toml == "# first\n"));
    for request in [Request::Version { version: 2 }, Request::Status] {
        let error = client.ask(&request).unwrap_err();
        assert!(
            matches!(&error, ClientError::Refused(failure) if failure.kind == FailureKind::NotFound),
            "{error}"
        );
    }
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&daemon.local_socket()), 0o660);
    assert_eq!(mode(daemon.local_socket().parent().unwrap()), 0o750);
    assert_eq!(mode(&daemon.path("store/node.db")), 0o600);
}

#[test]
fn a_second_instance_is_refused_and_a_dead_one_replaced() {
    let mut daemon = Daemon::start("");
    assert!(!daemon.refusal().is_empty());
    wait_versions(&daemon, 1);
    daemon.kill();
    assert!(daemon.local_socket().exists());
    daemon.run();
    wait_versions(&daemon, 1);
    daemon.stop();
    assert!(!daemon.local_socket().exists());
}

#[test]
fn what_is_kept_outlives_the_process_however_it_ends() {
    let mut daemon = Daemon::start("");
    wait_versions(&daemon, 1);
    daemon.post("alice", "/v1/config", &json!({"toml": "# second\n"}));
    wait_versions(&daemon, 2);
    daemon.kill();
    daemon.run();
    wait_versions(&daemon, 2);
    daemon.stop();
    daemon.run();
    assert_eq!(daemon.get("vera", "/v1/audit").json()[0]["action"], "apply_config");
    let states: Vec<String> = history(&daemon).into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["in_force", "replaced"]);
}

#[test]
fn a_damaged_database_is_moved_aside_and_said() {
    let mut daemon = Daemon::start("");
    wait_versions(&daemon, 1);
    daemon.kill();
    let database = daemon.path("store/node.db");
    for suffix in ["-wal", "-shm"] {
        // They are there after a crash only.
        drop(fs::remove_file(daemon.path(&format!("store/node.db{suffix}"))));
    }
    fs::write(&database, vec![0x55; 20_000]).unwrap();
    daemon.run();
    wait_versions(&daemon, 1);
    assert!(has_sibling(&database, "node.db.corrupt-"));
    wait("the event", || {
        let rows = daemon.get("vera", "/v1/history/events").json();
        (rows[0]["kind"] == "database_damaged").then_some(())
    });
    // While it runs.
    for suffix in ["", "-wal"] {
        let file = daemon.path(&format!("store/node.db{suffix}"));
        let length = fs::metadata(&file).unwrap().len() as usize;
        let mut file = fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::io::Write::write_all(&mut file, &vec![0x55; length]).unwrap();
    }
    assert_eq!(daemon.get("vera", "/v1/config/versions").status, 200);
    let metrics = daemon.get("vera", "/metrics").body;
    assert!(metrics.contains("gridway_mgmt_database_damaged_total 2\n"), "{metrics}");
    assert_eq!(daemon.post("alice", "/v1/config", &json!({"toml": "# second\n"})).status, 200);
    wait_versions(&daemon, 1);
}

#[test]
fn without_a_database_everything_else_works_and_the_log_has_the_audit() {
    let daemon = Daemon::prepare("");
    // A folder where the file should be.
    fs::create_dir_all(daemon.path("store/node.db")).unwrap();
    fs::set_permissions(daemon.path("store"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut daemon = daemon;
    daemon.run();
    assert_eq!(daemon.get("vera", "/v1/status").status, 200);
    let kept = daemon.get("vera", "/v1/config/versions");
    assert!(matches!(kept.status, 500 | 503), "{kept:?}");
    assert_eq!(daemon.post("alice", "/v1/config", &json!({"toml": "# second\n"})).status, 200);
    daemon.wait_log("action=\"apply_config\"");
    let metrics = daemon.get("vera", "/metrics").body;
    let lost = metrics.lines().find_map(|line| line.strip_prefix("gridway_mgmt_not_kept_total ")).unwrap();
    assert!(lost.parse::<u64>().unwrap() > 0, "{metrics}");
    let said = daemon.log().matches("not kept, the rest goes on").count();
    assert_eq!(said, 1, "{}", daemon.log());
}

#[test]
fn samples_are_kept_and_shown() {
    let daemon = Daemon::start("");
    let rows = wait("a sample", || {
        let rows = daemon.get("vera", "/v1/history/round-trips?peer=gw-b&until=99999999999&since=0").json();
        Some(rows).filter(|rows| rows.as_array().is_some_and(|rows| !rows.is_empty()))
    });
    assert_eq!(
        (&rows[0]["peer"], &rows[0]["rtt_us"], &rows[0]["up_permille"]),
        (&json!("gw-b"), &json!(1234), &json!(1000))
    );
    assert_eq!(daemon.get("vera", "/v1/history/round-trips?peer=gw-x").json(), json!([]));
    assert_eq!(daemon.get("vera", "/v1/history/throughput").status, 200);
}
