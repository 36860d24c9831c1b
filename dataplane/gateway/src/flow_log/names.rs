//! Names of vnets and peers, those that are not configured any more too: their flows may end later.

use gridway_forwarding::{PeerId, VnetId};

use crate::node::Node;

/// Names by number. Numbers are never given twice.
#[derive(Debug, Default)]
pub(super) struct Names {
    vnets: Vec<String>,
    peers: Vec<String>,
}

impl Names {
    /// Learns the names that are configured.
    pub(super) fn learn(&mut self, node: &Node) {
        for vnet in node.policy.load().vnets() {
            set(&mut self.vnets, vnet.id.index(), &vnet.name);
        }
        for (name, entry) in node.book.entries() {
            set(&mut self.peers, entry.id.index(), &name);
        }
    }

    /// Whether both have names.
    pub(super) fn know(&self, vnet: VnetId, peer: PeerId) -> bool {
        !self.vnet(vnet).is_empty() && !self.peer(peer).is_empty()
    }

    /// The name of a vnet; empty if it was never learnt.
    pub(super) fn vnet(&self, id: VnetId) -> &str {
        self.vnets.get(id.index()).map_or("", String::as_str)
    }

    /// The name of a peer; empty if it was never learnt.
    pub(super) fn peer(&self, id: PeerId) -> &str {
        self.peers.get(id.index()).map_or("", String::as_str)
    }
}

fn set(names: &mut Vec<String>, index: usize, name: &str) {
    if names.len() <= index {
        names.resize_with(index + 1, String::new);
    }
    if names[index] != name {
        name.clone_into(&mut names[index]);
    }
}
