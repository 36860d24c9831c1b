//! The generator and its sink, over a cable between two interfaces of one namespace.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use gridway_lab::{End, Lab, LinkSpec, Namespace, connect};
use serde_json::Value;

/// A cable with an MTU; the namespace is h1's.
fn cable(mtu: u32) -> Lab {
    let lab = Lab::new().unwrap();
    let end = |interface| End { namespace: lab.h1(), interface };
    connect(end("out"), end("in"), LinkSpec { mtu, ..LinkSpec::default() }).unwrap();
    lab
}

fn mac(namespace: &Namespace, interface: &str) -> String {
    let shown = namespace.ip(&format!("-json link show {interface}")).unwrap().stdout;
    let links: Value = serde_json::from_str(&shown).unwrap();
    links[0]["address"].as_str().unwrap().to_owned()
}

/// Trials that `gridway-bench wire` made, with these arguments besides interfaces and addresses.
fn wire(lab: &Lab, arguments: &str) -> Vec<Value> {
    let ends = format!(
        "wire --from out --to in --next-hop {} --source 192.0.2.1 --destination 192.0.2.2 --json {arguments}",
        mac(lab.h1(), "in")
    );
    let output = lab.h1().run(env!("CARGO_BIN_EXE_gridway-bench"), ends.split_whitespace()).unwrap();
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(trial: &Value, field: &str) -> f64 {
    trial[field].as_f64().unwrap_or_else(|| panic!("{field} of {trial}"))
}

#[test]
fn every_packet_of_a_moderate_rate_arrives_once_and_in_order() {
    let lab = cable(1500);
    for size in ["64", "1518", "imix"] {
        let trials = wire(&lab, &format!("--size {size} --flows 1000 run --rate 5000 --time 2"));
        assert_eq!(trials.len(), 2);
        for trial in trials {
            assert!((4900.0..5100.0).contains(&number(&trial, "sent")), "{trial}");
            for nothing in ["lost", "duplicates", "reordered", "overrun"] {
                assert_eq!(trial[nothing], 0, "{nothing} of {size}: {trial}");
            }
            let latencies: Vec<f64> =
                trial["latency_us"].as_array().unwrap().iter().map(|us| us.as_f64().unwrap()).collect();
            assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{trial}");
        }
    }
}

/// The link drops what is longer than its MTU.
#[test]
fn what_is_lost_is_counted() {
    let lab = cable(1000);
    let trial = wire(&lab, "--size imix run --rate 4800 --time 1").remove(0);
    // 4 of 48 have 1518 bytes.
    assert!((number(&trial, "loss") - 4.0 / 48.0).abs() < 0.001, "{trial}");
    let none = wire(&lab, "--size 1518 run --rate 1000 --time 1").remove(0);
    assert_eq!((&none["lost"], number(&none, "delivered")), (&none["sent"], 0.0));
}

#[test]
fn a_search_ends_at_what_the_generator_sends() {
    let lab = cable(1500);
    let trials = wire(&lab, "search --loss 0 --most 2000 --time 1");
    assert!(!trials.is_empty() && trials.len() < 10, "{trials:?}");
    assert!(trials.iter().any(|trial| trial["lost"] == 0 && number(trial, "offered") > 1900.0), "{trials:?}");
}

#[test]
fn both_ends_send_and_each_direction_is_counted() {
    let lab = cable(1500);
    let back = format!(
        "--back-source 192.0.2.2 --back-destination 192.0.2.1 --back-next-hop {} run --rate 10000 --time 1",
        mac(lab.h1(), "out")
    );
    let trial = wire(&lab, &back).remove(0);
    let directions = trial["directions"].as_array().unwrap();
    assert_eq!(directions.len(), 2, "{trial}");
    for direction in directions {
        assert!((4900.0..5100.0).contains(&number(direction, "sent")), "{direction}");
        assert_eq!(direction["lost"], 0, "{direction}");
    }
    assert_eq!(number(&trial, "sent"), directions.iter().map(|way| number(way, "sent")).sum::<f64>());
}

#[test]
fn new_flows_are_used_up_and_more_than_there_are_is_refused() {
    let lab = cable(1500);
    let trials = wire(
        &lab,
        "--destination-ports 7000-7001 --source-ports 1000-1249 --new-flows run --rate 2000 --time 1",
    );
    assert_eq!(trials[0]["lost"], 0, "{trials:?}");
    let refused = lab.h1().command(env!("CARGO_BIN_EXE_gridway-bench")).args(
        "wire --from out --to in --next-hop 02:00:00:00:00:01 --source 192.0.2.1 --destination 192.0.2.2 \
         --source-ports 1-10 --destination-ports 9 --flows 11 run"
            .split_whitespace(),
    );
    let refused = refused.run_unchecked().unwrap();
    assert!(!refused.status.success() && refused.stderr.contains("combine in 10 ways only"), "{refused:?}");
}
