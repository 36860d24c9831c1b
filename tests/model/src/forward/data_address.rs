//! What the node does with a packet that would go to its own address on the data link: it answers echo, as a local
//! host would, and tells the sender of anything else that there is no such host.

use super::{Stop, Way, forwarded};
use crate::model::Model;
use crate::oracle::{IllegalChoice, Oracle};
use crate::packet::Packet;
use crate::reason::TO_OWN_ADDRESS;
use crate::step::{Emitted, Fate, Step, To};

impl Model {
    pub(super) fn is_for_data_address(&self, way: &Way) -> bool {
        matches!(way, Way::Deliver(destination) if self.data_addresses.contains(destination))
    }

    /// The fate of a packet that was translated for the data link.
    pub(super) fn at_data_address(
        &mut self,
        step: &mut Step,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<(), IllegalChoice> {
        let Some(reply) = packet.echo_reply() else {
            step.fate = Fate::Dropped(TO_OWN_ADDRESS);
            step.emitted.extend(self.undeliverable(packet));
            return Ok(());
        };
        step.fate = match self.pass_outbound(&reply, oracle) {
            Ok(sent) => match sent.way {
                Way::Tunnel { peer, vnet } => {
                    let way = Way::Tunnel { peer: peer.clone(), vnet: vnet.clone() };
                    let further = sent.pieces.iter().skip(1).map(Packet::to_bytes);
                    step.emitted.extend(further.map(|bytes| forwarded(&way, bytes)));
                    Fate::Answered { to: To::Peer { peer, vnet }, bytes: sent.pieces[0].to_bytes() }
                }
                other => unreachable!("a reply goes to the overlay, not {other:?}"),
            },
            Err(Stop::Refused(refusal)) => Fate::Dropped(refusal.reason),
            Err(Stop::Silent(reason)) => Fate::Dropped(reason),
            Err(Stop::Illegal(illegal)) => return Err(illegal),
            Err(Stop::Held) => unreachable!("a reply is whole"),
        };
        Ok(())
    }

    /// Tells the remote sender of a packet of a flow that its local host cannot be reached. The error quotes the
    /// packet with its virtual addresses, as it was forwarded.
    pub(super) fn undeliverable(&self, packet: &Packet) -> Option<Emitted> {
        let flow = self.flow_from_local(&packet.tuple().reversed())?;
        let original = packet.translated(&flow.overlay);
        self.host_unreachable(flow.peers[0].as_deref()?, &flow.vnet, &original)
    }
}
