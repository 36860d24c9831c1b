//! The way of a packet through the node.
//!
//! Order of the questions, outbound: vnet, inside NAT, outside NAT, spoofed source, may it begin a flow,
//! access policy, route, TTL, MTU. Inbound: vnet, source check, own address, may it begin a flow, access
//! policy, transit, inside NAT, outside NAT, TTL, MTU. The first that says no decides, and a packet that
//! is dropped leaves nothing behind.

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

use crate::model::Model;
use crate::oracle::{IllegalChoice, Oracle};
use crate::packet::Packet;
use crate::reason::{MALFORMED, Reason, TOO_BIG, TTL_EXCEEDED};
use crate::step::{Emitted, Fate, Origin, Step, To, Whence};

pub(crate) use fragments::Datagram;

/// Where a packet goes.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Tunnel { peer: String, vnet: String },
    Relay { peer: String, vnet: String },
    Deliver(IpAddr),
    Answer(To),
}

/// A packet on its way, in one piece or several, and the flow it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) way: Way,
    pub(crate) pieces: Vec<Packet>,
    pub(crate) flow: Option<u64>,
}

/// A packet is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// The vnet it belongs to, as far as that is known.
    pub(crate) vnet: Option<String>,
    /// What would have fit.
    pub(crate) mtu: u16,
}

impl Refusal {
    pub(crate) fn of(vnet: &str, reason: Reason) -> Self {
        Self { reason, vnet: Some(vnet.to_owned()), mtu: 0 }
    }

    pub(crate) fn without_vnet(reason: Reason) -> Self {
        Self { reason, vnet: None, mtu: 0 }
    }
}

/// Why a packet does not go on.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Held,
    Refused(Refusal),
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

/// Whether this node still has to count itself in the TTL. A hairpinned packet passes both directions, yet
/// one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    ToCount,
    Counted,
}

impl Hop {
    /// The packet one hop further.
    pub(crate) fn count(self, vnet: &str, packet: &Packet) -> Result<Packet, Refusal> {
        match self {
            Self::Counted => Ok(packet.clone()),
            Self::ToCount if packet.ttl <= 1 => Err(Refusal::of(vnet, TTL_EXCEEDED)),
            Self::ToCount => Ok(Packet { ttl: packet.ttl - 1, ..packet.clone() }),
        }
    }
}

/// The packet in pieces that fit.
pub(crate) fn fit(vnet: &str, packet: &Packet, mtu: u16) -> Result<Vec<Packet>, Refusal> {
    if packet.len() <= usize::from(mtu) {
        Ok(vec![packet.clone()])
    } else if packet.may_be_cut() {
        Ok(packet.cut(mtu.into()))
    } else {
        Err(Refusal { mtu, ..Refusal::of(vnet, TOO_BIG) })
    }
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
            Ok(sent) => {
                let mut pieces = sent.pieces.iter().map(Packet::to_bytes);
                step.fate = fate(&sent.way, pieces.next().expect("a packet that is sent has a piece"));
                step.emitted.extend(pieces.map(|bytes| forwarded(&sent.way, bytes)));
            }
            Err(Stop::Held) => step.fate = Fate::Held,
            Err(Stop::Illegal(illegal)) => return Err(illegal),
            Err(Stop::Refused(refusal)) => {
                step.fate = Fate::Dropped(refusal.reason);
                step.emitted.extend(self.diagnose(whence, &packet, &refusal));
            }
        }
        while let Some((whence, waited)) = self.released.pop_front() {
            match self.pass(&whence, &waited, oracle) {
                Ok(sent) => {
                    let pieces = sent.pieces.iter().map(Packet::to_bytes);
                    step.emitted.extend(pieces.map(|bytes| forwarded(&sent.way, bytes)));
                }
                Err(Stop::Refused(refusal)) => step.dropped.push(refusal.reason),
                Err(Stop::Illegal(illegal)) => return Err(illegal),
                // Its first fragment was hairpinned no sooner than a moment ago, or never: it waits on.
                Err(Stop::Held) => {}
            }
        }
        Ok(step)
    }

    fn pass(&mut self, whence: &Whence, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        match whence {
            Whence::Local => self.pass_outbound(packet, Hop::ToCount, oracle),
            Whence::Overlay { peer, vnet } => self.pass_inbound(peer, vnet, packet, oracle),
        }
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
