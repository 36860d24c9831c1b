//! What the forwarder sends besides the packets it was given: errors, resets, probes, fragments.

use gridway_forwarding::{Counters, DropReason, Emission, Origin, Target, Tunnel};
use gridway_tunnel::Source;
use gridway_wire::mac::MacAddr;
use gridway_wire::time::Nanos;

use super::{DataRole, throttle};
use crate::worker::lanes::{Outbox, Packet};

impl DataRole {
    /// Sends what the forwarder made besides the packets it was given. Packets for local hosts go to `sender`
    /// where they answer its packet: its address need not be resolved.
    pub(super) fn send_emissions(&mut self, sender: Option<MacAddr>, now: Nanos, outbox: &mut Outbox) {
        while let Some(emission) = self.forwarder.emissions.pop() {
            self.eye.show_emission(&emission, now);
            let Emission { to, origin, mut bytes } = emission;
            let sent = match (to, sender) {
                (Target::Tunnel(to), _) => self.emit_to_peer(to, origin, &mut bytes, now, outbox),
                (Target::Local(_), Some(mac)) => {
                    self.send_by_ring(mac, &bytes).inspect(|()| self.counters.inbound.originated.add(1))
                }
                (Target::Local(destination), None) => {
                    self.deliver(destination, &mut bytes, origin.is_own(), now, outbox)
                }
            };
            let Counters { outbound, inbound, .. } = &*self.counters;
            match (sent, origin, to) {
                (Ok(()), _, _) => {}
                (Err(_), Origin::Own | Origin::Piece, Target::Tunnel(_)) => outbound.unsent.add(1),
                (Err(_), Origin::Own | Origin::Piece, Target::Local(_)) => inbound.unsent.add(1),
                (Err(reason), Origin::Outbound, _) => outbound.drop(reason, 1),
                (Err(reason), Origin::Inbound, _) => inbound.drop(reason, 1),
            }
            self.forwarder.emissions.give_back(bytes);
        }
    }

    pub(super) fn emit_to_peer(
        &mut self,
        to: Tunnel,
        origin: Origin,
        bytes: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let (source, books) = match origin {
            Origin::Own | Origin::Piece => (Source::Own, &self.counters.outbound.originated),
            Origin::Outbound => (Source::Local, &self.counters.outbound.queued),
            Origin::Inbound => (Source::Relayed, &self.counters.inbound.queued),
        };
        let received = match origin {
            Origin::Own => None,
            Origin::Piece | Origin::Outbound => Some(&self.counters.outbound),
            Origin::Inbound => Some(&self.counters.inbound),
        };
        if let Some(received) = received {
            throttle(&self.node.egress, &mut self.throttled[0], bytes, received, now)?;
        }
        let packet = Packet { vnet: to.vnet, bytes, source };
        let at = (self.forwarder.epoch(), now);
        self.lanes.push(to.peer, to.spread, packet, at, &self.counters, outbox)?;
        books.add(1);
        Ok(())
    }

    /// Sends an operator's next echo request.
    pub(crate) fn ping(
        &mut self,
        identifier: u16,
        sequence: u16,
        to: Tunnel,
        now: Nanos,
        outbox: &mut Outbox,
    ) {
        self.forwarder.send_ping(identifier, sequence, to, now);
        self.send_emissions(None, now, outbox);
    }

    /// Sends the probes of route monitors that are due.
    pub(crate) fn handle_monitors(&mut self, now: Nanos, outbox: &mut Outbox) {
        self.forwarder.handle_monitors(now);
        self.send_emissions(None, now, outbox);
    }
}
