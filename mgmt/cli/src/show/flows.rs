//! `gridway flows`.

use gridway_control::{FlowRow, Flows};

use super::unit::{ends, protocol, span};
use crate::table::Table;

/// Says on standard error that there are more flows than shown.
pub(super) fn warn_of_more(flows: &Flows) {
    let shown = flows.rows.len() as u64;
    if flows.matched > shown {
        eprintln!("{shown} of {} flows; --limit shows more, filters fewer", flows.matched);
    }
}

/// Two lines a flow, as both tuples do not fit into one: what local hosts send, then what they get.
pub(super) fn flows(flows: &Flows) -> Table {
    let mut table =
        Table::new(["VNET", "PROTO", "LOCAL", "STATE", "PACKETS OUT>", "BYTES OUT>", "AGE>", "FLAGS OUT"]);
    table
        .row(["PEER", "RULE", "VIRTUAL", "STARTED BY, NAT", "IN", "IN", "IDLE", "IN"].map(ToOwned::to_owned));
    for row in &flows.rows {
        table.row([
            row.vnet.clone(),
            protocol(row.local.proto),
            ends(&row.local),
            row.state.clone(),
            row.outbound.packets.to_string(),
            row.outbound.bytes.to_string(),
            span(row.age_s),
            row.tcp_flags_out.clone(),
        ]);
        table.row([
            row.peer.clone(),
            row.acl_line.map(|line| line.to_string()).unwrap_or_default(),
            ends(&row.virtual_tuple),
            kind(row),
            row.inbound.packets.to_string(),
            row.inbound.bytes.to_string(),
            span(row.idle_s),
            row.tcp_flags_in.clone(),
        ]);
    }
    table
}

/// `overlay, port, relayed`.
fn kind(row: &FlowRow) -> String {
    let relayed = if row.relayed { ", relayed" } else { "" };
    format!("{}, {}{relayed}", row.started_by.as_str(), row.translation.as_str())
}
