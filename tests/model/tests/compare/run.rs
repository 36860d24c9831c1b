//! Both go through the same, and are compared at every step.

use std::collections::BTreeSet;
use std::time::Duration;

use gridway_model::generate::{ConfigPlan, DATA_MTU, PEERS, Scenario, data_addresses};
use gridway_model::{Applied, Fate, Flow, Input, Journal, Model, Step};
use gridway_wire::generate::judge;

use crate::outcome::{self, Outcome};
use crate::real::Real;
use crate::seen::Seen;

/// Time between two packets: no answer is suppressed by the limit of errors a receiver gets.
const BETWEEN: Duration = Duration::from_millis(51);
/// Longer than any idle limit.
const SILENCE: Duration = Duration::from_secs(8_000);
/// Steps that are shown before one that differs.
const SHOWN: usize = 60;

/// The model and the forwarder.
pub(crate) struct Pair {
    model: Model,
    real: Real,
    /// Fragments that were held, and those of them that had another fate since.
    held: usize,
    settled: usize,
    log: Vec<String>,
}

impl Pair {
    pub(crate) fn new(config: &ConfigPlan) -> Self {
        let config = config.parse();
        let model = Model::new(&config, data_addresses(), DATA_MTU);
        Self { model, real: Real::new(&config), held: 0, settled: 0, log: Vec::new() }
    }

    /// All tunnels come up.
    pub(crate) fn bring_up(&mut self) -> Result<(), String> {
        for name in PEERS {
            self.step(&Input::Peer { name: name.to_owned(), up: true, mtu: DATA_MTU })?;
        }
        Ok(())
    }

    /// What happens, a moment after what happened before. Gives the step of a packet.
    pub(crate) fn apply(&mut self, input: &Input) -> Result<Option<Step>, String> {
        self.step(&Input::Advance(BETWEEN))?;
        self.step(input)
    }

    fn step(&mut self, input: &Input) -> Result<Option<Step>, String> {
        let outcome = self.real.apply(input);
        let mut oracle = Seen::new(&self.real, input, outcome.fate.as_ref());
        let applied = self.model.apply(input, &mut oracle);
        let applied = applied.map_err(|illegal| self.report(&illegal.to_string(), input, &outcome))?;
        if !matches!(input, Input::Advance(BETWEEN)) {
            self.log.push(format!("{}\n    > {}", outcome::show_input(input), outcome::show(&applied)));
        }
        let agrees = outcome.agrees_with(&applied).and_then(|()| self.is_sound(&outcome));
        agrees.map_err(|difference| self.report(&difference, input, &outcome))?;
        match applied {
            Applied::Step(step) => {
                self.held += usize::from(step.fate == Fate::Held);
                self.settled += outcome.released + outcome.dropped.len();
                Ok(Some(step))
            }
            Applied::Expired(reasons) => {
                self.settled += reasons.len();
                Ok(None)
            }
            Applied::Done => Ok(None),
        }
    }

    /// What holds whatever the packet was.
    fn is_sound(&self, outcome: &Outcome) -> Result<(), String> {
        for bytes in outcome.all_bytes() {
            judge(bytes).map_err(|fault| format!("{fault}: {bytes:02x?}"))?;
        }
        if self.real.answers_suppressed() > 0 {
            return Err("an answer was suppressed: packets come too fast to be compared".to_owned());
        }
        let (real, model) = (self.real.sizes(), self.sizes());
        if real == model {
            return Ok(());
        }
        Err(format!(
            "flows, mappings, datagrams: the model {model:?}, the forwarder {real:?}\n{:#?}\n{:#?}",
            self.model.flows(),
            self.real.flows()
        ))
    }

    fn sizes(&self) -> [usize; 3] {
        let flows = self.model.flows();
        let mapping = |flow: &Flow| {
            let mapping = flow.mapping?;
            Some((flow.vnet.clone(), mapping.protocol, mapping.host, mapping.host_port))
        };
        let mappings: BTreeSet<_> = flows.iter().filter_map(mapping).collect();
        [flows.len(), mappings.len(), self.model.datagrams()]
    }

    fn report(&self, difference: &str, input: &Input, outcome: &Outcome) -> String {
        let log = self.log[self.log.len().saturating_sub(SHOWN)..].join("\n");
        format!("{difference}\nat {}\nthe forwarder: {outcome:?}\nlog:\n{log}", outcome::show_input(input))
    }

    /// Nothing happens any more: all is forgotten, and every fragment that waited had one fate.
    pub(crate) fn fall_silent(&mut self) -> Result<(), String> {
        self.step(&Input::Advance(SILENCE))?;
        if self.real.sizes() != [0; 3] {
            return Err(format!(
                "left after a long silence: {:?}\n{:#?}",
                self.real.sizes(),
                self.real.flows()
            ));
        }
        if self.held != self.settled {
            return Err(format!("{} fragments waited, {} went on or were dropped", self.held, self.settled));
        }
        Ok(())
    }
}

/// A scenario to its end, and then nothing for a long time.
pub(crate) fn run(scenario: &Scenario) -> Result<(), String> {
    let (mut pair, mut journal) = (Pair::new(&scenario.configs[0]), Journal::new(scenario));
    for event in scenario.all_events() {
        for input in journal.resolve(&event) {
            if let Some(step) = pair.apply(&input)? {
                journal.record(&input, &step);
            }
        }
    }
    pair.fall_silent()
}
