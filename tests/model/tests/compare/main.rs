//! The real forwarder beside the reference model: whatever happens to a node, both say the same, to the byte.
//!
//! ```text
//!  generate::scenario > Journal > Input ──┬──> Real (Forwarder, and what a worker does around it) ──> Outcome
//!                                         └──> Model <── Seen: what the rules leave open, as Real chose ──┘
//! ```

mod outcome;
mod real;
mod run;
mod seen;

use gridway_model::generate::{ConfigPlan, scenario};
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
