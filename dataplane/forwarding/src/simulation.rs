//! What would become of a packet, by the code that decides about real ones, on tables of its own.

use std::net::IpAddr;
use std::sync::Arc;

use gridway_wire::packet::parse;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::mappings::{LocalEndpoint, Mappings, VirtualEndpoint};
use crate::flow::{Flow, FlowTable, Key, NewFlow, Side, Traits};
use crate::forwarder::{Forwarder, Shared};
use crate::fragments::Fragments;
use crate::ids::{PeerId, VnetId};
use crate::next_hop::NextHops;
use crate::policy::{Found, Policy};
use crate::steps::Step;
use crate::verdict::{Inbound, Outbound};

/// Flows that a simulated packet can meet or make: more than one only where it goes back to the overlay.
const FLOWS: usize = 16;

/// The state of a node that packets are tried on. Nothing that they do is seen by anyone.
#[derive(Debug)]
pub struct Simulation {
    policy: Arc<Policy>,
    hops: Arc<NextHops>,
    real: Shared,
    data_mtu: u16,
    seed: [u8; 32],
}

impl Simulation {
    /// A simulation on the node's policy, data link, flows and peers as they are.
    #[must_use]
    pub fn new(
        policy: Arc<Policy>,
        hops: Arc<NextHops>,
        real: Shared,
        data_mtu: u16,
        seed: [u8; 32],
    ) -> Self {
        Self { policy, hops, real, data_mtu, seed }
    }

    /// What would become of a packet from a local host, and what decided.
    pub fn outbound(&self, bytes: &mut [u8], now: Nanos) -> (Outbound, Vec<Step>) {
        let mut run = Run::new(self);
        if let Ok(packet) = parse(bytes) {
            run.know_local(&packet.tuple, now);
        }
        run.forwarder.begin_notes();
        let verdict = run.forwarder.outbound_at_length(bytes, now);
        (verdict, run.forwarder.end_notes())
    }

    /// What would become of a packet that `peer` sent in `vnet`, and what decided.
    pub fn inbound(&self, peer: PeerId, vnet: VnetId, bytes: &mut [u8], now: Nanos) -> (Inbound, Vec<Step>) {
        let mut run = Run::new(self);
        if let Ok(packet) = parse(bytes) {
            run.know_overlay(vnet, &packet.tuple, now);
            // One for a shared address goes back to the overlay: what it would meet there is known when it is
            // known which one that is.
            let mut trial = Run::new(self);
            trial.know_overlay(vnet, &packet.tuple, now);
            trial.forwarder.inbound(peer, vnet, &mut bytes.to_vec(), now);
            let local = trial.forwarder.other_side(Side::Overlay, Some(vnet), &packet.tuple);
            if let Some(local) = local.filter(|local| self.policy.is_shared(local.destination)) {
                run.know_local(&local, now);
            }
        }
        run.forwarder.begin_notes();
        let verdict = run.forwarder.inbound_at_length(peer, vnet, bytes, now);
        (verdict, run.forwarder.end_notes())
    }
}

/// One packet: a forwarder whose tables have what the packet would find in those of the node.
struct Run {
    forwarder: Forwarder,
    real: Arc<FlowTable>,
}

impl Run {
    fn new(simulation: &Simulation) -> Self {
        let Simulation { policy, hops, real, data_mtu, seed } = simulation;
        let own = Shared {
            flows: Arc::new(FlowTable::scratch(FLOWS)),
            fragments: Arc::new(Fragments::new(1)),
            peers: real.peers.clone(),
            monitors: Arc::default(),
            pings: Arc::default(),
        };
        own.flows.mappings().make_offered([]);
        let mut forwarder =
            Forwarder::new(policy.clone(), hops.clone(), own, Arc::default(), *data_mtu, *seed);
        forwarder.is_dry = true;
        Self { forwarder, real: real.flows.clone() }
    }

    fn mappings(&self) -> &Mappings {
        self.forwarder.flows.mappings()
    }

    /// Has it know what a packet with this tuple from a local host would find.
    fn know_local(&self, tuple: &FiveTuple, now: Nanos) {
        self.know_flow(Side::Local, &Key::local(tuple), now);
        let local = LocalEndpoint { address: tuple.destination, port: tuple.destination_port };
        if let Some(endpoint) = self.real.mappings().find(tuple.protocol, local) {
            self.mappings().adopt(endpoint, local);
        }
    }

    /// As [`Self::know_local`], of a packet from the overlay.
    fn know_overlay(&mut self, vnet: VnetId, tuple: &FiveTuple, now: Nanos) {
        let key = Key::overlay(vnet, tuple);
        self.know_flow(Side::Overlay, &key, now);
        // One that is relayed the other way.
        self.know_flow(Side::Local, &key, now);
        self.offer(endpoint_of(vnet, tuple), tuple.source);
    }

    /// The mapping that a remote host has, or would get, whatever pool serves it.
    fn offer(&mut self, endpoint: VirtualEndpoint, source: IpAddr) {
        let policy = self.forwarder.policy.clone();
        let Some(vnet) = policy.vnet(endpoint.vnet) else { return };
        if let Found::Shared(rule) = vnet.nat.outside.to_local(source) {
            let local = self.real.mappings().preview(endpoint, rule.local, &mut self.forwarder.random);
            self.mappings().make_offered(local.map(|local| (endpoint, local)));
        }
    }

    /// Copies the flow that has this key.
    fn know_flow(&self, side: Side, key: &Key, now: Nanos) {
        let Some(flow) = self.real.find(side, key) else { return };
        let seen = self.real.tcp_flags(flow.id);
        if flow.traits.has(Traits::SHARED) {
            let (endpoint, local) = (endpoint_of(flow.vnet, &flow.overlay()), local_endpoint(&flow));
            self.mappings().adopt(endpoint, local);
            self.mappings().hold(&endpoint, local);
        }
        let Flow { vnet, peer, back, epoch, started_by, traits, keys, .. } = flow;
        // Which rule allowed it is of no interest to the packet.
        let copy = NewFlow { vnet, peer, back, epoch, started_by, traits, keys, acl_line: 0 };
        let flows = &self.forwarder.flows;
        if flows.create(&copy, &self.forwarder.policy.timeouts, now).is_ok()
            && let Some(copied) = flows.find(side, key)
        {
            flows.touch(copied.id, Side::Local, 0, seen[Side::Local as usize], now);
            flows.touch(copied.id, Side::Overlay, 0, seen[Side::Overlay as usize], now);
        }
    }
}

/// The remote end of a packet from the overlay.
fn endpoint_of(vnet: VnetId, overlay: &FiveTuple) -> VirtualEndpoint {
    VirtualEndpoint { vnet, protocol: overlay.protocol, address: overlay.source, port: overlay.source_port }
}

/// What stands for the remote end of a flow on the data link.
fn local_endpoint(flow: &Flow) -> LocalEndpoint {
    let local = flow.local();
    LocalEndpoint { address: local.destination, port: local.destination_port }
}
