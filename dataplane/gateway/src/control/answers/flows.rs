//! Flows, listed and ended.

use gridway_control::{FlowFilter, FlowRow, Flows, Side, Traffic, Translation, Tuple};
use gridway_forwarding::flow::{self, FlowId, FlowView, State, Traits};
use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

use super::peer_names;
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
    let (policy, names) = (node.policy.load(), peer_names(node));
    node.flows.for_each(|id, view| {
        let vnet = policy.vnet(view.vnet).map_or_else(String::new, |vnet| vnet.name.clone());
        let row = flow(node, view, vnet, names.get(&view.peer).cloned().unwrap_or_default());
        if filter.matches(&row) {
            act(id, row);
        }
        true
    });
}

fn flow(node: &Node, view: &FlowView, vnet: String, peer: String) -> FlowRow {
    let [local, overlay] = view.traffic;
    let traffic = |traffic: gridway_forwarding::flow::Traffic| Traffic {
        packets: traffic.packets,
        bytes: traffic.bytes,
    };
    let relayed = view.traits.has(Traits::RELAYED);
    let (local_tuple, virtual_tuple) = match relayed {
        // Neither side is local: both in the direction that it began in.
        true => (view.overlay, view.overlay),
        false => (view.local, view.overlay.reversed()),
    };
    FlowRow {
        vnet,
        peer,
        local: tuple(&local_tuple),
        virtual_tuple: tuple(&virtual_tuple),
        started_by: match view.started_by {
            flow::Side::Local => Side::Local,
            flow::Side::Overlay => Side::Overlay,
        },
        translation: translation(view),
        relayed,
        state: State::of(view).name().to_owned(),
        packets: local.packets + overlay.packets,
        bytes: local.bytes + overlay.bytes,
        outbound: traffic(local),
        inbound: traffic(overlay),
        age_s: node.clock.now().since(view.created).as_secs(),
        idle_s: node.clock.now().since(view.last_seen()).as_secs(),
        tcp_flags: flag_names(TcpFlags(local.tcp_flags.0 | overlay.tcp_flags.0)),
        tcp_flags_out: flag_names(local.tcp_flags),
        tcp_flags_in: flag_names(overlay.tcp_flags),
    }
}

fn translation(view: &FlowView) -> Translation {
    if view.traits.has(Traits::SHARED) {
        Translation::Port
    } else if view.traits.has(Traits::RELAYED) || view.local == view.overlay.reversed() {
        Translation::None
    } else {
        Translation::OneToOne
    }
}

fn tuple(tuple: &FiveTuple) -> Tuple {
    Tuple {
        src: tuple.source,
        dst: tuple.destination,
        proto: tuple.protocol.0,
        sport: tuple.source_port,
        dport: tuple.destination_port,
    }
}

fn flag_names(flags: TcpFlags) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::URG, "URG"),
        (TcpFlags::ECE, "ECE"),
        (TcpFlags::CWR, "CWR"),
    ];
    let seen: Vec<_> =
        names.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    seen.join(",")
}
