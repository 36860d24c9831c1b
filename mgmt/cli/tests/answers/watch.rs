//! `--watch`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use gridway_control::{Counters, Failure, FailureKind, InboundCounters, OutboundCounters, Reply, Request};

use crate::fake::FakeNode;
use crate::packets::interrupt;

/// Received packets grow by a million at each look.
fn counting() -> FakeNode {
    let looks = AtomicU64::new(0);
    FakeNode::new(move |_| {
        let rx_packets = looks.fetch_add(1_000_000, Ordering::Relaxed);
        let outbound = OutboundCounters { rx_packets, ..OutboundCounters::default() };
        let counters = Counters::from_directions(outbound, InboundCounters::default());
        vec![Reply::Counters(Box::new(counters))]
    })
}

#[test]
fn watching_repeats_with_rates_until_it_is_interrupted() {
    let node = counting();
    let mut child = node.command("counters --watch 1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut received = lines.filter(|line| line.starts_with("received ") && !line.contains("bytes"));
    let first: Vec<String> = received.next().unwrap().split_whitespace().map(Into::into).collect();
    assert_eq!(first[1..3], ["0", "-"]);
    let second: Vec<String> = received.next().unwrap().split_whitespace().map(Into::into).collect();
    assert_eq!(second[1], "1000000");
    let rate: u64 = second[2].parse().unwrap();
    assert!((100_000..=1_000_000).contains(&rate), "{rate}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn watching_prints_one_json_document_after_another() {
    let node = counting();
    let mut child = node.command("counters --json --watch 1").stdout(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let documents = serde_json::Deserializer::from_reader(out).into_iter::<serde_json::Value>();
    let seen: Vec<u64> =
        documents.take(2).map(|document| document.unwrap()["rx_packets"].as_u64().unwrap()).collect();
    assert_eq!(seen, [0, 1_000_000]);
    interrupt(&child);
    child.wait().unwrap();
}

#[test]
fn a_node_that_refuses_is_not_asked_again() {
    let node = FakeNode::new(|_| vec![Reply::Error(Failure::new(FailureKind::Busy, "too many clients"))]);
    assert_eq!(node.run("peers --watch").status.code(), Some(1));
    assert_eq!(node.requests(), [Request::Peers]);
    for wrong in [
        "peers --watch 0",
        "peers --watch soon",
        "flows kill --all --watch",
        "events --follow --watch",
        "config confirm --watch",
    ] {
        assert_eq!(node.run(wrong).status.code(), Some(2), "{wrong}");
    }
}
