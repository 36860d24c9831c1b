//! Flows, listed and ended.

use gridway_control::{FlowFilter, FlowRow, Flows};
use gridway_forwarding::flow::{EndReason, FlowId};

use super::peer_names;
use crate::flow_row::flow_row;
use crate::node::Node;

pub(super) fn flows(node: &Node, filter: &FlowFilter, limit: usize) -> Flows {
    let mut result = Flows { matched: 0, rows: Vec::new() };
    for_each_match(node, filter, |_, row| {
        result.matched += 1;
        if result.rows.len() < limit {
            result.rows.push(row);
        }
    });
    result
}

/// Ends the flows that match and says how many they were.
pub(super) fn kill(node: &Node, filter: &FlowFilter) -> u64 {
    let mut ids = Vec::new();
    for_each_match(node, filter, |id, _| ids.push(id));
    ids.iter().for_each(|id| node.flows.remove(*id, EndReason::Killed));
    ids.len() as u64
}

fn for_each_match(node: &Node, filter: &FlowFilter, mut act: impl FnMut(FlowId, FlowRow)) {
    let (policy, names, now) = (node.policy.load(), peer_names(node), node.clock.now());
    node.flows.for_each(|id, view| {
        let vnet = policy.vnet(view.vnet).map_or_else(String::new, |vnet| vnet.name.clone());
        let row = flow_row(view, vnet, names.get(&view.peer).cloned().unwrap_or_default(), now);
        if filter.matches(&row) {
            act(id, row);
        }
        true
    });
}
