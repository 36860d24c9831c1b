//! One worker's view of Layer 3: a policy, the shared tables, its own counters.

use std::sync::Arc;

use gridway_wire::packet::{Packet, Transport};
use gridway_wire::rewrite::Rewrite;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::counters::Counters;
use crate::flow::{FlowTable, Key, Side};
use crate::fragments::Fragments;
use crate::ids::{PeerId, VnetId};
use crate::limiter::Limiter;
use crate::monitor::Monitors;
use crate::next_hop::NextHops;
use crate::peers::Peers;
use crate::pings::Pings;
use crate::policy::{Policy, Vnet};
use crate::steps::Notes;
use crate::verdict::{Emissions, Tunnel};

/// What all workers of a node share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Flows and port mappings.
    pub flows: Arc<FlowTable>,
    /// Datagrams in fragments.
    pub fragments: Arc<Fragments>,
    /// Which peers and routes can be used.
    pub peers: Arc<Peers>,
    /// Route monitors.
    pub monitors: Arc<Monitors>,
    /// Echo requests of operators.
    pub pings: Arc<Pings>,
}

/// Moves packets, one at a time, for one worker.
#[derive(Debug)]
pub struct Forwarder {
    pub(crate) policy: Arc<Policy>,
    pub(crate) hops: Arc<NextHops>,
    pub(crate) flows: Arc<FlowTable>,
    pub(crate) fragments: Arc<Fragments>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) pings: Arc<Pings>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) epoch: u32,
    pub(crate) data_mtu: u16,
    pub(crate) limiter: Limiter,
    pub(crate) random: StdRng,
    pub(crate) notes: Notes,
    /// Nothing that others see is to change: rules are not counted.
    pub(crate) is_dry: bool,
    /// What is to be sent besides the packets that were given.
    pub emissions: Emissions,
}

impl Forwarder {
    /// A forwarder for a data NIC that takes IP packets of up to `data_mtu` bytes. `seed` makes the ports of
    /// new mappings unpredictable (RFC 6056).
    #[must_use]
    pub fn new(
        policy: Arc<Policy>,
        hops: Arc<NextHops>,
        shared: Shared,
        counters: Arc<Counters>,
        data_mtu: u16,
        seed: [u8; 32],
    ) -> Self {
        let Shared { flows, fragments, peers, monitors, pings } = shared;
        Self {
            epoch: peers.epoch(),
            policy,
            hops,
            flows,
            fragments,
            peers,
            monitors,
            pings,
            counters,
            data_mtu,
            limiter: Limiter::default(),
            random: StdRng::from_seed(seed),
            notes: Notes::default(),
            is_dry: false,
            emissions: Emissions::default(),
        }
    }

    /// Takes in what changed since a worker's last turn. The epoch is read first: a policy that is newer
    /// than its epoch is judged by once too often, never once too seldom.
    pub fn begin_turn<'p>(&mut self, policy: impl FnOnce() -> &'p Arc<Policy>) {
        self.epoch = self.peers.epoch();
        let policy = policy();
        if self.policy.generation != policy.generation {
            self.policy = policy.clone();
        }
    }

    /// The tuple that a packet of a known flow has on the other side of the node; `vnet` is that of an overlay packet.
    #[must_use]
    pub fn other_side(&self, side: Side, vnet: Option<VnetId>, tuple: &FiveTuple) -> Option<FiveTuple> {
        let key = match (side, vnet) {
            (Side::Local, _) => Key::local(tuple),
            (Side::Overlay, Some(vnet)) => Key::overlay(vnet, tuple),
            (Side::Overlay, None) => return None,
        };
        let flow = self.flows.find(side, &key)?;
        Some(match side {
            Side::Local => flow.overlay().reversed(),
            Side::Overlay => flow.local().reversed(),
        })
    }

    /// Takes over a new view of the data link.
    pub fn set_next_hops(&mut self, hops: Arc<NextHops>) {
        self.hops = hops;
    }

    /// Keeps time for route monitors. Any worker may do this.
    pub fn handle_monitors(&mut self, now: Nanos) {
        self.monitors.handle_timeouts(&mut self.emissions, &self.peers, now);
    }

    /// Sends the next echo request of an operator.
    pub fn send_ping(&mut self, identifier: u16, sequence: u16, to: Tunnel, now: Nanos) {
        self.pings.send(identifier, sequence, to, &mut self.emissions, now);
    }

    /// The policy in force for this worker.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The epoch of this turn.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// This worker's counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Largest packet that can go to `peer` in `vnet` from the data link, in bytes.
    pub(crate) fn path_mtu(&self, vnet: &Vnet, peer: PeerId) -> usize {
        usize::from(self.data_mtu.min(vnet.mtu).min(self.peers.mtu(peer)))
    }

    /// Largest packet for a local host, in bytes. One of a `hairpin` goes back to the overlay and never crosses the
    /// data link: its way there says what fits.
    pub(crate) fn local_mtu(&self, hairpin: bool) -> usize {
        if hairpin { usize::MAX } else { usize::from(self.data_mtu) }
    }
}

/// TCP flags of a packet; none for other protocols.
pub(crate) fn tcp_flags(packet: &Packet) -> TcpFlags {
    match packet.transport {
        Transport::Tcp { flags } => flags,
        _ => TcpFlags::default(),
    }
}

/// The rewriting that makes a packet of `from` one of `to`, one hop further if it is `forwarded`.
pub(crate) fn change(from: &FiveTuple, to: &FiveTuple, forwarded: bool) -> Rewrite {
    Rewrite {
        source: (to.source != from.source).then_some(to.source),
        destination: (to.destination != from.destination).then_some(to.destination),
        source_port: (to.source_port != from.source_port).then_some(to.source_port),
        destination_port: (to.destination_port != from.destination_port).then_some(to.destination_port),
        decrement_ttl: forwarded,
    }
}
