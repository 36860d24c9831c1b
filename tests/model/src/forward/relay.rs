//! From one peer on to another.

use std::sync::Arc;

use super::{Hop, Sent, Stop, Way, fit};
use crate::flow::{Flow, Side};
use crate::model::Model;
use crate::oracle::Oracle;
use crate::packet::Packet;

impl Model {
    /// Sends a packet of a relayed flow on: no NAT, TTL less one, never back to the sending peer.
    pub(super) fn relay(
        &mut self,
        mut flow: Flow,
        sender: &str,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).expect("the flow was judged in its vnet");
        let onwards = (packet.source, packet.destination) == (flow.overlay.source, flow.overlay.destination);
        let (side, tuple) = if onwards { (Side::Overlay, flow.overlay) } else { (Side::Local, flow.local) };
        let current = flow.peers[side as usize].as_deref();
        let peer = self.choose_peer(vnet, &tuple, current, Some(sender), oracle)?;
        let mtu = self.path_mtu(vnet, &peer);
        let further = Hop::ToCount.count(&flow.vnet, packet)?.clamped(mtu);
        let pieces = fit(&flow.vnet, &further, mtu)?;
        let way = Way::Relay { peer: peer.clone(), vnet: flow.vnet.clone() };
        flow.peers[side as usize] = Some(peer);
        flow.saw(side, packet, self.now);
        let flow = Some(self.commit(flow));
        Ok(Sent { way, pieces, flow })
    }
}
