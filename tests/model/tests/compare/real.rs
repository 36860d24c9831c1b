//! The real forwarder, and what a worker does around it: sweeps, and packets for the data NIC's own address.

use std::sync::Arc;
use std::time::Duration;

use gridway_config::Config;
use gridway_forwarding::flow::{FlowTable, FlowView};
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::next_hop::{NextHops, Via};
use gridway_forwarding::policy::{Policy, Vnet};
use gridway_forwarding::{
    Counters, DropReason, Expectations, Forwarder, Inbound, Outbound, PeerId, Peers, Registry, Shared,
    Simulation, Target, Tunnel, VnetId,
};
use gridway_model::generate::{DATA_MTU, PEERS, data_addresses};
use gridway_model::{Fate, Input, To};
use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::packet::{Transport, parse};
use gridway_wire::time::Nanos;
use ipnet::IpNet;

use crate::outcome::{Outcome, Sent, name};

pub(crate) struct Real {
    registry: Registry,
    /// Of [`PEERS`].
    ids: [PeerId; PEERS.len()],
    policy: Arc<Policy>,
    flows: Arc<FlowTable>,
    fragments: Arc<Fragments>,
    peers: Arc<Peers>,
    counters: Arc<Counters>,
    forwarder: Forwarder,
    learnt: Expectations,
    now: Nanos,
}

impl Real {
    pub(crate) fn new(config: &Config) -> Self {
        let (mut registry, peers) = (Registry::default(), Arc::new(Peers::default()));
        let ids = PEERS.map(|name| registry.peer(name).expect("a few names"));
        let policy = Policy::compile(&Arc::new(config.clone()), &mut registry, None).expect("a few names");
        let policy = Arc::new(policy);
        let flows = Arc::new(FlowTable::new(4096, [17, 4]));
        let fragments = Arc::new(Fragments::new(4096));
        let shared = Shared {
            flows: flows.clone(),
            fragments: fragments.clone(),
            peers: peers.clone(),
            monitors: Arc::default(),
            pings: Arc::default(),
        };
        let hops = Arc::new(data_link());
        let counters = Arc::new(Counters::default());
        let forwarder = Forwarder::new(policy.clone(), hops, shared, counters.clone(), DATA_MTU, [5; 32]);
        let now = Nanos(1_000_000_000);
        Self {
            registry,
            ids,
            policy,
            flows,
            fragments,
            peers,
            counters,
            forwarder,
            learnt: Expectations::default(),
            now,
        }
    }

