//! The model: configuration, what is up, and what is remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gridway_config::{Config, Route, Vnet};
use ipnet::IpNet;

use crate::flow::{Flow, Kind, Side};
use crate::forward::{Datagram, Waited};
use crate::journal::Input;
use crate::oracle::{IllegalChoice, Oracle};
use crate::packet::Packet;
use crate::policy::{Reachable, is_remote, select};
use crate::reason::Reason;
use crate::step::Step;
use crate::tuple::Tuple;

/// A tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tunnel {
    up: bool,
    mtu: u16,
}

/// What an [`Input`] led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A packet came in.
    Step(Step),
    /// Time passed; these are the fates of fragments that had waited.
    Expired(Vec<Reason>),
    /// Something changed.
    Done,
}

/// Layer 3 of one node.
#[derive(Debug)]
pub struct Model {
    pub(crate) config: Arc<Config>,
    pub(crate) data_addresses: Vec<IpAddr>,
    pub(crate) data_mtu: u16,
    pub(crate) now: Duration,
    pub(crate) flows: Vec<Flow>,
    pub(crate) datagrams: Vec<Datagram>,
    /// Fragments that had waited and whose first one was just decided.
    pub(crate) released: VecDeque<Waited>,
    /// Address of a pool that a remote host keeps as long as it has mappings, by vnet and host.
    pub(crate) pairings: BTreeMap<(String, IpAddr), IpAddr>,
    tunnels: BTreeMap<String, Tunnel>,
    failing: BTreeSet<(String, IpNet, String)>,
    last_id: u64,
}

impl Model {
    /// A node whose tunnels are all down. `data_addresses` are those of the data NIC, `data_mtu` is its MTU.
    #[must_use]
    pub fn new(config: &Config, data_addresses: Vec<IpAddr>, data_mtu: u16) -> Self {
        Self {
            config: Arc::new(config.clone()),
            data_addresses,
            data_mtu,
            now: Duration::ZERO,
            flows: Vec::new(),
            datagrams: Vec::new(),
            released: VecDeque::new(),
            pairings: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            failing: BTreeSet::new(),
            last_id: 0,
        }
    }

    /// Whatever can happen to a node, in one call.
    ///
    /// # Errors
    /// [`IllegalChoice`] of the oracle.
    pub fn apply(&mut self, input: &Input, oracle: &mut dyn Oracle) -> Result<Applied, IllegalChoice> {
        match input {
            Input::Outbound(bytes) => return self.outbound(bytes, oracle).map(Applied::Step),
            Input::Inbound { peer, vnet, bytes } => {
                return self.inbound(peer, vnet, bytes, oracle).map(Applied::Step);
            }
            Input::Advance(time) => return Ok(Applied::Expired(self.advance(*time))),
            Input::Peer { name, up, mtu } => self.set_peer(name, *up, *mtu),
            Input::Monitor { vnet, to, via, passing } => self.set_monitor(vnet, *to, via, *passing),
            Input::Config(config) => self.set_config(config),
        }
        Ok(Applied::Done)
    }

    /// A new configuration. Flows stay, and are judged again at their next packet.
    pub fn set_config(&mut self, config: &Config) {
        self.config = Arc::new(config.clone());
    }

    /// A tunnel comes up, with the peer's data MTU from its hello, or goes down.
    pub fn set_peer(&mut self, name: &str, up: bool, mtu: u16) {
        self.tunnels.insert(name.to_owned(), Tunnel { up, mtu });
    }

    /// The monitor of the route of `vnet` to `to` via `via` passes or fails. All pass at first.
    pub fn set_monitor(&mut self, vnet: &str, to: IpNet, via: &str, passing: bool) {
        let route = (vnet.to_owned(), to, via.to_owned());
        if passing {
            self.failing.remove(&route);
        } else {
            self.failing.insert(route);
        }
    }

    /// Time passes. Gives the fates of fragments that waited too long.
    pub fn advance(&mut self, time: Duration) -> Vec<Reason> {
        self.now += time;
        let (now, limits) = (self.now, self.config.flows);
        self.flows.retain(|flow| now - flow.last_seen < flow.idle_limit(&limits));
        self.expire_datagrams()
    }

