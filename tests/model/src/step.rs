//! What becomes of a packet.

use std::net::IpAddr;

use crate::reason::Reason;

/// Where a packet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whence {
    /// A local host.
    Local,
    /// A peer.
    Overlay {
        /// Name of the peer.
        peer: String,
        /// Name of the vnet.
        vnet: String,
    },
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To a peer, in a vnet.
    Peer {
        /// Name of the peer.
        peer: String,
        /// Name of the vnet.
        vnet: String,
    },
    /// To a local host.
    Local(IpAddr),
}

/// The one fate of the packet that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes to a peer: from a local host, or from the overlay by way of a live mapping (hairpin).
    Tunnelled {
        /// Name of the peer.
        peer: String,
        /// Name of the vnet.
        vnet: String,
        /// The packet; its first fragment where it was cut.
        bytes: Vec<u8>,
    },
    /// It goes from the overlay to a local host.
    Delivered {
        /// The host.
        destination: IpAddr,
        /// The packet; its first fragment where it was cut.
        bytes: Vec<u8>,
    },
    /// It goes from one peer on to another.
    Relayed {
        /// Name of the peer.
        peer: String,
        /// Name of the vnet.
        vnet: String,
        /// The packet; its first fragment where it was cut.
        bytes: Vec<u8>,
    },
    /// The node itself answered an echo request. Compare by [`crate::alike`] with [`Origin::Echo`].
    Answered {
        /// Back to where it came from.
        to: To,
        /// The answer.
        bytes: Vec<u8>,
    },
    /// A fragment that waits for the first one.
    Held,
    /// It is dropped.
    Dropped(Reason),
}

/// A packet that goes out besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Where to.
    pub to: To,
    /// The packet.
    pub bytes: Vec<u8>,
    /// What it is, which says how exactly it is determined.
    pub origin: Origin,
}

/// What a packet that goes out is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A further fragment of the packet, or an earlier one that had waited: determined to the byte.
    Forwarded,
    /// An ICMP error of this node, from any one of these addresses.
    Error {
        /// The node's addresses that may be its source.
        sources: Vec<IpAddr>,
    },
    /// A TCP reset of this node, in the name of the destination.
    Reset,
    /// The reply to an echo request.
    Echo,
}

/// All that one packet caused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Fate of the packet itself.
    pub fate: Fate,
    /// Further packets, in the order they are sent.
    pub emitted: Vec<Emitted>,
    /// Fates of fragments that had waited and are dropped now.
    pub dropped: Vec<Reason>,
}

impl Step {
    /// The reason if the packet is dropped.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.fate {
            Fate::Dropped(reason) => Some(reason),
            _ => None,
        }
    }

    /// The packet as it went on, or the answer to it.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.fate {
            Fate::Tunnelled { bytes, .. }
            | Fate::Delivered { bytes, .. }
            | Fate::Relayed { bytes, .. }
            | Fate::Answered { bytes, .. } => Some(bytes),
            Fate::Held | Fate::Dropped(_) => None,
        }
    }
}
