//! The way of a packet through the node.
//!
//! Order of the questions, outbound: echo of an own address, TTL, and for a packet that begins a flow vnet, inside
//! NAT, spoofed source, outside NAT, may it begin a flow, access policy, route; then MTU. Inbound: vnet, source
//! check, kind of ICMP, own address, transit, TTL, and for a packet that begins a flow may it begin one, access
//! policy, inside NAT, outside NAT; then MTU. The first that says no decides. What policy let begin stays, even if
//! the packet then is too big or fails on its second half (hairpin).

mod data_address;
mod diagnose;
mod fragments;
mod icmp_error;
mod inbound;
mod judge;
mod outbound;
mod own;
mod relay;
mod way;

use std::net::IpAddr;

use crate::flow::Side;
use crate::model::Model;
use crate::oracle::{IllegalChoice, Oracle};
use crate::packet::Packet;
use crate::reason::{MALFORMED, Reason, TOO_BIG, TTL_EXCEEDED};
use crate::step::{Emitted, Fate, Origin, Step, To, Whence};

pub(crate) use fragments::{Datagram, Waited};

/// Where a packet goes.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Tunnel { peer: String, vnet: String },
    Relay { peer: String, vnet: String },
    Deliver(IpAddr),
    Answer(To),
}

/// How a packet goes on, and the later fragments of its datagram with it.
#[derive(Clone, Debug)]
pub(crate) struct Onward {
    /// None counts an ICMP error.
    pub(crate) flow: Option<u64>,
    /// The side of the flow that the datagram is of.
    pub(crate) side: Side,
    pub(crate) way: Way,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// What fits there.
    pub(crate) mtu: u16,
    /// From there it goes back to the overlay, as a packet from a local host.
    pub(crate) hairpin: bool,
}

/// A packet on its way, in one piece or several.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) way: Way,
    pub(crate) pieces: Vec<Packet>,
}

/// A packet with its transport header after its translation.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    pub(crate) onward: Onward,
    pub(crate) pieces: Vec<Packet>,
}

/// A packet is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// What would have fit.
    pub(crate) mtu: u16,
}

impl Refusal {
    pub(crate) fn of(reason: Reason) -> Self {
        Self { reason, mtu: 0 }
    }
}

/// Why a packet does not go on.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Held,
    Refused(Refusal),
    /// Dropped, and nobody is told.
    Silent(Reason),
    Illegal(IllegalChoice),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IllegalChoice> for Stop {
    fn from(illegal: IllegalChoice) -> Self {
        Self::Illegal(illegal)
    }
}

/// The packet one hop further. That it may go there was asked before.
pub(crate) fn one_hop(packet: &Packet) -> Packet {
    Packet { ttl: packet.ttl.saturating_sub(1), ..packet.clone() }
}

pub(crate) fn check_ttl(packet: &Packet) -> Result<(), Refusal> {
    if packet.ttl <= 1 { Err(Refusal::of(TTL_EXCEEDED)) } else { Ok(()) }
}

/// A packet that is too long and may not be cut.
pub(crate) fn check_size(packet: &Packet, mtu: u16) -> Result<(), Refusal> {
    if packet.len() <= usize::from(mtu) || packet.may_be_cut() {
        return Ok(());
    }
    Err(Refusal { reason: TOO_BIG, mtu })
}

/// The packet in pieces that fit.
pub(crate) fn fit(packet: &Packet, mtu: u16) -> Vec<Packet> {
    if packet.len() <= usize::from(mtu) { vec![packet.clone()] } else { packet.cut(mtu.into()) }
}

impl Model {
    /// A packet from a local host: IP bytes without Ethernet.
    ///
    /// # Errors
    /// [`IllegalChoice`] of the oracle.
    pub fn outbound(&mut self, bytes: &[u8], oracle: &mut dyn Oracle) -> Result<Step, IllegalChoice> {
        self.step(&Whence::Local, bytes, oracle)
    }

