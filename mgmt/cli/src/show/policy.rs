//! `gridway routes`, `nat` and `acl`.

use gridway_control::{AclRow, NatRow, RouteRow};

use super::span;
use crate::table::Table;

pub(super) fn routes(rows: &[RouteRow]) -> Table {
    let mut table = Table::new(["VNET", "TO", "VIA", "METRIC>", "AVAILABLE", "CHOSEN"]);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for row in rows {
        table.row([
            row.vnet.clone(),
            row.to.clone(),
            row.via.clone(),
            row.metric.to_string(),
            yes(row.available),
            yes(row.chosen),
        ]);
    }
    table
}

pub(super) fn nat(rows: &[NatRow], now: u64) -> Table {
    let mut table = Table::new(["VNET", "SIDE", "LOCAL", "VIRTUAL", "HITS>", "FIRST>", "LAST>"]);
    for row in rows {
        table.row([
            row.vnet.clone(),
            row.direction.as_str().to_owned(),
            row.local.clone(),
            row.virtual_prefix.clone(),
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
        "HITS>",
        "FIRST>",
        "LAST>",
    ]);
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

fn ago(time: Option<u64>, now: u64) -> String {
    time.map_or(String::new(), |time| format!("{} ago", span(now.saturating_sub(time))))
}
