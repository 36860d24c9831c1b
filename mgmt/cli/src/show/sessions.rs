//! `gridway sessions`, `connectors` and `services`.

use gridway_control::{ConnectorRow, Refusals, ServiceRow, Sessions};

use super::unit::span;
use crate::table::Table;

/// Says on standard error that there are more sessions than shown.
pub(super) fn warn_of_more(sessions: &Sessions) {
    let shown = sessions.rows.len() as u64;
    if sessions.matched > shown {
        eprintln!("{shown} of {} sessions; --limit shows more", sessions.matched);
    }
}

/// Two lines a session: how it begins, then where it leads.
pub(super) fn sessions(sessions: &Sessions) -> Table {
    let mut table = Table::new(["ID", "CONNECTOR", "PEER", "CLIENT", "STATE", "BYTES IN>", "AGE>"]);
    table.row(["SIDE", "SERVICE", "PROTO", "TARGET", " ", "OUT", "IDLE"].map(ToOwned::to_owned));
    for row in &sessions.rows {
        table.row([
            row.id.to_string(),
            row.connector.clone().unwrap_or_default(),
            row.peer.clone(),
            row.client.to_string(),
            row.state.as_str().to_owned(),
            row.bytes_in.to_string(),
            span(row.age_s),
        ]);
        table.row([
            row.side.as_str().to_owned(),
            row.service.clone(),
            row.protocol.clone(),
            row.target.map_or(String::new(), |target| target.to_string()),
            " ".to_owned(),
            row.bytes_out.to_string(),
            span(row.idle_s),
        ]);
    }
    table
}

/// Two lines a connector: where it listens, then where it leads.
pub(super) fn connectors(rows: &[ConnectorRow]) -> Table {
    let mut table = Table::new(["NAME", "PROTO", "LISTEN", "STATE", "SESSIONS>", "BYTES IN>", "REFUSED"]);
    table.row(["VNET", "PEER", "SERVICE", "ERROR", "ACCEPTED", "OUT", " "].map(ToOwned::to_owned));
    for row in rows {
        table.row([
            row.name.clone(),
            row.protocol.clone(),
            row.listen.to_string(),
            row.state.as_str().to_owned(),
            row.sessions.to_string(),
            row.bytes_in.to_string(),
            refused(&row.refused, row.lost),
        ]);
        table.row([
            row.vnet.clone().unwrap_or_default(),
            row.peer.clone(),
            row.service.clone(),
            row.error.clone().unwrap_or_default(),
            row.accepted.to_string(),
            row.bytes_out.to_string(),
            " ".to_owned(),
        ]);
    }
    table
}

pub(super) fn services(rows: &[ServiceRow]) -> Table {
    let mut table = Table::new([
        "SERVICE",
        "PROTO",
        "TARGET",
        "PEERS",
        "SESSIONS>",
        "OPENED+",
        "BYTES IN+",
        "BYTES OUT+",
        "REFUSED",
    ])
    .keyed_by(3);
    for row in rows {
        table.row([
            row.name.clone().unwrap_or_default(),
            row.protocol.clone(),
            row.target.clone(),
            row.peers.join(", "),
            row.sessions.to_string(),
            row.opened.to_string(),
            row.bytes_in.to_string(),
            row.bytes_out.to_string(),
            refused(&row.refused, row.lost),
        ]);
    }
    table
}

/// Refusals by reason, and lost datagrams: `not_allowed 7, session_limit 2`.
fn refused(reasons: &Refusals, lost: u64) -> String {
    let all = reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).chain([("lost", lost)]);
    let occurred = all.filter(|(_, count)| *count > 0);
    occurred.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}
