//! A flow as operators see it.

use gridway_control::{FlowRow, Side, Traffic, Translation, Tuple};
use gridway_forwarding::flow::{self, FlowView, State, Traits};
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

/// The row of a flow between this node and `peer` in `vnet`, at the time `now`.
pub(crate) fn flow_row(view: &FlowView, vnet: String, peer: String, now: Nanos) -> FlowRow {
    let [local, overlay] = view.traffic;
    let traffic = |traffic: flow::Traffic| Traffic { packets: traffic.packets, bytes: traffic.bytes };
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
        age_s: now.since(view.created).as_secs(),
        idle_s: now.since(view.last_seen()).as_secs(),
        tcp_flags: flag_names(local.tcp_flags | overlay.tcp_flags),
        tcp_flags_out: flag_names(local.tcp_flags),
        tcp_flags_in: flag_names(overlay.tcp_flags),
        acl_line: Some(view.acl_line),
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

/// A tuple as the control protocol shows it.
pub(crate) fn tuple(tuple: &FiveTuple) -> Tuple {
    Tuple {
        src: tuple.source,
        dst: tuple.destination,
        proto: tuple.protocol.0,
        sport: tuple.source_port,
        dport: tuple.destination_port,
    }
}

pub(crate) fn flag_names(flags: TcpFlags) -> String {
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
