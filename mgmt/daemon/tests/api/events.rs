//! Events: asked for, followed, kept.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gridway_control::Severity;

use crate::support::{Daemon, wait};

/// A stock client that follows the stream. Ends with it.
struct Follower {
    curl: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Follower {
    fn begin(daemon: &Daemon, seen: Option<&str>) -> Self {
        let mut curl = daemon.curl("vera");
        curl.args(["--no-buffer", "--include", "--max-time", "60"]).arg(daemon.url("/v1/events/stream"));
        if let Some(seen) = seen {
            curl.args(["--header", &format!("last-event-id: {seen}")]);
        }
        let mut curl = curl.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
        // The head stands there before anything happens.
        let head: Vec<String> =
            lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        assert!(head.iter().any(|line| line.contains("text/event-stream")), "{head:?}");
        Self { curl, lines }
    }

    /// The id of the next event, and its kind.
    fn next(&mut self) -> (String, String) {
        let (mut id, mut kind) = (None, None);
        for line in self.lines.by_ref().map(Result::unwrap) {
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("event: ") {
                kind = Some(text.to_owned());
            } else if line.is_empty() && id.is_some() {
                break;
            }
        }
        (id.unwrap(), kind.unwrap())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        drop(self.curl.kill());
        self.curl.wait().unwrap();
    }
}

fn kept(daemon: &Daemon, query: &str) -> Vec<String> {
    let rows = daemon.get("vera", &format!("/v1/history/events{query}")).json();
    rows.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn events_are_asked_for_and_waited_for() {
    let daemon = Daemon::start("");
    daemon.node.event(Severity::Info, "tunnel_up");
    let events = daemon.get("vera", "/v1/events").json();
    assert_eq!((&events["rows"][0]["kind"], &events["last"]), (&"tunnel_up".into(), &1.into()));
    let begin = Instant::now();
    assert_eq!(
        daemon.get("vera", "/v1/events?after=1&wait_ms=700").json()["rows"].as_array().unwrap().len(),
        0
    );
    assert!(begin.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_follower_is_told_at_once_and_goes_on_where_it_was() {
    let daemon = Daemon::start("");
    let mut follower = Follower::begin(&daemon, None);
    daemon.node.event(Severity::Info, "first");
    let (id, kind) = follower.next();
    assert_eq!((id.as_str(), kind.as_str()), ("one:1", "first"));
    daemon.node.event(Severity::Error, "second");
    assert_eq!(follower.next().1, "second");
    drop(follower);
    daemon.node.event(Severity::Info, "third");
    let mut follower = Follower::begin(&daemon, Some(&id));
    assert_eq!(follower.next(), ("one:2".to_owned(), "second".to_owned()));
    assert_eq!(follower.next().1, "third");
}

#[test]
fn events_are_kept_and_none_twice_whoever_restarts() {
    let mut daemon = Daemon::start("");
    daemon.node.event(Severity::Info, "first");
    wait("the event", || (kept(&daemon, "") == ["first"]).then_some(()));
    daemon.stop();
    daemon.node.event(Severity::Info, "second");
    daemon.run();
    wait("the event", || (kept(&daemon, "") == ["second", "first"]).then_some(()));
    // Another process begins to count anew.
    daemon.node.go();
    daemon.node.come_back();
    daemon.node.event(Severity::Info, "after");
    wait("the event", || {
        let mut kinds = kept(&daemon, "");
        kinds.sort();
        (kinds == ["after", "first", "second"]).then_some(())
    });
    assert_eq!(kept(&daemon, "?limit=1").len(), 1);
    assert!(kept(&daemon, "?until=1").is_empty());
}

#[test]
fn a_node_that_is_away_for_long_is_an_event_itself() {
    let mut daemon = Daemon::start("");
    let mut follower = Follower::begin(&daemon, None);
    daemon.node.go();
    assert_eq!(follower.next().1, "node_unreachable");
    daemon.node.come_back();
    assert_eq!(follower.next().1, "node_reachable");
    assert_eq!(kept(&daemon, ""), ["node_reachable", "node_unreachable"]);
}

#[test]
fn followers_do_not_hold_up_the_end() {
    let mut daemon = Daemon::start("");
    let mut follower = Follower::begin(&daemon, None);
    let begin = Instant::now();
    daemon.stop();
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(follower.curl.wait().unwrap().success());
}
