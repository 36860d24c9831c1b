//! What the rules leave open, read from the real forwarder's flows.

use gridway_forwarding::flow::{FlowView, Traits};
use gridway_model::{Fate, Input, MappingRequest, Oracle, PeerRequest, Place, Tuple};
use gridway_wire::tuple::FiveTuple;

use crate::real::Real;

pub(crate) struct Seen<'r> {
    real: &'r Real,
    flows: Vec<FlowView>,
    sender: Option<String>,
    /// The peer that the packet went to.
    sent_to: Option<String>,
}

impl<'r> Seen<'r> {
    pub(crate) fn new(real: &'r Real, input: &Input, fate: Option<&Fate>) -> Self {
        let sender = match input {
            Input::Inbound { peer, .. } => Some(peer.clone()),
            _ => None,
        };
        let sent_to = match fate {
            Some(Fate::Tunnelled { peer, .. } | Fate::Relayed { peer, .. }) => Some(peer.clone()),
            _ => None,
        };
        // A mapping may have moved: the youngest flow has it.
        let mut flows = real.flows();
        flows.sort_by_key(|flow| std::cmp::Reverse(flow.created));
        Self { real, flows, sender, sent_to }
    }

    fn find(&self, vnet: &str, fits: impl Fn(&FlowView) -> bool) -> Option<&FlowView> {
        let vnet = self.real.vnet_id(vnet)?;
        self.flows.iter().find(|flow| flow.vnet == vnet && fits(flow))
    }
}

impl Oracle for Seen<'_> {
    fn mapping(&mut self, request: &MappingRequest) -> Option<Place> {
        let MappingRequest { protocol, host, port, .. } = *request;
        let flow = self.find(&request.vnet, |flow| {
            let overlay = flow.overlay;
            flow.traits.has(Traits::SHARED)
                && (overlay.protocol.0, overlay.source, overlay.source_port) == (protocol, host, port)
        })?;
        Some(Place { address: flow.local.destination, port: Some(flow.local.destination_port) })
    }

    fn peer(&mut self, request: &PeerRequest) -> Option<String> {
        let forth = self.find(&request.vnet, |flow| is(&flow.overlay, &request.tuple));
        let back = self.find(&request.vnet, |flow| is(&flow.overlay.reversed(), &request.tuple));
        let chosen = match (forth, back) {
            (Some(flow), _) if flow.traits.has(Traits::RELAYED) => Some(flow.peer),
            (_, Some(flow)) if flow.traits.has(Traits::RELAYED) => Some(flow.back),
            (_, Some(flow)) => Some(flow.peer),
            _ => None,
        };
        // An error goes to one of the best and moves no flow. A relay that would send a packet back keeps no flow.
        let chosen = chosen.map(|peer| self.real.peer_name(peer));
        let choices = [chosen, self.sent_to.clone(), self.sender.clone()];
        choices.into_iter().flatten().find(|peer| request.best.contains(peer))
    }

    fn way_back(&mut self, request: &PeerRequest) -> Option<String> {
        self.peer(request)
    }
}

fn is(real: &FiveTuple, model: &Tuple) -> bool {
    (real.source, real.destination) == (model.source, model.destination)
        && (real.protocol.0, real.source_port, real.destination_port)
            == (model.protocol, model.source_port, model.destination_port)
}
