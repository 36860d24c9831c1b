//! Which peer a packet goes to.

use gridway_config::Vnet;

use super::{Refusal, Stop};
use crate::model::Model;
use crate::oracle::{IllegalChoice, Oracle, PeerRequest};
use crate::reason::TRANSIT_REFUSED;
use crate::tuple::Tuple;

impl Model {
    /// The peer for packets of `tuple`: `current` while it is among the best, else any of the best. Never
    /// `sender`, whom the packet came from.
    pub(super) fn choose_peer(
        &self,
        vnet: &Vnet,
        tuple: &Tuple,
        current: Option<&str>,
        sender: Option<&str>,
        oracle: &mut dyn Oracle,
    ) -> Result<String, Stop> {
        let name = vnet.name.as_str();
        let best = self.with_routes(vnet, |routes| routes.best(tuple.destination));
        let mut best = best.map_err(|reason| Refusal::of(name, reason))?;
        best.retain(|peer| Some(peer.as_str()) != sender);
        if let Some(current) = current.filter(|current| best.iter().any(|peer| peer == current)) {
            return Ok(current.to_owned());
        }
        match best.as_slice() {
            [] => Err(Refusal::of(name, TRANSIT_REFUSED).into()),
            [only] => Ok(only.clone()),
            [first, ..] => {
                let request = PeerRequest { vnet: name.to_owned(), tuple: *tuple, best: best.clone() };
                match oracle.peer(&request) {
                    None => Ok(first.clone()),
                    Some(chosen) if best.contains(&chosen) => Ok(chosen),
                    Some(chosen) => {
                        Err(IllegalChoice::Peer { chosen, best: best.clone(), tuple: *tuple }.into())
                    }
                }
            }
        }
    }

    /// The peer that answers to a flow from `sender` go to: the sender itself while it is among the best.
    /// Where several others are equally good nobody knows yet, and the sender stands in.
    pub(super) fn way_back(&self, vnet: &Vnet, tuple: &Tuple, sender: &str) -> String {
        match self.with_routes(vnet, |routes| routes.best(tuple.destination)) {
            Ok(best) if best.iter().any(|peer| peer == sender) => sender.to_owned(),
            Ok(best) if best.len() == 1 => best[0].clone(),
            _ => sender.to_owned(),
        }
    }
}
