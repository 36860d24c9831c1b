//! Which peer a packet goes to.

use gridway_config::Vnet;

use super::{Refusal, Stop};
use crate::flow::{Flow, Side};
use crate::model::Model;
use crate::oracle::{IllegalChoice, Oracle, PeerRequest};
use crate::tuple::Tuple;

impl Model {
    /// The peer for packets of `tuple`: `current` while it is among the best, else any of the best.
    pub(super) fn choose_peer(
        &self,
        vnet: &Vnet,
        tuple: &Tuple,
        current: Option<&str>,
        oracle: &mut dyn Oracle,
    ) -> Result<String, Stop> {
        let name = vnet.name.as_str();
        let best = self.with_routes(vnet, |routes| routes.best(tuple.destination));
        let best = best.map_err(Refusal::of)?;
        Ok(one_of(name, tuple, best, current, &mut |request| oracle.peer(request))?)
    }

    /// The peer that the reply to an ICMP query goes to: the one the query last came from, while that one's tunnel
    /// is up and it may send packets of that source. `None`: as routes say.
    fn way_of_reply(&self, vnet: &Vnet, flow: &Flow) -> Option<String> {
        if !flow.is_query_from_overlay() {
            return None;
        }
        let asker = flow.peers[Side::Local as usize].clone()?;
        let feasible = self.with_routes(vnet, |routes| routes.is_feasible(flow.overlay.source, &asker));
        (self.is_up(&asker) && feasible).then_some(asker)
    }

    /// The peer that answers of a flow, and errors about what is answered, go to.
    pub(super) fn peer_of_answers(
        &self,
        vnet: &Vnet,
        flow: &Flow,
        oracle: &mut dyn Oracle,
    ) -> Result<String, Stop> {
        match self.way_of_reply(vnet, flow) {
            Some(asker) => Ok(asker),
            None => {
                let current = flow.peers[Side::Local as usize].as_deref();
                self.choose_peer(vnet, &flow.overlay.reversed(), current, oracle)
            }
        }
    }

    /// The peer that packets in the other direction go to: `current` (the sender, of a flow that begins) while it
    /// is among the best, else any of the best; `current` as long as there is none.
    pub(super) fn way_back(
        &self,
        vnet: &Vnet,
        tuple: &Tuple,
        current: &str,
        oracle: &mut dyn Oracle,
    ) -> Result<String, IllegalChoice> {
        match self.with_routes(vnet, |routes| routes.best(tuple.destination)) {
            Ok(best) => one_of(vnet.name.as_str(), tuple, best, Some(current), &mut |request| {
                oracle.way_back(request)
            }),
            Err(_) => Ok(current.to_owned()),
        }
    }
}

fn one_of(
    vnet: &str,
    tuple: &Tuple,
    best: Vec<String>,
    current: Option<&str>,
    ask: &mut dyn FnMut(&PeerRequest) -> Option<String>,
) -> Result<String, IllegalChoice> {
    if let Some(current) = current.filter(|current| best.iter().any(|peer| peer == current)) {
        return Ok(current.to_owned());
    }
    if let [only] = best.as_slice() {
        return Ok(only.clone());
    }
    let request = PeerRequest { vnet: vnet.to_owned(), tuple: *tuple, best };
    match ask(&request) {
        None => Ok(request.best[0].clone()),
        Some(chosen) if request.best.contains(&chosen) => Ok(chosen),
        Some(chosen) => Err(IllegalChoice::Peer { chosen, best: request.best, tuple: *tuple }),
    }
}
