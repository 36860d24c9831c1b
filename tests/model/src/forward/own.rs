//! Packets for the node itself, at its address in a vnet.

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
    /// A packet from the overlay: echo is answered where the access policy allows it, nothing else is.
    pub(super) fn at_own_address(&self, peer: &str, vnet: &Vnet, packet: &Packet) -> Result<Sent, Stop> {
        let refuse = Refusal::of;
        if packet.carries() != Carries::Query {
            return Err(refuse(TO_OWN_ADDRESS).into());
        }
        judge(vnet, &packet.tuple()).map_err(refuse)?;
        let reply = packet.echo_reply().ok_or(refuse(TO_OWN_ADDRESS))?;
        let to = To::Peer { peer: peer.to_owned(), vnet: vnet.name.as_str().to_owned() };
        Ok(Sent { way: Way::Answer(to), pieces: vec![reply] })
    }
}

impl Packet {
    /// The reply, if this is a whole echo request.
    pub(super) fn echo_reply(&self) -> Option<Self> {
        let reply = match (self.source.is_ipv4(), *self.payload.first()?) {
            (true, ECHO) => ECHO_REPLY,
            (false, ECHO_V6) => ECHO_REPLY_V6,
            _ => return None,
        };
        if self.carries() != Carries::Query || !self.is_whole() {
            return None;
        }
        let mut answer =
            Self { source: self.destination, destination: self.source, ttl: TTL, ..self.clone() };
        answer.payload[0] = reply;
        Some(with_checksum(answer))
    }
}
