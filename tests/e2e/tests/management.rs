//! The management process beside a real node: what it shows, what it changes, and that traffic does not care.
//!
//! ```text
//! h1 ---- gwa == wan == gwb ---- h2
//!          |             |
//!      gridway-mgmt    operators
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gridway_control::{Client, Proposal, Reply, Request, VersionRow};
use gridway_e2e::{Layout, Pair};
use gridway_lab::gateway::{ApiAnswer, Management, Pki, vnets};
use gridway_lab::tools::{PortState, Scan};
use gridway_lab::{Iperf3, Iperf3Server, Ping, Rate, Side, wait_until};
use serde_json::{Value, json};

/// How long what takes its time is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

struct Managed {
    management: Management,
    pair: Pair,
}

impl Managed {
    fn start() -> Self {
        let pair = Pair::corp(Layout::Combined);
        let pki = Pki::of(&pair.lab).unwrap();
        let management = Management::launch(&pair.a, Side::A, &pki).unwrap();
        Self { management, pair }
    }

    /// A request from the far end of the WAN.
    fn ask(&self, who: &str, method: &str, path: &str, body: Option<&Value>) -> ApiAnswer {
        let answer = self.management.request(self.pair.lab.gwb(), who, method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.management.log().unwrap()))
    }

    fn get(&self, path: &str) -> ApiAnswer {
        self.ask("vera", "GET", path, None)
    }

    fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").body;
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("{name}\n{page}"))
    }

    fn versions(&self) -> Vec<VersionRow> {
        let asked = Client::connect(&self.management.local_socket())
            .and_then(|mut client| client.ask(&Request::History));
        match asked {
            Ok(Reply::History(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    fn wait_versions(&self, expected: &[(&str, &str)]) {
        let what = format!("versions {expected:?}");
        let now = || -> Vec<(String, String)> {
            self.versions().into_iter().map(|row| (row.by, row.state)).collect()
        };
        let is = |rows: &[(String, String)]| {
            rows.len() == expected.len()
                && rows
                    .iter()
                    .zip(expected)
                    .all(|(row, expected)| (row.0.as_str(), row.1.as_str()) == *expected)
        };
        wait_until(&what, PATIENCE, || is(&now()).then_some(()))
            .unwrap_or_else(|error| panic!("{error}: {:?}", now()));
    }

    fn finish(mut self) {
        self.management.stop().unwrap();
        let log = self.management.log().unwrap();
        assert!(!log.contains("panicked"), "{log}");
        self.pair.finish();
    }
}

/// Fills the file system of the database.
fn fill(managed: &Managed) -> fs::File {
    let path = managed.management.store().unwrap().join("filler");
    let mut filler = fs::File::create(path).unwrap();
    for piece in [&[0u8; 4096][..], &[0]] {
        while filler.write_all(piece).is_ok() {}
    }
    filler
}

#[test]
fn traffic_does_not_care_what_becomes_of_management() {
    let mut managed = Managed::start();
    let _server = Iperf3Server::start(managed.pair.lab.h2(), 5201).unwrap();
    let before = managed.pair.without_room();
    let load = Iperf3::udp(vnets::outside_host(Side::B, 0), Rate::mbit(10)).duration(Duration::from_secs(30));
    let h1 = managed.pair.lab.h1().clone();
    let measured = thread::spawn(move || load.run(&h1).unwrap());

    managed.management.kill().unwrap();
    managed.management.start().unwrap();
    managed.wait_versions(&[("start", "in_force")]);
    managed.management.stop().unwrap();
    managed.management.start().unwrap();

    // Its disk is full: the API goes on, and so do changes.
    let filler = fill(&managed);
    for _ in 0..40 {
        assert_eq!(managed.ask("alice", "DELETE", "/v1/flows?dport=9", None).status, 200);
    }
    wait_until("something that is not kept", PATIENCE, || {
        (managed.metric("gridway_mgmt_not_kept_total") > 0).then_some(())
    })
    .unwrap();
    let log = managed.management.log().unwrap();
    assert_eq!(log.matches("not kept, the rest goes on").count(), 1, "{log}");
    assert!(log.matches("kill_flows").count() >= 40, "{log}");
    filler.set_len(0).unwrap();
    managed.ask("alice", "DELETE", "/v1/flows?dport=10", None);
    wait_until("the audit to be kept again", PATIENCE, || {
        let row = &managed.get("/v1/audit?limit=1").json()[0]["detail"];
        row.as_str().is_some_and(|detail| detail.contains("10")).then_some(())
    })
    .unwrap();

    // Its database is overwritten.
    for file in ["node.db", "node.db-wal"] {
        let path = managed.management.store().unwrap().join(file);
        let length = fs::metadata(&path).unwrap().len() as usize;
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&vec![0x55; length]).unwrap();
    }
    wait_until("the database to be moved aside", PATIENCE, || {
        managed.get("/v1/audit");
        (managed.metric("gridway_mgmt_database_damaged_total") == 1).then_some(())
    })
    .unwrap();

    // The control socket is out of sight for a while.
    let socket = managed.pair.a.socket();
    let hidden = socket.with_extension("hidden");
    fs::rename(&socket, &hidden).unwrap();
    assert_eq!(managed.get("/v1/peers").status, 502);
    fs::rename(&hidden, &socket).unwrap();
    assert_eq!(managed.get("/v1/peers").status, 200);

    // The load outlasts every step, or it says nothing about the last ones.
    assert!(!measured.is_finished(), "the load ended before the last step");
    let (lost, sent) = measured.join().unwrap().datagrams.unwrap();
    let without_room = managed.pair.without_room() - before;
    assert!(sent > 15_000 && lost <= without_room, "{lost} of {sent}, {without_room} without room");
    managed.finish();
}

#[test]
fn a_local_host_finds_nothing_of_management() {
    let managed = Managed::start();
    let ports = "1-1024,8443,8444";
    for address in [Side::A.data(), Side::A.wan()] {
        let report = Scan::tcp(address, ports).run(managed.pair.lab.h1()).unwrap();
        assert_eq!(report.in_state(PortState::Open), [0u16; 0], "open on {address}");
    }
    // It is there on the WAN side, or the scan above proved nothing.
    let wan = Scan::tcp(Side::A.wan(), "8444").run(managed.pair.lab.gwb()).unwrap();
    assert_eq!(wan.state(8444), Some(PortState::Open));
    managed.finish();
}

#[test]
fn changes_of_every_kind_become_versions_and_are_undone_unless_confirmed() {
    let mut managed = Managed::start();
    managed.wait_versions(&[("start", "in_force")]);
    let first = managed.get("/v1/config").json()["toml"].as_str().unwrap().to_owned();
    let with = |comment: &str| format!("{first}\n# {comment}\n");

    let wrong = managed.ask("alice", "POST", "/v1/config", Some(&json!({"toml": "[node]\n"})));
    assert_eq!((wrong.status, &wrong.json()["kind"]), (422, &json!("invalid")), "{wrong:?}");
    let judged = managed.ask("vera", "POST", "/v1/config/judge", Some(&json!({"toml": with("judged")})));
    assert!(judged.json()["diff"].as_str().unwrap().contains("+# judged"), "{judged:?}");

    let proposal = json!({"toml": with("confirmed"), "confirm_within_s": 60});
    let applied = managed.ask("alice", "POST", "/v1/config", Some(&proposal));
    assert_eq!((applied.status, &applied.json()["pending"]["by"]), (200, &json!("alice")), "{applied:?}");
    managed.wait_versions(&[("alice", "pending"), ("start", "replaced")]);
    assert_eq!(managed.ask("alice", "POST", "/v1/config/confirm", None).status, 200);
    managed.wait_versions(&[("alice", "in_force"), ("start", "replaced")]);

    // By the control socket, and not confirmed.
    let proposal =
        Proposal { toml: with("undone"), confirm_within_s: Some(2), base: None, by: Some("console".into()) };
    let applied = Client::connect(&managed.pair.a.socket()).unwrap().ask(&Request::Apply(proposal)).unwrap();
    assert!(matches!(applied, Reply::ConfigState(_)), "{applied:?}");
    managed.wait_versions(&[("console", "undone"), ("alice", "in_force"), ("start", "replaced")]);

    // By a signal.
    managed.pair.a.write_raw_config(&with("by a signal")).unwrap();
    assert_eq!(managed.pair.a.reload().unwrap(), None);
    managed.wait_versions(&[
        ("reload", "in_force"),
        ("console", "undone"),
        ("alice", "replaced"),
        ("start", "replaced"),
    ]);
    let version = managed.get("/v1/config/versions/2").json();
    assert_eq!(version["toml"], with("confirmed"));
    assert_eq!(managed.ask("vera", "POST", "/v1/config", Some(&json!({"toml": first}))).status, 403);
    managed.finish();
}

#[test]
fn what_the_api_shows_is_what_the_node_does() {
    let managed = Managed::start();
    assert_eq!(managed.get("/v1/status").json()["node"], "gw-a");
    assert_eq!(managed.get("/v1/peers").json()[0]["state"], "up");
    let host = vnets::outside_host(Side::B, 0);
    assert!(Ping::new(host).count(3).run(managed.pair.lab.h1()).unwrap().all_answered());
    let flows = managed.get("/v1/flows?proto=1&peer=gw-b").json();
    assert_eq!(flows["matched"], 1, "{flows}");

    // The next packet is traced and captured while it passes.
    let lines = |answer: &ApiAnswer| -> Vec<Value> {
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for (path, kind) in [("/v1/trace", "trace"), ("/v1/capture", "captured")] {
        let mut asked = json!({"count": 1, "wait_ms": 10_000, "filter": {"proto": 1}});
        if path == "/v1/capture" {
            asked["point"] = json!("virtual");
            asked["snap"] = json!(128);
        }
        let (h1, done) = (managed.pair.lab.h1(), AtomicBool::new(false));
        let answer = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    Ping::new(host).count(5).run(h1).unwrap();
                }
            });
            let answer = managed.ask("alice", "POST", path, Some(&asked));
            done.store(true, Ordering::Release);
            answer
        });
        let rows = lines(&answer);
        let replies: Vec<&Value> = rows.iter().map(|row| &row["reply"]).collect();
        assert_eq!(replies, [&json!(kind), &json!("end")], "{answer:?}");
    }
    let ping =
        json!({"vnet": "corp", "address": vnets::virtual_host(Side::B, 0), "count": 2, "interval_ms": 100});
    let rows = lines(&managed.ask("vera", "POST", "/v1/ping", Some(&ping)));
    assert!(rows[0]["value"]["round_trip_us"].is_u64(), "{rows:?}");
    wait_until("a sample of the tunnel", PATIENCE, || {
        let rows = managed.get("/v1/history/round-trips?peer=gw-b").json();
        // The first one may be of a time before the first ping.
        rows.as_array().unwrap().iter().any(|row| row["rtt_us"].is_u64()).then_some(())
    })
    .unwrap();
    let kinds = || managed.get("/v1/history/events").body;
    wait_until("events", PATIENCE, || kinds().contains("\"kind\"").then_some(())).unwrap();

    let page = managed.get("/metrics").body;
    let checked =
        managed.pair.lab.gwb().command("promtool").args(["check", "metrics"]).stdin(&page).run_unchecked();
    let checked = checked.unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}\n{page}");
    managed.finish();
}

