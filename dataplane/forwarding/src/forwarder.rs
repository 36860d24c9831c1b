//! One worker's view of Layer 3: a policy, the shared tables, its own counters.

use std::sync::Arc;

use gridway_wire::packet::{Fragment, Packet, Transport};
use gridway_wire::rewrite::Rewrite;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::counters::Counters;
use crate::flow::{Flow, FlowTable};
use crate::ids::{PeerId, VnetId};
use crate::peers::Peers;
use crate::policy::{Hits, Policy, Ruling, Vnet};
use crate::reason::DropReason;

/// What becomes of a packet from a local host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// The packet was rewritten: its first `len` bytes go to `peer`.
    Tunnel {
        /// Where to.
        peer: PeerId,
        /// Virtual network that the packet belongs to.
        vnet: VnetId,
        /// Chooses one of the peer's connections, always the same one for a flow.
        spread: usize,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet is dropped.
    Drop(DropReason),
}

/// What becomes of a packet from the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// The packet was rewritten: its first `len` bytes go to a local host.
    Deliver {
        /// The host.
        destination: std::net::IpAddr,
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet was turned into an answer: its first `len` bytes go back to the peer.
    Answer {
        /// Length of the packet in bytes.
        len: usize,
    },
    /// The packet is dropped.
    Drop(DropReason),
}

/// Moves packets, one at a time, for one worker.
#[derive(Debug)]
pub struct Forwarder {
    pub(crate) policy: Arc<Policy>,
    pub(crate) flows: Arc<FlowTable>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) epoch: u32,
    pub(crate) data_mtu: u16,
}

impl Forwarder {
    /// A forwarder for a data NIC that takes IP packets of up to `data_mtu` bytes.
    #[must_use]
    pub fn new(
        policy: Arc<Policy>,
        flows: Arc<FlowTable>,
        peers: Arc<Peers>,
        counters: Arc<Counters>,
        data_mtu: u16,
    ) -> Self {
        let epoch = peers.epoch();
        Self { policy, flows, peers, counters, epoch, data_mtu }
    }

    /// Takes in what changed since the last burst. The epoch is read first: a policy that is newer
    /// than its epoch is judged by once too often, never once too seldom.
    pub fn begin_burst<'p>(&mut self, policy: impl FnOnce() -> &'p Arc<Policy>) {
        self.epoch = self.peers.epoch();
        let policy = policy();
        if self.policy.generation != policy.generation {
            self.policy = policy.clone();
        }
    }

    /// The policy in force for this worker.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The epoch of this burst.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// This worker's counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn is_up(&self, peer: PeerId) -> bool {
        self.peers.is_up(peer)
    }

    /// Asks the access policy about the flow that `tuple` (virtual addresses) began. TCP taken up in
    /// mid-stream is judged in both directions, because the side that began is not known.
    pub(crate) fn judge_acl<'v>(
        vnet: &'v Vnet,
        tuple: &FiveTuple,
        midstream: bool,
        now: Nanos,
    ) -> Result<&'v Hits, DropReason> {
        let first = vnet.acl.judge(tuple);
        if midstream
            && !matches!(first, Ruling::Allow(_))
            && let Ruling::Allow(hits) = vnet.acl.judge(&tuple.reversed())
        {
            return Ok(hits);
        }
        match first {
            Ruling::Allow(hits) => Ok(hits),
            Ruling::Deny(hits) => {
                hits.hit(now);
                Err(DropReason::AclDeny)
            }
            Ruling::Reject(hits) => {
                hits.hit(now);
                Err(DropReason::AclReject)
            }
            Ruling::NoMatch => Err(DropReason::AclNoMatch),
        }
    }

    /// Packets that are not forwarded whatever the policy says.
    pub(crate) fn refuse(packet: &Packet) -> Option<DropReason> {
        match (packet.fragment, packet.transport) {
            (Fragment::First | Fragment::Later, _) => Some(DropReason::Fragment),
            (_, Transport::IcmpError { .. } | Transport::IcmpOther) => Some(DropReason::IcmpUnsupported),
            _ if packet.ttl <= 1 => Some(DropReason::TtlExceeded),
            _ => None,
        }
    }

    /// Whether a packet may begin a flow; whether it does so in mid-stream.
    pub(crate) fn may_begin(&self, packet: &Packet) -> Result<bool, DropReason> {
        match packet.transport {
            Transport::Tcp { flags } if flags.syn() && !flags.ack() => Ok(false),
            Transport::Tcp { .. } if self.policy.timeouts.midstream => Ok(true),
            Transport::Tcp { .. } | Transport::IcmpReply => Err(DropReason::NoFlow),
            _ => Ok(false),
        }
    }

    /// Largest packet that can go to `peer` in `vnet`, in bytes.
    pub(crate) fn path_mtu(&self, vnet: &Vnet, peer: PeerId) -> usize {
        usize::from(self.data_mtu.min(vnet.mtu).min(self.peers.mtu(peer)))
    }

    /// A connection that begins on the tuple of an ended one is a new one.
    pub(crate) fn note_restart(&self, flow: &Flow, packet: &Packet) {
        if let Transport::Tcp { flags } = packet.transport
            && flags.syn()
            && !flags.ack()
        {
            self.flows.restart_tcp_if_closing(flow.id);
        }
    }
}

/// TCP flags of a packet; none for other protocols.
pub(crate) fn tcp_flags(packet: &Packet) -> TcpFlags {
    match packet.transport {
        Transport::Tcp { flags } => flags,
        _ => TcpFlags::default(),
    }
}

/// A tuple in the addresses of the other side, and the NAT rules that took it there.
pub(crate) struct Translated<'v> {
    pub(crate) tuple: FiveTuple,
    pub(crate) hits: [Option<&'v Hits>; 2],
}

/// The rewriting that makes a packet of `from` one of `to`, one hop further.
pub(crate) fn change(from: &FiveTuple, to: &FiveTuple) -> Rewrite {
    Rewrite {
        source: (to.source != from.source).then_some(to.source),
        destination: (to.destination != from.destination).then_some(to.destination),
        source_port: (to.source_port != from.source_port).then_some(to.source_port),
        destination_port: (to.destination_port != from.destination_port).then_some(to.destination_port),
        decrement_ttl: true,
    }
}