    /// All flows.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// How many datagrams in fragments are followed.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.datagrams.len()
    }

    /// The time since the model was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// A packet of a flow passed, if that still exists.
    pub(crate) fn saw(&mut self, id: u64, side: Side, packet: &Packet) {
        let now = self.now;
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.id == id) {
            flow.saw(side, packet, now);
        }
    }

    pub(crate) fn flow_from_local(&self, tuple: &Tuple) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.kind == Kind::Local && flow.local == *tuple)
    }

    pub(crate) fn flow_from_overlay(&self, vnet: &str, tuple: &Tuple) -> Option<&Flow> {
        let begun = |flow: &&Flow| flow.vnet == vnet && flow.overlay == *tuple;
        let answered = |flow: &&Flow| flow.vnet == vnet && flow.kind == Kind::Relayed && flow.local == *tuple;
        self.flows.iter().find(begun).or_else(|| self.flows.iter().find(answered))
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.flows.retain(|flow| flow.id != id);
    }

    /// Puts a flow into the table, in the place of what it was and of any other with one of its tuples.
    pub(crate) fn commit(&mut self, mut flow: Flow) -> u64 {
        if flow.id == 0 {
            self.last_id += 1;
            flow.id = self.last_id;
        }
        self.flows.retain(|other| {
            let same_local =
                other.kind == Kind::Local && flow.kind == Kind::Local && other.local == flow.local;
            let same_overlay = other.vnet == flow.vnet && other.overlay == flow.overlay;
            other.id != flow.id && !same_local && !same_overlay
        });
        // A remote host has one mapping: one that moved to another pool moves for its older flows as well.
        for other in self.flows.iter_mut().filter(|other| other.vnet == flow.vnet) {
            if let (Some(old), Some(new)) = (&mut other.mapping, &flow.mapping)
                && (old.protocol, old.host, old.host_port) == (new.protocol, new.host, new.host_port)
            {
                *old = *new;
            }
        }
        let id = flow.id;
        self.flows.push(flow);
        id
    }

    pub(crate) fn is_up(&self, peer: &str) -> bool {
        self.tunnels.get(peer).is_some_and(|tunnel| tunnel.up)
    }

    pub(crate) fn with_routes<R>(&self, vnet: &Vnet, ask: impl FnOnce(&Reachable<'_>) -> R) -> R {
        let available = |route: &Route| {
            let key = (vnet.name.as_str().to_owned(), route.to, route.via.as_str().to_owned());
            let passing = route.monitor.is_none() || !self.failing.contains(&key);
            self.is_up(route.via.as_str()) && passing
        };
        ask(&Reachable { vnet, available: &available })
    }

    /// The largest packet that goes to `peer`: the least of own data MTU, the peer's and the vnet's.
    pub(crate) fn path_mtu(&self, vnet: &Vnet, peer: &str) -> u16 {
        let of_peer = self.tunnels.get(peer).map_or(u16::MAX, |tunnel| tunnel.mtu);
        self.data_mtu.min(of_peer).min(vnet.mtu.unwrap_or(u16::MAX))
    }

    /// The largest packet that is relayed to `peer`: the data link is not on its way.
    pub(crate) fn relay_mtu(&self, vnet: &Vnet, peer: &str) -> u16 {
        self.peer_mtu(peer).min(vnet.mtu.unwrap_or(u16::MAX))
    }

    /// The data MTU of a peer, from its hello.
    pub(crate) fn peer_mtu(&self, peer: &str) -> u16 {
        self.tunnels.get(peer).map_or(u16::MAX, |tunnel| tunnel.mtu)
    }

    /// Whether remote hosts share this address on the data link.
    pub(crate) fn is_shared(&self, address: IpAddr) -> bool {
        let entries = self.config.vnets.iter().flat_map(|vnet| &vnet.outside_nat);
        entries.filter(|entry| entry.is_many_to_one()).any(|entry| entry.local.contains(&address))
    }

    /// Whether the NAT of today translates the flow as it was translated when it began.
    pub(crate) fn translation_stands(&self, flow: &Flow) -> bool {
        let Some(vnet) = self.config.vnet(&flow.vnet) else {
            return false;
        };
        if flow.kind == Kind::Relayed {
            return vnet.relay && is_remote(vnet, flow.overlay.destination);
        }
        let selected = select(&self.config, flow.local.destination);
        selected.is_some_and(|selected| selected.name == vnet.name)
            && self.is_shared(flow.local.source) == flow.hairpin
            && self.translate_out(vnet, &flow.local).is_ok_and(|(there, mapping)| {
                there == flow.overlay.reversed() && mapping.is_some() == flow.mapping.is_some()
            })
    }
}
