//! What would become of a packet, by the code that decides about real ones, on tables of its own.

use std::net::IpAddr;
use std::sync::Arc;

use gridway_wire::packet::parse;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;

use crate::flow::mappings::{LocalEndpoint, Mappings, VirtualEndpoint};
use crate::flow::{FlowTable, FlowView, Key, NewFlow, Side, Traits};
use crate::forwarder::{Forwarder, Shared};
use crate::fragments::Fragments;
use crate::ids::{PeerId, VnetId};
use crate::next_hop::NextHops;
use crate::policy::{Found, Policy};
use crate::steps::Step;
use crate::verdict::{Inbound, Outbound};

/// Flows that a simulated packet can meet or make: more than one only where it goes back to the overlay.
const FLOWS: usize = 16;

/// A forwarder for one packet. What it knows of the node's flows is what the packet would find; nothing that it does
/// is seen by anyone.
#[derive(Debug)]
pub struct Simulation {
    forwarder: Forwarder,
    real: Arc<FlowTable>,
}

impl Simulation {
    /// A simulation on the node's policy, data link, flows and peers as they are.
    #[must_use]
    pub fn new(
        policy: Arc<Policy>,
        hops: Arc<NextHops>,
        shared: &Shared,
        data_mtu: u16,
        seed: [u8; 32],
    ) -> Self {
        let [low, high] = [seed[0], seed[1]].map(u64::from);
        let own = Shared {
            flows: Arc::new(FlowTable::new(FLOWS, [low, high])),
            fragments: Arc::new(Fragments::new(1)),
            peers: shared.peers.clone(),
            monitors: Arc::default(),
            pings: Arc::default(),
        };
        own.flows.mappings().close();
        let mut forwarder = Forwarder::new(policy, hops, own, Arc::default(), data_mtu, seed);
        forwarder.is_dry = true;
        Self { forwarder, real: shared.flows.clone() }
    }

    /// What would become of a packet from a local host, and what decided.
    pub fn outbound(&mut self, bytes: &mut [u8], now: Nanos) -> (Outbound, Vec<Step>) {
        if let Ok(packet) = parse(bytes) {
            self.know_flow(Side::Local, &Key::local(&packet.tuple), now);
            let local =
                LocalEndpoint { address: packet.tuple.destination, port: packet.tuple.destination_port };
            if let Some(endpoint) = self.real.mappings().find(packet.tuple.protocol, local) {
                self.mappings().adopt(endpoint, local);
            }
        }
        self.forwarder.begin_notes();
        let verdict = self.forwarder.outbound(bytes, now);
        (verdict, self.forwarder.end_notes())
    }

    /// What would become of a packet that `peer` sent in `vnet`, and what decided.
    pub fn inbound(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        now: Nanos,
    ) -> (Inbound, Vec<Step>) {
        if let Ok(packet) = parse(bytes) {
            let key = Key::overlay(vnet, &packet.tuple);
            self.know_flow(Side::Overlay, &key, now);
            self.know_flow(Side::Local, &key, now);
            let endpoint = VirtualEndpoint {
                vnet,
                protocol: packet.tuple.protocol,
                address: packet.tuple.source,
                port: packet.tuple.source_port,
            };
            self.know_mapping(endpoint, packet.tuple.source);
        }
        self.forwarder.begin_notes();
        let verdict = self.forwarder.inbound(peer, vnet, bytes, now);
        (verdict, self.forwarder.end_notes())
    }

    fn mappings(&self) -> &Mappings {
        self.forwarder.flows.mappings()
    }

    /// The mapping that a remote host has, or would get: taken from the node's, and given back at once.
    fn know_mapping(&mut self, endpoint: VirtualEndpoint, source: IpAddr) {
        let policy = self.forwarder.policy.clone();
        let Some(vnet) = policy.vnet(endpoint.vnet) else { return };
        if let Found::Shared(rule) = vnet.nat.outside.to_local(source)
            && let Some(local) =
                self.real.mappings().acquire(endpoint, rule.local, &mut self.forwarder.random)
        {
            self.real.mappings().release(&endpoint);
            self.mappings().adopt(endpoint, local);
        }
    }

    /// Copies the flow that the packet belongs to.
    fn know_flow(&self, side: Side, key: &Key, now: Nanos) {
        let Some(flow) = self.real.find(side, key) else { return };
        let Some(FlowView { traffic, .. }) = self.real.view_of(flow.id) else { return };
        if flow.traits.has(Traits::SHARED) {
            let (local, overlay) = (flow.local(), flow.overlay());
            let endpoint = VirtualEndpoint {
                vnet: flow.vnet,
                protocol: overlay.protocol,
                address: overlay.source,
                port: overlay.source_port,
            };
            let port = if local.protocol.is_icmp() { local.source_port } else { local.destination_port };
            self.mappings().adopt(endpoint, LocalEndpoint { address: local.destination, port });
            self.mappings().hold(&endpoint, LocalEndpoint { address: local.destination, port });
        }
        let copy = NewFlow {
            vnet: flow.vnet,
            peer: flow.peer,
            back: flow.back,
            epoch: flow.epoch,
            started_by: flow.started_by,
            traits: flow.traits,
            keys: flow.keys,
        };
        let flows = &self.forwarder.flows;
        if flows.create(&copy, &self.forwarder.policy.timeouts, now).is_ok()
            && let Some(copied) = flows.find(side, key)
        {
            for side in [Side::Local, Side::Overlay] {
                let seen: TcpFlags = traffic[side as usize].tcp_flags;
                flows.touch(copied.id, side, 0, seen, now);
            }
        }
    }
}
