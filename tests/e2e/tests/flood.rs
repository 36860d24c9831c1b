//! More flows than there is room for.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::{Duration, Instant};

use gridway_e2e::{Layout, Pair};
use gridway_lab::gateway::{Gateway, check_mirror, vnets};
use gridway_lab::tools::SynFlood;
use gridway_lab::{Iperf3, Iperf3Server, Lab, LabBuilder, Side};

const FLOWS: u64 = 4096;
/// Most that a node's memory may grow by: far less than a flow for every SYN would take.
const GROWTH_KIB: u64 = 32 << 10;

/// Side A may have any address: so that every source of the flood begins a flow at both nodes.
fn fragment(side: Side) -> String {
    let (inside, outside, peer) = match side {
        Side::A => ("0.0.0.0/0", "10.2.0.0/24", "gw-b"),
        Side::B => ("10.2.0.0/24", "0.0.0.0/0", "gw-a"),
    };
    format!(
        r#"
[limits]
flows = {FLOWS}

[[vnet]]
name = "open"
cidr = "0.0.0.0/0"

  [[vnet.inside_nat]]
  local = "{inside}"
  virtual = "{inside}"

  [[vnet.outside_nat]]
  local = "{outside}"
  virtual = "{outside}"

  [[vnet.route]]
  to = "{outside}"
  via = "{peer}"
{}"#,
        vnets::ALLOW_ALL
    )
}

fn memory_kib(node: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_syn_flood_leaves_established_connections_alone() {
    let builder: LabBuilder = Lab::builder().hosts(Side::A, 2);
    let pair = Pair::built(builder, Layout::Combined, fragment);
    let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
    let load = Iperf3::tcp(Side::B.host(0)).duration(Duration::from_secs(8));
    let mut running = load.start(pair.lab.h1()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let before = [&pair.a, &pair.b].map(memory_kib);

    let stays_bounded = |time: Duration| {
        let start = Instant::now();
        while start.elapsed() < time {
            for (node, before) in [&pair.a, &pair.b].into_iter().zip(before) {
                let status = node.status().unwrap();
                assert!(status.flows <= status.flows_limit && status.flows_limit == FLOWS, "{status:?}");
                let grown = memory_kib(node).saturating_sub(before);
                assert!(grown <= GROWTH_KIB, "{} has grown by {grown} KiB", node.config().name());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    };
    let (attacker, target) = (pair.lab.host(Side::A, 1), Side::B.host(0));
    // More new flows than the table holds, and no more packets than the node can take.
    let flood = SynFlood::with_pause(attacker, target, 81, Duration::from_micros(100)).unwrap();
    stays_bounded(Duration::from_secs(6));
    let mut sent = flood.stop().unwrap();
    let report = load.finish(pair.lab.h1(), &mut running).unwrap();
    let seconds: Vec<f64> = report.json["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|interval| interval["sum"]["bits_per_second"].as_f64().unwrap())
        .collect();
    assert!(seconds.len() >= 7 && seconds.iter().all(|rate| *rate > 0.0), "{seconds:?}");
    // The connections of iperf3 are still the flows that they were.
    let flows = pair.a.cli(&["flows", "--dport", "5201"]).unwrap();
    let ages: Vec<u64> = flows.as_array().unwrap().iter().map(|row| row["age_s"].as_u64().unwrap()).collect();
    assert!(ages.len() == 2 && ages.iter().all(|age| *age >= 7), "{flows}");
    // More packets than it can take: what is lost before it looks at them is anybody's.
    let flood = SynFlood::start(attacker, target, 81).unwrap();
    stays_bounded(Duration::from_secs(2));
    sent += flood.stop().unwrap();
    assert!(sent > 10 * FLOWS, "only {sent} SYNs were sent");

    let counters = pair.a.counters().unwrap();
    assert!(counters.flows_evicted > FLOWS, "{}", pair.evidence());
    let limits = pair.a.limits().unwrap();
    let flows = limits.iter().find(|row| row.name == "flows").unwrap();
    let full = counters.drops["flow_table_full"];
    assert_eq!((flows.refused, flows.limit), (counters.flows_evicted + full, FLOWS), "{flows:?}");
    check_mirror(&pair.a, &pair.b, Duration::from_secs(20)).unwrap();
    pair.finish();
}
