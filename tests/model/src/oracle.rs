//! Choices that the rules leave open.

use std::net::IpAddr;

use crate::packet::Packet;
use crate::step::{Fate, Step};
use crate::tuple::{ICMP, ICMPV6, Tuple};

/// A new mapping of many-to-one NAT is needed.
#[derive(Clone, Debug)]
pub struct MappingRequest {
    /// The virtual network.
    pub vnet: String,
    /// IANA number.
    pub protocol: u8,
    /// Virtual address of the remote host.
    pub host: IpAddr,
    /// Its port or query identifier; 0 for protocols without.
    pub port: u16,
    /// Addresses of the pool.
    pub pool: Vec<PoolAddress>,
}

/// An address of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolAddress {
    /// As local hosts know it.
    pub address: IpAddr,
    /// As the overlay knows it where an inside NAT covers it: a hairpinned packet shows this one.
    pub in_overlay: Option<IpAddr>,
}

/// What was chosen for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Address of the pool.
    pub address: IpAddr,
    /// Port or query identifier. `None`: not to be seen; the model takes the first that is allowed.
    pub port: Option<u16>,
}

/// One of several peers, equally good, is needed.
#[derive(Clone, Debug)]
pub struct PeerRequest {
    /// The virtual network.
    pub vnet: String,
    /// The flow in virtual addresses, in the direction of the packet.
    pub tuple: Tuple,
    /// The peers, at least two.
    pub best: Vec<String>,
}

/// Answers what the rules leave open. The model checks the answers; `None` leaves it to the model.
pub trait Oracle {
    /// Address and port for a new mapping.
    fn mapping(&mut self, request: &MappingRequest) -> Option<Place>;

    /// One of `request.best`.
    fn peer(&mut self, request: &PeerRequest) -> Option<String>;

    /// As [`Self::peer`], for the answers to a packet: its own way does not show it.
    fn way_back(&mut self, _request: &PeerRequest) -> Option<String> {
        None
    }
}

/// Leaves every choice to the model, which takes the first that is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelChooses;

impl Oracle for ModelChooses {
    fn mapping(&mut self, _: &MappingRequest) -> Option<Place> {
        None
    }

    fn peer(&mut self, _: &PeerRequest) -> Option<String> {
        None
    }
}

/// The choices of a real forwarder, read from what it did with the same packet.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Source address and port of the packet that came out.
    pub source: Option<(IpAddr, u16)>,
    /// The peer it went to.
    pub peer: Option<String>,
}

impl Observed {
    /// From the packet that came out, and the peer it went to.
    #[must_use]
    pub fn new(bytes: Option<&[u8]>, peer: Option<&str>) -> Self {
        let tuple = bytes.and_then(Packet::read).map(|packet| packet.tuple());
        Self {
            source: tuple.map(|tuple| (tuple.source, tuple.source_port)),
            peer: peer.map(ToOwned::to_owned),
        }
    }

    /// From a step, as if the real forwarder had taken it.
    #[must_use]
    pub fn of(step: &Step) -> Self {
        match &step.fate {
            Fate::Tunnelled { peer, bytes, .. } | Fate::Relayed { peer, bytes, .. } => {
                Self::new(Some(bytes), Some(peer))
            }
            Fate::Delivered { bytes, .. } => Self::new(Some(bytes), None),
            Fate::Answered { .. } | Fate::Held | Fate::Dropped(_) => Self::default(),
        }
    }
}

impl Oracle for Observed {
    fn mapping(&mut self, request: &MappingRequest) -> Option<Place> {
        let (source, port) = self.source?;
        let hairpinned = request.pool.iter().find(|pool| pool.in_overlay == Some(source));
        let delivered = request.pool.iter().any(|pool| pool.address == source);
        match hairpinned {
            Some(pool) if !delivered => {
                // An ICMP query has one identifier: it shows that of the destination's mapping.
                let hidden = matches!(request.protocol, ICMP | ICMPV6);
                Some(Place { address: pool.address, port: (!hidden).then_some(port) })
            }
            // An address of no pool is handed on as it is, to be refused.
            _ => Some(Place { address: source, port: Some(port) }),
        }
    }

    fn peer(&mut self, _: &PeerRequest) -> Option<String> {
        self.peer.clone()
    }
}

/// The oracle chose what the rules forbid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalChoice {
    /// A mapping breaks a rule.
    #[error("{host} port {port} (protocol {protocol}) may not be mapped to {address} port {chosen}: {rule}")]
    Mapping {
        /// Virtual address of the remote host.
        host: IpAddr,
        /// Its port.
        port: u16,
        /// IANA number.
        protocol: u8,
        /// The address that was chosen.
        address: IpAddr,
        /// The port that was chosen.
        chosen: u16,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// The peer is not among the best.
    #[error("{chosen} is none of the best peers {best:?} for {tuple:?}")]
    Peer {
        /// The peer that was chosen.
        chosen: String,
        /// The peers to choose from.
        best: Vec<String>,
        /// The flow.
        tuple: Tuple,
    },
}
