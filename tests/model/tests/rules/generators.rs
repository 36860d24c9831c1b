use std::collections::{BTreeMap, BTreeSet};

use gridway_model::generate::{DATA_MTU, Scenario, config_plan, data_addresses, scenario};
use gridway_model::{Applied, Fate, Input, Journal, Model, ModelChooses, Observed, Origin, Step};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::support::check;

fn model(scenario: &Scenario) -> Model {
    Model::new(&scenario.config(0), data_addresses(), DATA_MTU)
}

/// Runs a scenario; gives every input with what it led to.
fn run(scenario: &Scenario) -> Vec<(Input, Applied)> {
    let (mut model, mut journal) = (model(scenario), Journal::new(scenario));
    let (mut log, mut reconfigured) = (Vec::new(), false);
    for event in scenario.all_events() {
        for input in journal.resolve(&event) {
            let applied = model.apply(&input, &mut ModelChooses).expect("its own choices are legal");
            if let Applied::Step(step) = &applied {
                journal.record(&input, step);
            }
            // Outdated mappings may give their places away.
            reconfigured |= matches!(input, Input::Config(_));
            if !reconfigured {
                no_two_hosts_share_a_place(&model);
            }
            log.push((input, applied));
        }
    }
    log
}

/// No two live mappings of different hosts have the same address, port and protocol.
fn no_two_hosts_share_a_place(model: &Model) {
    let mut places = BTreeMap::new();
    for (flow, mapping) in model.flows().iter().filter_map(|flow| Some((flow, flow.mapping?))) {
        let host = (flow.vnet.clone(), mapping.host, mapping.host_port);
        let place = (mapping.address, mapping.port, mapping.protocol);
        let other = places.insert(place, host.clone());
        assert!(other.is_none_or(|other| other == host), "{place:?} belongs to two hosts");
    }
}

fn steps(log: &[(Input, Applied)]) -> impl Iterator<Item = &Step> {
    log.iter().filter_map(|(_, applied)| match applied {
        Applied::Step(step) => Some(step),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_a_valid_configuration(plan in config_plan()) {
        prop_assert_eq!(plan.parse().vnets.len(), 2);
    }

    #[test]
    fn what_comes_out_has_right_checksums_and_fragments_balance(scenario in scenario(80)) {
        let log = run(&scenario);
        let (mut held, mut settled) = (0, 0);
        for (_, applied) in &log {
            match applied {
                Applied::Expired(dropped) => settled += dropped.len(),
                Applied::Step(step) => {
                    held += usize::from(step.fate == Fate::Held);
                    settled += step.dropped.len();
                }
                Applied::Done => {}
            }
        }
        prop_assert!(settled <= held);
        for step in steps(&log) {
            let emitted = step.emitted.iter().map(|emitted| emitted.bytes.as_slice());
            step.bytes().into_iter().chain(emitted).for_each(check);
        }
    }

    #[test]
    fn a_second_model_that_observes_the_first_agrees(scenario in scenario(60)) {
        let log = run(&scenario);
        let mut second = model(&scenario);
        for (input, first) in &log {
            let mut oracle = match first {
                Applied::Step(step) => Observed::of(step),
                _ => Observed::default(),
            };
            prop_assert_eq!(&second.apply(input, &mut oracle).unwrap(), first);
        }
    }
}

/// The strategies reach the corners: over many runs every fate and nearly every reason appears.
#[test]
fn scenarios_reach_the_corners() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..500 {
        let scenario = scenario(150).new_tree(&mut runner).unwrap().current();
        let log = run(&scenario);
        for step in steps(&log) {
            let name = match &step.fate {
                Fate::Dropped(reason) => (*reason).to_owned(),
                other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
            };
            *seen.entry(name).or_default() += 1;
            for emitted in &step.emitted {
                let name = match emitted.origin {
                    Origin::Error { .. } => "an error",
                    Origin::Reset => "a reset",
                    Origin::Forwarded => "a further packet",
                    Origin::Echo => "an echo",
                };
                *seen.entry(name.to_owned()).or_default() += 1;
            }
        }
        for (_, applied) in &log {
            if let Applied::Expired(dropped) = applied {
                dropped.iter().for_each(|reason| *seen.entry((*reason).to_owned()).or_default() += 1);
            }
        }
    }
    let wanted = [
        "Tunnelled",
        "Delivered",
        "Relayed",
        "Answered",
        "Held",
        "an error",
        "a reset",
        "a further packet",
        "no_vnet",
        "no_inside_nat",
        "pat_no_mapping",
        "pat_exhausted",
        "acl_deny",
        "acl_reject",
        "acl_no_match",
        "no_route",
        "peer_down",
        "source_check",
        "transit_refused",
        "ttl_exceeded",
        "too_big",
        "no_flow",
        "icmp_unsupported",
        "icmp_no_flow",
        "to_own_address",
        "fragment_expired",
    ];
    let missing: BTreeSet<_> = wanted.iter().filter(|name| !seen.contains_key(**name)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}; seen: {seen:?}");
}
