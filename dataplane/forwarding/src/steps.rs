//! What decided about a packet, step by step, for operators who ask: noted by the same code that decides.
//!
//! Nothing is noted unless [`Forwarder::begin_notes`] was called, and the short way for packets of known flows has no
//! notes at all: [`Forwarder::outbound_at_length`] leaves it out.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use gridway_config::AclAction;
use gridway_wire::icmp::IcmpError;
use gridway_wire::packet::Packet;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;

use crate::flow::Flow;
use crate::flow::mappings::{LocalEndpoint, VirtualEndpoint};
use crate::forwarder::Forwarder;
use crate::ids::{PeerId, VnetId};
use crate::policy::{Candidate, Choice, Found, Hits, NatRule, Ruling, Vnet};

/// Steps that are kept of one packet: those of one that is judged from both sides are fewer.
const MOST: usize = 64;

/// One decision about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the packet is.
    Parsed(Box<Packet>),
    /// Whether it belongs to a flow, and whether that was judged since something changed.
    Flow(FlowStep),
    /// The vnet whose selectors contain the destination of a local host's packet.
    Vnet {
        /// The destination.
        destination: IpAddr,
        /// The vnet; `None`: none has it.
        vnet: Option<VnetId>,
    },
    /// Whether routes let the source of an overlay packet be behind the peer that sent it.
    Source {
        /// The source.
        source: IpAddr,
        /// The peer.
        peer: PeerId,
        /// Whether it may be.
        feasible: bool,
    },
    /// It is for this node itself.
    Own(IpAddr),
    /// It is for a host behind another peer.
    Transit {
        /// Its destination.
        destination: IpAddr,
        /// Whether the vnet relays.
        relayed: bool,
    },
    /// Translation of one of its addresses.
    Nat(NatStep),
    /// Access policy.
    Acl {
        /// The tuple that was judged.
        tuple: FiveTuple,
        /// The line that matched, and what it says; `None`: no line did.
        line: Option<(u32, AclAction)>,
    },
    /// Choice of a peer.
    Route(RouteStep),
    /// It is larger than what its way takes, in bytes.
    TooBig {
        /// Its length.
        length: usize,
        /// The largest that fits.
        mtu: usize,
        /// Whether it is fragmented.
        fragmented: bool,
    },
    /// A later fragment.
    Fragment {
        /// Whether its first fragment was judged already.
        follows: bool,
    },
    /// Its sender is told.
    Told(Told),
}

/// What is known of the flow of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// It has one, judged since the last change.
    Known {
        /// The peer that its packets go to.
        peer: PeerId,
    },
    /// It has one that is judged again, because routes, tunnels or the policy have changed.
    JudgedAgain,
    /// Its translation is another one by today's policy: the flow begins anew.
    BegunAnew,
    /// It has none.
    Unknown,
    /// One was made for it.
    Made,
}

/// Translation of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatStep {
    /// Inside NAT (local hosts) or outside NAT (remote hosts).
    pub inside: bool,
    /// The address in the packet.
    pub from: IpAddr,
    /// What it becomes; `None`: it cannot be translated.
    pub to: Option<IpAddr>,
    /// Port mapping, where remote hosts share an address.
    pub mapping: Option<(VirtualEndpoint, LocalEndpoint)>,
    /// Local prefix, and the first virtual one, of the rule; `None`: identity, or no rule.
    pub rule: Option<(IpNet, IpNet)>,
}

/// Choice of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStep {
    /// Where to.
    pub destination: IpAddr,
    /// Routes that contain it, from the longest prefix to the shortest, by metric; whether each is available.
    pub routes: Vec<(IpNet, Candidate, bool)>,
    /// The outcome.
    pub choice: Choice,
}

/// What the sender of a packet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A TCP reset.
    Reset,
    /// An ICMP error.
    Error(IcmpError),
    /// Nothing, because too many were told something lately.
    Suppressed,
}