    /// A packet that `peer` sent in `vnet`.
    ///
    /// # Errors
    /// [`IllegalChoice`] of the oracle.
    pub fn inbound(
        &mut self,
        peer: &str,
        vnet: &str,
        bytes: &[u8],
        oracle: &mut dyn Oracle,
    ) -> Result<Step, IllegalChoice> {
        self.step(&Whence::Overlay { peer: peer.to_owned(), vnet: vnet.to_owned() }, bytes, oracle)
    }

    fn step(
        &mut self,
        whence: &Whence,
        bytes: &[u8],
        oracle: &mut dyn Oracle,
    ) -> Result<Step, IllegalChoice> {
        let mut step = Step { fate: Fate::Dropped(MALFORMED), emitted: Vec::new(), dropped: Vec::new() };
        let Some(packet) = Packet::read(bytes) else {
            return Ok(step);
        };
        match self.pass(whence, &packet, oracle) {
            Ok(sent) => self.book(&mut step, &sent, oracle)?,
            Err(Stop::Held) => step.fate = Fate::Held,
            Err(Stop::Illegal(illegal)) => return Err(illegal),
            Err(Stop::Refused(refusal)) => {
                step.fate = Fate::Dropped(refusal.reason);
                step.emitted.extend(self.diagnose(whence, &packet, &refusal));
            }
            Err(Stop::Silent(reason)) => step.fate = Fate::Dropped(reason),
        }
        while let Some(waited) = self.released.pop_front() {
            match self.release(&waited, oracle) {
                Ok(sent) if self.is_for_data_address(&sent.way) => {
                    step.dropped.push(crate::reason::TO_OWN_ADDRESS);
                    step.emitted.extend(self.undeliverable(&sent.pieces[0]));
                }
                Ok(sent) => {
                    let pieces = sent.pieces.iter().map(Packet::to_bytes);
                    step.emitted.extend(pieces.map(|bytes| forwarded(&sent.way, bytes)));
                }
                Err(Stop::Refused(Refusal { reason, .. }) | Stop::Silent(reason)) => {
                    step.dropped.push(reason);
                }
                Err(Stop::Illegal(illegal)) => return Err(illegal),
                Err(Stop::Held) => unreachable!("the first fragment of what is released has come"),
            }
        }
        Ok(step)
    }

    fn pass(&mut self, whence: &Whence, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        match whence {
            Whence::Local => self.pass_outbound(packet, oracle),
            Whence::Overlay { peer, vnet } => self.pass_inbound(peer, vnet, packet, oracle),
        }
    }

    /// Writes down what is sent.
    fn book(&mut self, step: &mut Step, sent: &Sent, oracle: &mut dyn Oracle) -> Result<(), IllegalChoice> {
        if self.is_for_data_address(&sent.way) {
            return self.at_data_address(step, &sent.pieces[0], oracle);
        }
        let mut pieces = sent.pieces.iter().map(Packet::to_bytes);
        step.fate = fate(&sent.way, pieces.next().expect("a packet that is sent has a piece"));
        step.emitted.extend(pieces.map(|bytes| forwarded(&sent.way, bytes)));
        Ok(())
    }
}

fn fate(way: &Way, bytes: Vec<u8>) -> Fate {
    match way.clone() {
        Way::Tunnel { peer, vnet } => Fate::Tunnelled { peer, vnet, bytes },
        Way::Relay { peer, vnet } => Fate::Relayed { peer, vnet, bytes },
        Way::Deliver(destination) => Fate::Delivered { destination, bytes },
        Way::Answer(to) => Fate::Answered { to, bytes },
    }
}

fn forwarded(way: &Way, bytes: Vec<u8>) -> Emitted {
    let to = match way.clone() {
        Way::Tunnel { peer, vnet } | Way::Relay { peer, vnet } => To::Peer { peer, vnet },
        Way::Deliver(destination) => To::Local(destination),
        Way::Answer(to) => to,
    };
    Emitted { to, bytes, origin: Origin::Forwarded }
}
