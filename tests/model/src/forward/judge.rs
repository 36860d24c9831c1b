//! Whether a flow may begin, and whether one that exists may go on.

use gridway_config::{Config, Vnet};

use super::Refusal;
use crate::flow::{Flow, Side, TcpState};
use crate::model::Model;
use crate::packet::{Carries, Packet, SYN};
use crate::policy::judge_begin;
use crate::reason::{NO_FLOW, Reason};
use crate::tuple::TCP;

impl Model {
    /// Judges a flow of the table again, as if it began now. `None`: its translation is not that of
    /// today, so it is forgotten and begins anew.
    ///
    /// Nothing tells whether the configuration has changed since: where it has not, the verdict is what
    /// it was. TCP may have been taken up in mid-stream, which the flow does not tell.
    pub(super) fn judge_again(&mut self, flow: &Flow) -> Result<Option<Flow>, Refusal> {
        if !self.translation_stands(flow) {
            self.remove(flow.id);
            return Ok(None);
        }
        let vnet = self.config.vnet(&flow.vnet).expect("the translation of a flow stands only in its vnet");
        let midstream = self.config.flows.midstream && flow.overlay.protocol == TCP;
        match judge_begin(vnet, &flow.begun(), midstream) {
            Ok(()) => Ok(Some(flow.clone())),
            Err(reason) => {
                self.remove(flow.id);
                Err(Refusal::of(reason))
            }
        }
    }

    /// On a flow that was there, a SYN is a new connection's unless it repeats the one that began the flow, and an
    /// ICMP query of the side that answers is a new exchange: the side that begins is judged. A refused one leaves
    /// the flow as it was. Where no beginning was seen, or an end, the flow is the new connection's.
    pub(super) fn restart(
        &mut self,
        id: u64,
        side: Side,
        vnet: &Vnet,
        packet: &Packet,
    ) -> Result<(), Refusal> {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.id == id) else { return Ok(()) };
        let closing = flow.tcp_state() == TcpState::Closing;
        let renewed = match packet.carries() {
            Carries::Tcp(_) if packet.begins_connection() => {
                if !closing && flow.begun_by == side && flow.flags[side as usize] & SYN != 0 {
                    return Ok(());
                }
                closing || (flow.flags[0] | flow.flags[1]) & SYN == 0
            }
            Carries::Query if flow.begun_by != side => false,
            _ => return Ok(()),
        };
        let begun = match side {
            Side::Local => flow.overlay.reversed(),
            Side::Overlay => flow.overlay,
        };
        judge_begin(vnet, &begun, false).map_err(Refusal::of)?;
        if renewed {
            flow.begun_by = side;
            flow.flags = [0, 0];
        }
        Ok(())
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
