//! What becomes of packets, and what else they cause.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::ids::{PeerId, VnetId};
use crate::reason::DropReason;

/// The place in a tunnel that a packet goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Where to.
    pub peer: PeerId,
    /// Virtual network that the packet belongs to.
    pub vnet: VnetId,
    /// Chooses one of the peer's connections, always the same one for a flow.
    pub spread: usize,
}

/// What becomes of a packet from a local host. It was rewritten in place; its first `len` bytes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// The packet goes to a peer.
    Tunnel {
        /// Where to.
        to: Tunnel,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet was turned into an answer to the local host that sent it.
    Answer {
        /// The host.
        destination: IpAddr,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// A copy of the packet waits for the first fragment of its datagram.
    Held,
    /// The packet is dropped.
    Drop(DropReason),
}

impl Outbound {
    /// Length of the packet that goes, in bytes; 0 if none does.
    #[must_use]
    pub fn sent_len(self) -> usize {
        match self {
            Self::Tunnel { len, .. } | Self::Answer { len, .. } => len,
            Self::Held | Self::Drop(_) => 0,
        }
    }
}

/// What becomes of a packet from the overlay. It was rewritten in place; its first `len` bytes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// The packet goes to a local host.
    Deliver {
        /// The host.
        destination: IpAddr,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet goes on to a peer: relayed, or back to a remote host that shares a local address.
    Relay {
        /// Where to.
        to: Tunnel,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet was turned into an answer: it goes back to the peer.
    Answer {
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet answered a question of this node.
    Consumed,
    /// A copy of the packet waits for the first fragment of its datagram.
    Held,
    /// The packet is dropped.
    Drop(DropReason),
}

impl Inbound {
    /// Length of the packet that goes, in bytes; 0 if none does.
    #[must_use]
    pub fn sent_len(self) -> usize {
        match self {
            Self::Deliver { len, .. } | Self::Relay { len, .. } | Self::Answer { len } => len,
            Self::Consumed | Self::Held | Self::Drop(_) => 0,
        }
    }
}

/// Where a packet that was not just received goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into a tunnel.
    Tunnel(Tunnel),
    /// To a local host.
    Local(IpAddr),
}

/// In whose books a packet stands that was not just received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This node made it: it was never received.
    Own,
    /// A further fragment of the packet just judged: it was not received as such, and is nothing without the first.
    Piece,
    /// A local host sent it, and it was held.
    Outbound,
    /// A peer sent it, and it was held.
    Inbound,
}

impl Origin {
    /// Whether it stands in no books but those of what the node sends itself.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Own | Self::Piece)
    }
}

/// A packet that the forwarder sends besides the one it was given.
#[derive(Debug)]
pub struct Emission {
    /// Where it goes.
    pub to: Target,
    /// In whose books it stands.
    pub origin: Origin,
    /// The IP packet.
    pub bytes: Vec<u8>,
}

/// Emissions in their order. Buffers are used again.
#[derive(Debug, Default)]
pub struct Emissions {
    queue: VecDeque<Emission>,
    spare: Vec<Vec<u8>>,
}

/// Buffers that are kept.
const SPARE: usize = 64;

impl Emissions {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<Emission> {
        self.queue.pop_front()
    }

    /// Forgets the further fragments of a packet whose first one was not sent.
    pub fn discard_pieces(&mut self) {
        let Self { queue, spare } = self;
        queue.retain_mut(|emission| {
            let kept = emission.origin != Origin::Piece;
            if !kept && spare.len() < SPARE {
                emission.bytes.clear();
                spare.push(std::mem::take(&mut emission.bytes));
            }
            kept
        });
    }

    /// Takes the buffer of an emission back.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn push(&mut self, to: Target, origin: Origin, bytes: Vec<u8>) {
        self.queue.push_back(Emission { to, origin, bytes });
    }

    /// A place in the order, for [`Self::insert`]: behind everything so far.
    pub(crate) fn end(&self) -> usize {
        self.queue.len()
    }

    /// Puts a packet in front of what was pushed since `place` was the end.
    pub(crate) fn insert(&mut self, place: usize, to: Target, origin: Origin, bytes: Vec<u8>) {
        self.queue.insert(place, Emission { to, origin, bytes });
    }

    /// Has `write` fill a buffer of `most` bytes and say how many it used; nothing is sent if it does not.
    pub(crate) fn write(
        &mut self,
        to: Target,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let mut buffer = self.buffer();
        buffer.resize(most, 0);
        match write(&mut buffer) {
            Some(len) => {
                buffer.truncate(len);
                self.push(to, Origin::Own, buffer);
                true
            }
            None => {
                self.give_back(buffer);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_and_their_buffers_stay() {
        let mut emissions = Emissions::default();
        let to = Target::Local(IpAddr::from([10, 1, 0, 2]));
        for origin in [Origin::Piece, Origin::Own, Origin::Piece, Origin::Inbound] {
            emissions.push(to, origin, vec![1; 20]);
        }
        emissions.discard_pieces();
        let left: Vec<Origin> =
            std::iter::from_fn(|| emissions.pop()).map(|emission| emission.origin).collect();
        assert_eq!(left, [Origin::Own, Origin::Inbound]);
        let spare = [emissions.buffer(), emissions.buffer()];
        assert!(spare.iter().all(|buffer| buffer.is_empty() && buffer.capacity() >= 20));
    }
}
