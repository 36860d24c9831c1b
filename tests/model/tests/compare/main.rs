//! The real forwarder beside the reference model: whatever happens to a node, both say the same, to the byte.
//!
//! ```text
//!  generate::scenario > Journal > Input ──┬──> Real (Forwarder, and what a worker does around it) ──> Outcome
//!                                         └──> Model <── Seen: what the rules leave open, as Real chose ──┘
//! ```

mod outcome;
mod real;
mod round_trip;
mod run;
mod seen;

use std::cell::Cell;

use gridway_model::generate::{ConfigPlan, config_plan, packet_plan, scenario};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// A runner of so many cases. `PROPTEST_CASES` makes a campaign of as many random ones.
fn runner(usual_cases: u32) -> TestRunner {
    let campaign = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: campaign.unwrap_or(usual_cases),
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    match campaign {
        Some(_) => TestRunner::new(config),
        // Every run of the usual number is the same: what it finds is the doing of a change.
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

fn check(usual_cases: u32, length: usize) {
    let outcome = runner(usual_cases).run(&scenario(length), |scenario| {
        run::run(&scenario).map_err(|difference| {
            let configs: Vec<_> = scenario.configs.iter().map(ConfigPlan::text).collect();
            TestCaseError::fail(format!("{difference}\nconfigurations:\n{}", configs.join("\n---\n")))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn short_runs_agree() {
    check(4000, 30);
}

#[test]
fn long_runs_agree() {
    check(800, 150);
}

#[test]
fn translation_there_and_back_is_identity() {
    let (cases, round_trips) = (400, Cell::new(0));
    let outcome = runner(cases).run(&(config_plan(), vec(packet_plan(), 1..20)), |(config, plans)| {
        let passed = round_trip::there_and_back(&config, &plans);
        let passed = passed.map_err(|fault| TestCaseError::fail(format!("{fault}\n{}", config.text())))?;
        round_trips.set(round_trips.get() + passed);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(round_trips.get() > 2 * cases as usize, "only {} packets came back", round_trips.get());
}
