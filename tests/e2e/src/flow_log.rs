//! The flow log as tests read it: its lines, and what nfdump shows of its IPFIX.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gridway_control::{FlowEvent, FlowLogLine, FlowRow, Side as Began, Tuple};
use gridway_lab::{Gateway, Side, wait_until};
use serde_json::Value;

use crate::LIMIT;

/// Where the collector of a side's node listens: on the WAN, beside the other node.
#[must_use]
pub fn collector(side: Side) -> SocketAddr {
    (side.other().wan(), 4739).into()
}

/// The log of a side's node, to its collector and to a file.
#[must_use]
pub fn logged(side: Side) -> String {
    format!("[flow_log]\nipfix = \"{}\"\njson = \"flows.jsonl\"\n", collector(side))
}

/// The file of a node's log.
#[must_use]
pub fn file(node: &Gateway) -> PathBuf {
    node.dir().join("flows.jsonl")
}

/// Whole lines of a file that may be written to.
///
/// # Panics
/// When one is no line of a flow log.
#[must_use]
pub fn lines(path: &Path) -> Vec<FlowLogLine> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits until `count` flows have begun, and gives the file's lines.
///
/// # Panics
/// When they do not.
pub fn wait_for_starts(path: &Path, count: usize) -> Vec<FlowLogLine> {
    wait_until("lines of flows that began", LIMIT, || {
        let lines = lines(path);
        (lines.iter().filter(|line| line.event == FlowEvent::Start).count() >= count).then_some(lines)
    })
    .expect("the flows are logged")
}

/// What a line says that does not change with time.
#[must_use]
pub fn timeless(row: &FlowRow) -> FlowRow {
    FlowRow { age_s: 0, idle_s: 0, ..row.clone() }
}

/// The tuples of a flow in the direction it began in: before and after translation.
#[must_use]
pub fn forward(row: &FlowRow) -> [Tuple; 2] {
    let reversed = |tuple: Tuple| Tuple {
        src: tuple.dst,
        dst: tuple.src,
        sport: tuple.dport,
        dport: tuple.sport,
        ..tuple
    };
    match row.started_by {
        Began::Local => [row.local, row.virtual_tuple],
        Began::Overlay => [reversed(row.virtual_tuple), reversed(row.local)],
    }
}

/// The records that nfdump shows of flows that ended: those that have counted something.
#[must_use]
pub fn ends(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| number(record, "in_packets") > 0).collect()
}

/// A number of a record; 0 where it has none.
#[must_use]
pub fn number(record: &Value, key: &str) -> u64 {
    record[key].as_u64().unwrap_or(0)
}

/// Asserts that nfdump shows a flow as its line has it.
///
/// # Panics
/// When it does not.
pub fn assert_shown(records: &[Value], line: &FlowLogLine) {
    let row = &line.flow;
    let [before, after] = forward(row);
    let family = if before.src.is_ipv4() { 4 } else { 6 };
    // Of ICMP it shows a type where others have ports.
    let icmp = [1, 58].contains(&before.proto);
    let is_it = |record: &&&Value| {
        number(record, "proto") == u64::from(before.proto)
            && (icmp || number(record, "src_port") == u64::from(before.sport))
            && record[format!("src{family}_addr")] == before.src.to_string()
    };
    let ends = ends(records);
    let found: Vec<_> = ends.iter().filter(is_it).collect();
    let [record] = found[..] else { panic!("{} records of {line:?}: {records:#?}", found.len()) };
    assert_eq!(record[format!("dst{family}_addr")], before.dst.to_string(), "{record:#}");
    if !icmp {
        assert_eq!(number(record, "dst_port"), u64::from(before.dport), "{record:#}");
    }
    let (sent, answered) = match row.started_by {
        Began::Local => (row.outbound, row.inbound),
        Began::Overlay => (row.inbound, row.outbound),
    };
    let counted = ["in_packets", "in_bytes", "out_packets", "out_bytes"].map(|key| number(record, key));
    assert_eq!(counted, [sent.packets, sent.bytes, answered.packets, answered.bytes], "{record:#}");
    // This nfdump knows no translated addresses of IPv6.
    for (key, address) in [("src", after.src), ("dst", after.dst)] {
        if address.is_ipv4() {
            assert_eq!(record[format!("{key}4_xlt_ip")], address.to_string(), "{record:#}");
        }
    }
    assert_eq!(record["src_xlt_port"], after.sport.to_string(), "{record:#}");
    let flags = record["tcp_flags"].as_str().unwrap_or_default();
    let expected = match row.started_by {
        Began::Local => &row.tcp_flags_out,
        Began::Overlay => &row.tcp_flags_in,
    };
    for (name, letter) in [("SYN", 'S'), ("ACK", 'A'), ("FIN", 'F'), ("RST", 'R'), ("PSH", 'P')] {
        if before.proto == 6 {
            assert_eq!(flags.contains(letter), expected.contains(name), "{expected} {record:#}");
        }
    }
}

/// Asserts that every flow began once and ended once.
///
/// # Panics
/// When one did not.
pub fn assert_paired(lines: &[FlowLogLine]) {
    let of = |event| {
        let chosen = lines.iter().filter(move |line| line.event == event);
        chosen
            .map(|line| format!("{:?} {} {}", line.flow.local, line.start_ms, line.flow.vnet))
            .collect::<Vec<_>>()
    };
    let (mut starts, mut ends) = (of(FlowEvent::Start), of(FlowEvent::End));
    starts.sort_unstable();
    ends.sort_unstable();
    assert_eq!(starts, ends, "{lines:#?}");
}

/// The only line of an event and a protocol.
///
/// # Panics
/// When there are none or several.
#[must_use]
pub fn only(lines: &[FlowLogLine], event: FlowEvent, protocol: u8) -> &FlowLogLine {
    let is_it = |line: &&FlowLogLine| line.event == event && line.flow.local.proto == protocol;
    let found: Vec<_> = lines.iter().filter(is_it).collect();
    let [line] = found[..] else { panic!("{} lines of {protocol}: {lines:#?}", found.len()) };
    line
}
