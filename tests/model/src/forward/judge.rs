//! Whether a flow may begin, and whether one that exists may go on.

use gridway_config::Config;

use super::Refusal;
use crate::flow::Flow;
use crate::model::Model;
use crate::packet::{Carries, Packet};
use crate::policy::judge_begin;
use crate::reason::{NO_FLOW, Reason};

impl Model {
    /// Judges a flow of the table again, as if it began now. `None`: its translation is not that of
    /// today, so it is forgotten and begins anew.
    ///
    /// Nothing tells whether the configuration has changed since: where it has not, the verdict is what
    /// it was.
    pub(super) fn judge_again(&mut self, flow: &Flow) -> Result<Option<Flow>, Refusal> {
        if !self.translation_stands(flow) {
            self.remove(flow.id);
            return Ok(None);
        }
        let vnet = self.config.vnet(&flow.vnet).expect("the translation of a flow stands only in its vnet");
        match judge_begin(vnet, &flow.begun(), flow.midstream) {
            Ok(()) => Ok(Some(flow.clone())),
            Err(reason) => {
                self.remove(flow.id);
                Err(Refusal::of(&flow.vnet, reason))
            }
        }
    }
}

/// Whether a packet without a flow may begin one; whether it takes up TCP in mid-stream.
pub(super) fn may_begin(config: &Config, packet: &Packet) -> Result<bool, Reason> {
    match packet.carries() {
        Carries::Tcp(_) if packet.begins_connection() => Ok(false),
        Carries::Tcp(_) if config.flows.midstream => Ok(true),
        Carries::Tcp(_) | Carries::Reply => Err(NO_FLOW),
        _ => Ok(false),
    }
}
