//! `gridway status`, `peers` and `limits`.

use std::io::{self, Write};

use gridway_control::{LimitRow, PeerRow, Status};

use super::{milliseconds, span};
use crate::table::{Table, printable};

pub(super) fn status(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12}{}", printable(&value));
    line("node", format!("{}.{} ({})", status.node, status.domain, status.role))?;
    line("version", status.version.clone())?;
    line("running", format!("{}, process {}", span(status.uptime_s), status.pid))?;
    match &status.data {
        Some(data) => {
            let modes = format!("{} XDP, {} rings, {} pages", data.attach_mode, data.ring_mode, data.pages);
            line("data", format!("{}: {modes}, {} queue(s), MTU {}", data.interface, data.queues, data.mtu))?;
        }
        None => line("data", "none".to_owned())?,
    }
    let listen =
        status.listen.as_ref().map_or("dials only".to_owned(), |listen| format!("listens at {listen}"));
    line("management", format!("{}, {listen}", status.management))?;
    for worker in &status.workers {
        line("worker", format!("CPU {}: {}", worker.cpu, worker.roles.join(", ")))?;
    }
    line("peers", format!("{} of {} up", status.peers_up, status.peers))?;
    line("vnets", format!("{}, policy generation {}", status.vnets, status.policy_generation))?;
    line("flows", format!("{} of {}", status.flows, status.flows_limit))?;
    if let Some(error) = &status.last_reload_error {
        line("reload", format!("refused: {error}"))?;
    }
    Ok(())
}

pub(super) fn peers(rows: &[PeerRow]) -> Table {
    let mut table = Table::new([
        "PEER",
        "STATE",
        "SINCE>",
        "RTT>",
        "CONN>",
        "L4 CONN>",
        "TX PACKETS>",
        "TX BYTES>",
        "RX PACKETS>",
        "RX BYTES>",
        "VERSION",
        "REASON",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.state.as_str().to_owned(),
            span(row.since_s),
            row.rtt_us.map_or(String::new(), milliseconds),
            row.connections.to_string(),
            row.stream_connections.to_string(),
            row.tx_packets.to_string(),
            row.tx_bytes.to_string(),
            row.rx_packets.to_string(),
            row.rx_bytes.to_string(),
            row.version.clone().unwrap_or_default(),
            row.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}

pub(super) fn limits(rows: &[LimitRow]) -> Table {
    let mut table = Table::new(["TABLE", "USED>", "LIMIT>", "FULL>", "REFUSED>"]);
    for row in rows {
        let percent = u128::from(row.used) * 100 / u128::from(row.limit.max(1));
        table.row([
            row.name.clone(),
            row.used.to_string(),
            row.limit.to_string(),
            format!("{percent}%"),
            row.refused.to_string(),
        ]);
    }
    table
}