    /// Flows, mappings and datagrams that are remembered.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        [self.flows.len(), self.flows.mappings().len(), self.fragments.len()]
    }

    /// Answers that the limit of errors suppressed.
    pub(crate) fn answers_suppressed(&self) -> u64 {
        self.counters.answers_suppressed.get()
    }

    pub(crate) fn flows(&self) -> Vec<FlowView> {
        let mut found = Vec::new();
        self.flows.for_each(|_, flow| {
            found.push(*flow);
            true
        });
        found
    }

    pub(crate) fn vnet_id(&self, name: &str) -> Option<VnetId> {
        self.policy.vnet_named(name).map(|vnet| vnet.id)
    }

    pub(crate) fn peer_name(&self, peer: PeerId) -> String {
        let named = PEERS.iter().zip(&self.ids).find(|(_, id)| **id == peer);
        named.map_or("unknown", |(name, _)| name).to_owned()
    }

    pub(crate) fn apply(&mut self, input: &Input) -> Outcome {
        let before = self.dropped_held();
        self.forwarder.begin_turn(|| &self.policy);
        let simulated = self.simulate(input);
        let fate = match input {
            Input::Outbound(bytes) => Some(self.outbound(bytes)),
            Input::Inbound { peer, vnet, bytes } => Some(self.inbound(peer, vnet, bytes)),
            Input::Advance(time) => {
                let expired = self.advance(*time);
                return Outcome { expired, ..Outcome::default() };
            }
            Input::Peer { name, up, mtu } => {
                let peer = self.registry.peer(name).expect("a few names");
                self.peers.set_mtu(peer, *mtu);
                self.peers.set_up(peer, *up);
                None
            }
            Input::Monitor { vnet, to, via, passing } => {
                self.set_monitor(vnet, *to, via, *passing);
                None
            }
            Input::Config(config) => {
                self.reload(config);
                None
            }
        };
        if let (Some(simulated), Some(fate)) = (simulated, &fate) {
            assert_eq!(simulated, gist(fate), "a simulation of {input:?}");
        }
        let mut outcome = Outcome { fate, ..Outcome::default() };
        self.collect(&mut outcome);
        outcome.dropped.extend(before.iter().zip(self.dropped_held()).flat_map(
            |((reason, old), (_, new))| {
                std::iter::repeat_n(name(*reason), usize::try_from(new - old).expect("few packets"))
            },
        ));
        outcome
    }

    /// What a simulation makes of a packet, which changes nothing. `None`: it is no packet, or one that simulations
    /// are not asked about: a later fragment, an ICMP error, one for the data NIC's own address.
    fn simulate(&self, input: &Input) -> Option<String> {
        let (Input::Outbound(bytes) | Input::Inbound { bytes, .. }) = input else { return None };
        let packet = parse(bytes).ok()?;
        if matches!(packet.transport, Transport::LaterFragment | Transport::IcmpError { .. }) {
            return None;
        }
        let before = (self.sizes(), self.flows(), self.hits());
        let shared = Shared {
            flows: self.flows.clone(),
            fragments: self.fragments.clone(),
            peers: self.peers.clone(),
            monitors: Arc::default(),
            pings: Arc::default(),
        };
        let hops = Arc::new(data_link());
        let simulation = Simulation::new(self.policy.clone(), hops, shared, DATA_MTU, [6; 32]);
        let mut bytes = bytes.clone();
        let simulated = match input {
            Input::Inbound { peer, vnet, .. } => {
                let mut registry = self.registry.clone();
                let peer_id = registry.peer(peer).expect("a few names");
                let id = registry.vnet(vnet).expect("a few names");
                let (verdict, steps) = simulation.inbound(peer_id, id, &mut bytes, self.now);
                assert!(!steps.is_empty());
                match verdict {
                    Inbound::Deliver { destination, .. } if data_addresses().contains(&destination) => {
                        return None;
                    }
                    Inbound::Deliver { destination, .. } => format!("delivered to {destination}"),
                    Inbound::Relay { to, .. } => format!("relayed to {:?}", self.names(to)),
                    Inbound::Answer { .. } => "answered".to_owned(),
                    Inbound::Consumed => unreachable!("no monitor asked"),
                    Inbound::Held => "held".to_owned(),
                    Inbound::Drop(reason) => format!("dropped: {}", name(reason)),
                }
            }
            _ => match simulation.outbound(&mut bytes, self.now).0 {
                Outbound::Tunnel { to, .. } => format!("tunnelled to {:?}", self.names(to)),
                Outbound::Answer { .. } => "answered".to_owned(),
                Outbound::Held => "held".to_owned(),
                Outbound::Drop(reason) => format!("dropped: {}", name(reason)),
            },
        };
        assert_eq!(before, (self.sizes(), self.flows(), self.hits()), "a simulation changes nothing");
        Some(simulated)
    }

    /// What rules have counted.
    fn hits(&self) -> Vec<u64> {
        let of_vnet = |vnet: &Vnet| -> Vec<u64> {
            let acl = vnet.acl.rules().map(|(_, hits)| hits.read().0);
            let nat = [&vnet.nat.inside, &vnet.nat.outside];
            let nat = nat.into_iter().flat_map(|nat| nat.rules()).map(|rule| rule.hits.read().0);
            acl.chain(nat).collect()
        };
        self.policy.vnets().flat_map(of_vnet).collect()
    }

    fn reload(&mut self, config: &Config) {
        let policy = Policy::compile(&Arc::new(config.clone()), &mut self.registry, Some(&self.policy));
        self.policy = Arc::new(policy.expect("a few names"));
        self.peers.start_epoch();
    }

    /// What a monitor makes of its probes: it asks nothing itself here.
    fn set_monitor(&mut self, vnet: &str, to: IpNet, via: &str, passing: bool) {
        let peer = self.registry.peer(via).expect("a few names");
        let vnet = self.policy.vnet_named(vnet).expect("all configurations have the vnet");
        let mut routes = vnet.routes.iter();
        let route = routes.find(|(prefix, route)| (*prefix, route.peer) == (to, peer));
        if let Some(monitor) = route.and_then(|(_, route)| route.monitor) {
            self.peers.set_passes(monitor, passing);
        }
    }

    fn advance(&mut self, time: Duration) -> u64 {
        self.now = self.now + time;
        self.flows.expire(&mut 0, usize::MAX, &self.policy.timeouts, self.now);
        self.fragments.expire(self.now).iter().sum()
    }

    fn outbound(&mut self, given: &[u8]) -> Fate {
        let mut bytes = given.to_vec();
        self.forwarder.expect_outbound(std::iter::once(given), &mut self.learnt);
        match self.forwarder.outbound_expected(&mut bytes, self.learnt.of(0), self.now) {
            Outbound::Tunnel { to, len } => {
                let (peer, vnet) = self.names(to);
                Fate::Tunnelled { peer, vnet, bytes: bytes[..len].to_vec() }
            }
            Outbound::Answer { destination, len } => {
                Fate::Answered { to: To::Local(destination), bytes: bytes[..len].to_vec() }
            }
            Outbound::Held => Fate::Held,
            Outbound::Drop(reason) => {
                assert_eq!(bytes, given, "a packet that is dropped is left as it was");
                Fate::Dropped(name(reason))
            }
        }
    }

    fn inbound(&mut self, peer: &str, vnet: &str, bytes: &[u8]) -> Fate {
        let mut bytes = bytes.to_vec();
        let sender = self.registry.peer(peer).expect("a few names");
        let id = self.registry.vnet(vnet).expect("a few names");
        self.forwarder.expect_inbound(id, std::iter::once(&bytes[..]), &mut self.learnt);
        match self.forwarder.inbound_expected(sender, id, &mut bytes, self.learnt.of(0), self.now) {
            Inbound::Deliver { destination, len } if data_addresses().contains(&destination) => {
                self.at_data_address(&mut bytes[..len])
            }
            Inbound::Deliver { destination, len } => {
                Fate::Delivered { destination, bytes: bytes[..len].to_vec() }
            }
            Inbound::Relay { to, len } => {
                let (peer, vnet) = self.names(to);
                Fate::Relayed { peer, vnet, bytes: bytes[..len].to_vec() }
            }
            Inbound::Answer { len } => {
                let to = To::Peer { peer: peer.to_owned(), vnet: vnet.to_owned() };
                Fate::Answered { to, bytes: bytes[..len].to_vec() }
            }
            Inbound::Consumed => unreachable!("no monitor asked"),
            Inbound::Held => Fate::Held,
            Inbound::Drop(reason) => Fate::Dropped(name(reason)),
        }
    }

    /// What a worker does with a packet for an address of its data NIC.
    fn at_data_address(&mut self, bytes: &mut [u8]) -> Fate {
        let packet = parse(bytes).expect("what is delivered can be read");
        if !echo_reply_in_place(bytes, &packet) {
            self.forwarder.undeliverable(bytes, self.now);
            return Fate::Dropped(name(DropReason::ToOwnAddress));
        }
        match self.forwarder.outbound(bytes, self.now) {
            Outbound::Tunnel { to, len } => {
                let (peer, vnet) = self.names(to);
                Fate::Answered { to: To::Peer { peer, vnet }, bytes: bytes[..len].to_vec() }
            }
            Outbound::Drop(reason) => Fate::Dropped(name(reason)),
            Outbound::Answer { .. } | Outbound::Held => Fate::Dropped(name(DropReason::ToOwnAddress)),
        }
    }

    /// What was sent besides.
    fn collect(&mut self, outcome: &mut Outcome) {
        while let Some(emission) = self.forwarder.emissions.pop() {
            let to = match emission.to {
                Target::Tunnel(to) => {
                    let (peer, vnet) = self.names(to);
                    To::Peer { peer, vnet }
                }
                Target::Local(destination) if data_addresses().contains(&destination) => {
                    self.forwarder.undeliverable(&emission.bytes, self.now);
                    // An error about the node's own reply ends here, and was held by nobody.
                    if !emission.origin.is_own() {
                        outcome.dropped.push(name(DropReason::ToOwnAddress));
                    }
                    continue;
                }
                Target::Local(destination) => To::Local(destination),
            };
            outcome.released += usize::from(!emission.origin.is_own());
            outcome.emitted.push(Sent { to, bytes: emission.bytes });
        }
    }

    fn names(&self, to: Tunnel) -> (String, String) {
        let vnet = self.policy.vnet(to.vnet).map(|vnet| vnet.name.clone()).unwrap_or_default();
        (self.peer_name(to.peer), vnet)
    }

    /// Held fragments that were dropped when their first came, by reason.
    fn dropped_held(&self) -> Vec<(DropReason, u64)> {
        let books = [&self.counters.outbound, &self.counters.inbound];
        let count = |reason| books.iter().map(|book| book.dropped(reason)).sum();
        DropReason::all().map(|reason| (reason, count(reason))).collect()
    }
}

fn data_link() -> NextHops {
    let on_link = |prefix: &str| (prefix.parse().expect("a prefix"), 0, Via::OnLink);
    NextHops::new([on_link("10.1.0.0/24"), on_link("fd01::/64")], [], data_addresses())
}

/// A fate without the bytes: a port that is chosen at random may be another one.
fn gist(fate: &Fate) -> String {
    match fate {
        Fate::Tunnelled { peer, vnet, .. } => format!("tunnelled to {:?}", (peer, vnet)),
        Fate::Relayed { peer, vnet, .. } => format!("relayed to {:?}", (peer, vnet)),
        Fate::Delivered { destination, .. } => format!("delivered to {destination}"),
        Fate::Answered { .. } => "answered".to_owned(),
        Fate::Held => "held".to_owned(),
        Fate::Dropped(reason) => format!("dropped: {reason}"),
    }
}
