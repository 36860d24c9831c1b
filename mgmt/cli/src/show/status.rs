//! `gridway status`, `peers`, `connections` and `limits`.

use gridway_control::{ConnectionRow, LimitRow, PeerRow, Status, TcpInfo};

use super::config;
use super::page::Page;
use super::unit::{magnitude, milliseconds, span};
use crate::table::{Table, printable};

pub(super) fn status(status: &Status, now: u64) -> Page {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<12}{}\n", printable(&value)));
    line("node", format!("{}.{} ({})", status.node, status.domain, status.role));
    line("version", status.version.clone());
    line("running", format!("{}, process {}", span(status.uptime_s), status.pid));
    match &status.data {
        Some(data) => {
            let modes = match data.attach_mode.as_str() {
                "tc" => "steering at the tc hook, rings idle".to_owned(),
                mode => format!("{mode} XDP, {} rings, {} pages", data.ring_mode, data.pages),
            };
            line("data", format!("{}: {modes}, {} queue(s), MTU {}", data.interface, data.queues, data.mtu));
        }
        None => line("data", "none".to_owned()),
    }
    let listen =
        status.listen.as_ref().map_or("dials only".to_owned(), |listen| format!("listens at {listen}"));
    line("management", format!("{}, {listen}", status.management));
    for worker in &status.workers {
        let (roles, load) = (worker.roles.join(", "), permille(worker.load_permille));
        line("worker", format!("CPU {}: {roles}, awake {load}", worker.cpu));
    }
    line("peers", format!("{} of {} up", status.peers_up, status.peers));
    line("vnets", format!("{}, policy generation {}", status.vnets, status.policy_generation));
    line("flows", format!("{} of {}", status.flows, status.flows_limit));
    for (name, value) in config::lines(&status.config, now) {
        line(name, value);
    }
    if let Some(error) = &status.last_reload_error {
        line("reload", format!("refused: {error}"));
    }
    Page::text(text)
}

/// Thousandths as `12.3 %`.
pub(crate) fn permille(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

pub(super) fn peers(rows: &[PeerRow]) -> Table {
    let mut table = Table::new([
        "PEER",
        "STATE",
        "SINCE>",
        "RTT>",
        "CONN>",
        "L4 CONN>",
        "TX PACKETS+",
        "TX BYTES+",
        "RX PACKETS+",
        "RX BYTES+",
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

/// Two lines a connection: what the tunnel measures, then what the kernel says of its TCP.
pub(super) fn connections(rows: &[ConnectionRow]) -> Table {
    let mut table = Table::new([
        "PEER",
        "CARRIES",
        "LAST RTT>",
        "P50>",
        "P90>",
        "P99>",
        "MAX>",
        "QUEUED>",
        "WAIT>",
        "AGE>",
    ]);
    let below = ["WORKER", "TCP", "RTT", "VAR", "MIN", "WINDOW", "RESENT", "UNSENT", "RATE", "PACED"];
    table.row(below.map(ToOwned::to_owned));
    for row in rows {
        let round_trip = &row.round_trip;
        let measured = |value: u64| {
            if round_trip.samples == 0 { String::new() } else { milliseconds(value) }
        };
        table.row([
            row.peer.clone(),
            row.carries.clone(),
            measured(round_trip.last_us),
            measured(round_trip.p50_us),
            measured(round_trip.p90_us),
            measured(round_trip.p99_us),
            measured(round_trip.max_us),
            row.queued_records.to_string(),
            milliseconds(row.queue_wait_us),
            span(row.age_s),
        ]);
        let mut cells: [String; 10] = Default::default();
        cells[0] = row.worker.to_string();
        if let Some(tcp) = &row.tcp {
            cells[1..].clone_from_slice(&tcp_cells(tcp));
        }
        table.row(cells);
    }
    table
}

fn tcp_cells(tcp: &TcpInfo) -> [String; 9] {
    let bits = |rate: u64| format!("{}bit/s", magnitude(rate));
    [
        tcp.congestion.clone(),
        milliseconds(tcp.rtt_us),
        milliseconds(tcp.rtt_var_us),
        milliseconds(tcp.min_rtt_us),
        tcp.congestion_window.to_string(),
        tcp.retransmitted.to_string(),
        magnitude(tcp.unsent_bytes),
        bits(tcp.delivery_rate_bps),
        if tcp.pacing_rate_bps == 0 { "no".to_owned() } else { bits(tcp.pacing_rate_bps) },
    ]
}

pub(super) fn limits(rows: &[LimitRow]) -> Table {
    let mut table = Table::new(["TABLE", "USED>", "LIMIT>", "FULL>", "REFUSED+"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.used.to_string(),
            row.limit.to_string(),
            format!("{}%", percent_full(row)),
            row.refused.to_string(),
        ]);
    }
    table
}

/// How full a table is, in whole percent.
pub(crate) fn percent_full(row: &LimitRow) -> u64 {
    let percent = u128::from(row.used) * 100 / u128::from(row.limit.max(1));
    u64::try_from(percent).unwrap_or(u64::MAX)
}
