//! `gridway flows`.

use std::net::IpAddr;

use gridway_control::{Flows, Tuple};

use super::span;
use crate::table::Table;

/// Says on standard error that there are more flows than shown.
pub(super) fn warn_of_more(flows: &Flows) {
    let shown = flows.rows.len() as u64;
    if flows.matched > shown {
        eprintln!("{shown} of {} flows; --limit shows more, filters fewer", flows.matched);
    }
}

pub(super) fn flows(flows: &Flows) -> Table {
    let mut table = Table::new([
        "VNET", "PEER", "PROTO", "LOCAL", "VIRTUAL", "STATE", "PACKETS>", "BYTES>", "IDLE>", "FLAGS",
    ]);
    for row in &flows.rows {
        table.row([
            row.vnet.clone(),
            row.peer.clone(),
            protocol(row.local.proto),
            ends(&row.local),
            ends(&row.virtual_tuple),
            row.state.clone(),
            row.packets.to_string(),
            row.bytes.to_string(),
            span(row.idle_s),
            row.tcp_flags.clone(),
        ]);
    }
    table
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

/// `10.1.0.2:40000 > 172.16.2.2:443`.
fn ends(tuple: &Tuple) -> String {
    let end = |address: IpAddr, port: u16| match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    format!("{} > {}", end(tuple.src, tuple.sport), end(tuple.dst, tuple.dport))
}
