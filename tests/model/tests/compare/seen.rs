//! What the rules leave open, read from the real forwarder's flows.

use gridway_forwarding::flow::{FlowView, Traits};
use gridway_model::{Input, MappingRequest, Oracle, PeerRequest, Place, Tuple};
use gridway_wire::tuple::FiveTuple;

use crate::real::Real;

pub(crate) struct Seen<'r> {
    real: &'r Real,
    flows: Vec<FlowView>,
    sender: Option<String>,
}

impl<'r> Seen<'r> {
    pub(crate) fn new(real: &'r Real, input: &Input) -> Self {
        let sender = match input {
            Input::Inbound { peer, .. } => Some(peer.clone()),
            _ => None,
        };
        // A mapping may have moved: the youngest flow has it.
        let mut flows = real.flows();
        flows.sort_by_key(|flow| std::cmp::Reverse(flow.created));
        Self { real, flows, sender }
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
        // A relay that would send a packet back keeps no flow.
        chosen
            .map(|peer| self.real.peer_name(peer))
            .or_else(|| self.sender.clone())
            .filter(|peer| request.best.contains(peer))
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
