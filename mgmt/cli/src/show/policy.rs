//! `gridway routes`, `nat` and `acl`.

use std::net::SocketAddr;

use gridway_control::{AclRow, MonitorRow, NatRow, RouteRow};

use super::unit::{ago, milliseconds};
use crate::table::Table;

pub(super) fn routes(rows: &[RouteRow]) -> Table {
    let mut table = Table::new(["VNET", "TO", "VIA", "METRIC>", "AVAILABLE", "CHOSEN", "MONITOR"]);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for row in rows {
        table.row([
            row.vnet.clone(),
            row.to.clone(),
            row.via.clone(),
            row.metric.to_string(),
            yes(row.available),
            yes(row.chosen),
            row.monitor.as_ref().map_or(String::new(), monitor),
        ]);
    }
    table
}

/// `tcp 10.200.2.2:443 up, 1 of 3 failures, 1.234 ms`.
fn monitor(row: &MonitorRow) -> String {
    let target = match row.port {
        Some(port) => SocketAddr::new(row.target, port).to_string(),
        None => row.target.to_string(),
    };
    let state = if row.up { "up" } else { "down" };
    let latency = row.latency_us.map_or(String::new(), |latency| format!(", {}", milliseconds(latency)));
    format!("{} {target} {state}, {} of {} failures{latency}", row.protocol, row.failures, row.count)
}

pub(super) fn nat(rows: &[NatRow], now: u64) -> Table {
    let mut table = Table::new([
        "VNET",
        "SIDE",
        "KIND",
        "LOCAL",
        "VIRTUAL",
        "PORTS>",
        "EXHAUSTED+",
        "HITS+",
        "FIRST>",
        "LAST>",
    ])
    .keyed_by(5);
    for row in rows {
        table.row([
            row.vnet.clone(),
            row.direction.as_str().to_owned(),
            row.kind.as_str().to_owned(),
            row.local.clone(),
            row.virtual_side.clone(),
            ports(row),
            row.exhausted.to_string(),
            row.hits.to_string(),
            ago(row.first, now),
            ago(row.last, now),
        ]);
    }
    table
}

pub(super) fn acl(rows: &[AclRow], now: u64) -> Table {
    let mut table = Table::new([
        "VNET",
        "LINE>",
        "ACTION",
        "PROTOCOL",
        "SOURCE",
        "DESTINATION",
        "PORTS",
        "HITS+",
        "FIRST>",
        "LAST>",
    ])
    .keyed_by(2);
    for row in rows {
        table.row([
            row.vnet.clone(),
            row.line.to_string(),
            row.action.clone(),
            row.protocol.clone(),
            row.source.clone(),
            row.destination.clone(),
            row.ports.clone().unwrap_or_default(),
            row.hits.to_string(),
            ago(row.first, now),
            ago(row.last, now),
        ]);
    }
    table
}

/// `12/64512`, where ports are translated.
fn ports(row: &NatRow) -> String {
    match (row.ports_used, row.ports_limit) {
        (Some(used), Some(limit)) => format!("{used}/{limit}"),
        (Some(used), None) => used.to_string(),
        (None, _) => String::new(),
    }
}
