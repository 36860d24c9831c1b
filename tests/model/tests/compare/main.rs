//! The real forwarder beside the reference model: whatever happens to a node, both say the same, to the byte.
//!
//! ```text
//!  generate::scenario > Journal > Input ──┬──> Real (Forwarder, and what a worker does around it) ──> Outcome
//!                                         └──> Model <── Seen: what the rules leave open, as Real chose ──┘
//! ```

mod outcome;
mod real;
mod seen;

use std::time::Duration;

use gridway_model::generate::{DATA_MTU, Event, Scenario, data_addresses, scenario};
use gridway_model::{Applied, Input, Journal, Model};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

use real::Real;

/// Time between two packets: no answer is suppressed by the limit of errors a receiver gets.
const BETWEEN: Duration = Duration::from_millis(51);

/// What the comparison leaves out of the generators' events.
fn is_compared(event: &Event) -> bool {
    // Monitors judge by probes of their own, which the model does not have.
    !matches!(event, Event::Monitor { .. })
}

/// A tunnel that is down carries nothing.
fn can_arrive(input: &Input, real: &Real) -> bool {
    !matches!(input, Input::Inbound { peer, .. } if !real.is_up(peer))
}

fn compare(scenario: &Scenario) -> Result<(), TestCaseError> {
    let first = scenario.config(0);
    let mut model = Model::new(&first, data_addresses(), DATA_MTU);
    let (mut real, mut journal) = (Real::new(&first), Journal::new(scenario));
    let mut log = Vec::new();
    for event in scenario.all_events().filter(is_compared) {
        for input in journal.resolve(&event) {
            if !can_arrive(&input, &real) {
                continue;
            }
            let pause = Input::Advance(BETWEEN);
            for input in [pause, input] {
                let outcome = real.apply(&input);
                let mut oracle = seen::Seen::new(&real, &input);
                let applied = model.apply(&input, &mut oracle).map_err(|illegal| {
                    TestCaseError::fail(format!("{illegal}\nat {input:?}\n{}", log.join("\n")))
                })?;
                let agrees = outcome.agrees_with(&applied);
                log.push(format!("{}\n    > {}", outcome::show_input(&input), outcome::show(&applied)));
                if let Err(difference) = agrees {
                    let configs = scenario.configs.first().map(gridway_model::generate::ConfigPlan::text);
                    let log = log.split_off(log.len().saturating_sub(60));
                    return Err(TestCaseError::fail(format!(
                        "{difference}\nthe forwarder: {outcome:?}\nlog:\n{}\n{}",
                        log.join("\n"),
                        configs.unwrap_or_default(),
                    )));
                }
                if let Applied::Step(step) = &applied {
                    journal.record(&input, step);
                }
            }
        }
    }
    Ok(())
}

fn check(cases: u32, length: usize) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_time: 4000,
        max_shrink_iters: 4096,
        ..ProptestConfig::default()
    };
    let mut runner = match std::env::var_os("PROPTEST_CASES") {
        // A campaign looks for what is not known yet.
        Some(_) => TestRunner::new(config),
        // Every run of the usual number is the same: what it finds is the doing of a change.
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    if let Err(error) = runner.run(&scenario(length), |scenario| compare(&scenario)) {
        panic!("{error}");
    }
}

#[test]
fn short_runs_agree() {
    check(cases(6000), 30);
}

#[test]
fn long_runs_agree() {
    check(cases(1000), 150);
}

/// `PROPTEST_CASES` makes a campaign of as many random cases.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
