//! Peers and where they are dialled.

use serde::Serialize;

use super::HostPort;
use crate::name::NodeName;

/// `[[peer]]`: a node that tunnels are held with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Node name of the peer: its certificate's SAN is `<name>.<domain>`.
    pub name: NodeName,
    /// Where to dial, in order; empty: wait for the peer. Names are resolved at every attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dial: Vec<HostPort>,
    /// Connections held with the peer: 1 to [`Peer::MAX_CONNECTIONS`].
    pub connections: u8,
}

impl Peer {
    /// Most connections with one peer.
    pub const MAX_CONNECTIONS: u8 = 32;
}
