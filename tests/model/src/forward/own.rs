//! Packets for the node itself.

use gridway_config::Vnet;

use super::{Refusal, Sent, Stop, Way};
use crate::model::Model;
use crate::packet::build::{TTL, with_checksum};
use crate::packet::{Carries, Packet};
use crate::policy::judge;
use crate::reason::TO_OWN_ADDRESS;
use crate::step::To;

const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

impl Model {
    /// A packet from the overlay to the node's address in the vnet: echo is answered where the access
    /// policy allows it, nothing else is.
    pub(super) fn at_own_address(&self, peer: &str, vnet: &Vnet, packet: &Packet) -> Result<Sent, Stop> {
        let name = vnet.name.as_str();
        let answer = self.answer_echo(peer, name, packet).ok_or(Refusal::of(name, TO_OWN_ADDRESS))?;
        judge(vnet, &packet.tuple()).map_err(|reason| Refusal::of(name, reason))?;
        Ok(answer)
    }

    /// The reply if the packet is a whole echo request.
    pub(super) fn answer_echo(&self, peer: &str, vnet: &str, packet: &Packet) -> Option<Sent> {
        let reply = match (packet.source.is_ipv4(), *packet.payload.first()?) {
            (true, ECHO) => ECHO_REPLY,
            (false, ECHO_V6) => ECHO_REPLY_V6,
            _ => return None,
        };
        if packet.carries() != Carries::Query || !packet.is_whole() {
            return None;
        }
        let mut answer =
            Packet { source: packet.destination, destination: packet.source, ttl: TTL, ..packet.clone() };
        answer.payload[0] = reply;
        let to = To::Peer { peer: peer.to_owned(), vnet: vnet.to_owned() };
        Some(Sent { way: Way::Answer(to), pieces: vec![with_checksum(answer)], flow: None })
    }
}