/// Requests as the description of the API allows them, and as it does not, by a program that was made for it.
#[test]
fn the_api_is_the_one_that_it_describes() {
    let managed = Managed::start();
    let folder = managed.pair.lab.dir().subdir("schemathesis").unwrap();
    // From the network of this machine: the laboratory has none.
    let pip = |program: &std::path::Path, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    pip("python3".as_ref(), &["-m", "venv", "venv"]);
    pip(
        &folder.join("venv/bin/pip"),
        &["install", "--quiet", "--disable-pip-version-check", "schemathesis==4.32.5"],
    );
    fs::write(folder.join("openapi.json"), managed.get("/v1/openapi.json").body).unwrap();

    let [certificate, key] = managed.management.credentials("alice");
    // Lists that come row by row, and streams, last as long as they are asked to.
    let endless = "^/v1/(trace|capture|ping|events/stream)$";
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_headers_conformance,response_schema_conformance";
    let output = managed
        .pair
        .lab
        .gwb()
        .command(folder.join("venv/bin/st"))
        .args([
            "--no-color",
            "run",
            "openapi.json",
            "--url",
            &format!("https://{}", managed.management.listen()),
        ])
        .args(["--tls-verify", "false", "--exclude-path-regex", endless, "--checks", checks])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-shrink"])
        .args(["--request-timeout", "20", "--max-time", "60", "--warnings", "off"])
        .args(["--generation-database", "none", "--suppress-health-check", "all", "--request-cert"])
        .arg(certificate)
        .arg("--request-cert-key")
        .arg(key)
        .current_dir(&folder)
        .timeout(Duration::from_secs(120))
        .run_unchecked()
        .unwrap();
    assert!(output.status.success(), "{}\n{}", output.stdout, output.stderr);

    let pid = managed.management.pid().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 100 * 1024, "{kib} KiB resident");
    managed.finish();
}