/// The notes of one forwarder.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    on: bool,
    /// Written through shared references only; nobody else ever holds it.
    steps: Mutex<Vec<Step>>,
}

impl Notes {
    /// Notes a step, if anybody wants to know.
    #[inline]
    pub(crate) fn note(&self, step: impl FnOnce() -> Step) {
        if self.on {
            self.add(step);
        }
    }

    fn taken(&mut self) -> &mut Vec<Step> {
        self.steps.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Out of the way of packets that nobody asks about.
    #[cold]
    #[inline(never)]
    fn add(&self, step: impl FnOnce() -> Step) {
        let step = step();
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < MOST {
            steps.push(step);
        }
    }
}

impl Forwarder {
    /// Notes the steps of packets from now on.
    pub fn begin_notes(&mut self) {
        self.notes.on = true;
        self.notes.taken().clear();
    }

    /// The steps since [`Self::begin_notes`], and an end to it.
    pub fn end_notes(&mut self) -> Vec<Step> {
        self.notes.on = false;
        std::mem::take(self.notes.taken())
    }

    /// Counts a flow that a rule decided.
    #[inline]
    pub(crate) fn hit(&self, hits: &Hits, now: Nanos) {
        if !self.is_dry {
            hits.hit(now);
        }
    }

    /// Counts a flow that no port was free for.
    pub(crate) fn count_exhausted(&self, rule: &NatRule) {
        if !self.is_dry {
            rule.count_exhausted();
        }
    }

    pub(crate) fn note_flow(&self, found: Option<&Flow>) {
        self.notes.note(|| {
            Step::Flow(match found {
                Some(flow) if flow.epoch == self.epoch => FlowStep::Known { peer: flow.peer },
                Some(_) => FlowStep::JudgedAgain,
                None => FlowStep::Unknown,
            })
        });
    }

    pub(crate) fn note_ruling(&self, tuple: &FiveTuple, ruling: Ruling<'_>) {
        self.notes.note(|| {
            let line = match ruling {
                Ruling::Allow(rule) => Some((rule.line, AclAction::Allow)),
                Ruling::Deny(rule) => Some((rule.line, AclAction::Drop)),
                Ruling::Reject(rule) => Some((rule.line, AclAction::Reject)),
                Ruling::NoMatch => None,
            };
            Step::Acl { tuple: *tuple, line }
        });
    }

    pub(crate) fn note_nat(&self, inside: bool, from: IpAddr, found: Found<'_>) {
        self.notes.note(|| {
            let (to, rule) = match found {
                Found::Address(to, rule) => (Some(to), rule),
                Found::Shared(rule) => (None, Some(rule)),
                Found::Untranslatable | Found::Nothing => (None, None),
            };
            Step::Nat(NatStep { inside, from, to, mapping: None, rule: rule.map(sides) })
        });
    }

    /// A remote host that shares a local address; `mapping` is `None` where there is none.
    pub(crate) fn note_mapping(
        &self,
        from: IpAddr,
        rule: &NatRule,
        mapping: Option<(VirtualEndpoint, LocalEndpoint)>,
    ) {
        self.notes.note(|| {
            let to = mapping
                .map(|(theirs, ours)| if from == ours.address { theirs.address } else { ours.address });
            Step::Nat(NatStep { inside: false, from, to, mapping, rule: Some(sides(rule)) })
        });
    }

    pub(crate) fn note_route(&self, vnet: &Vnet, destination: IpAddr, choice: Choice) {
        self.notes.note(|| {
            let routes = vnet.routes.towards(destination);
            let routes =
                routes.map(|(to, route)| (to, *route, self.peers.is_available(route))).take(MOST).collect();
            Step::Route(RouteStep { destination, routes, choice })
        });
    }
}

fn sides(rule: &NatRule) -> (IpNet, IpNet) {
    (rule.local, rule.remote.prefixes()[0])
}
