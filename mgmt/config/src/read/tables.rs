//! `[tunnel]`, `[throttle]`, `[flows]`, `[limits]`, `[log]`, `[flow_log]` and `[control]`.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::document::Section;
use crate::error::Problem;
use crate::leaf::{ListenAddress, quote};
use crate::model::{Control, FlowLog, FlowTimeouts, Limits, Log, Node, Throttle, Tunnel, format_duration};

/// Shorter ping intervals would cost more than they tell.
const SHORTEST_PING: Duration = Duration::from_millis(10);

/// A terabit a second: beyond it a limit is a slip of the pen.
pub(crate) const MOST_MBPS: u32 = 1_000_000;

pub(crate) fn tunnel(root: &Section<'_>) -> Tunnel {
    let default = Tunnel::default();
    let Some(section) = root.table("tunnel") else {
        return default;
    };
    let listen = section.optional("listen").map(|ListenAddress(address)| address);
    let ping_interval = section.optional("ping_interval").unwrap_or(default.ping_interval);
    let dead_after = section.optional("dead_after").unwrap_or(default.dead_after);
    section.finish();
    if ping_interval < SHORTEST_PING {
        let found = quote(&format_duration(ping_interval));
        section.refuse_key("ping_interval", Problem::Invalid { found, expected: "at least 10ms".to_owned() });
    }
    if dead_after <= ping_interval {
        let found = quote(&format_duration(dead_after));
        let expected = format!("more than tunnel.ping_interval, which is {}", format_duration(ping_interval));
        section.refuse_key("dead_after", Problem::Invalid { found, expected });
    }
    Tunnel { listen, ping_interval, dead_after }
}

pub(crate) fn throttle(root: &Section<'_>) -> Throttle {
    let Some(section) = root.table("throttle") else {
        return Throttle::default();
    };
    let limit = |key| section.integer(key, 0, MOST_MBPS).unwrap_or(0);
    let throttle = Throttle { egress_mbps: limit("egress_mbps"), ingress_mbps: limit("ingress_mbps") };
    section.finish();
    throttle
}

pub(crate) fn flows(root: &Section<'_>) -> FlowTimeouts {
    let default = FlowTimeouts::default();
    let Some(section) = root.table("flows") else {
        return default;
    };
    let flows = FlowTimeouts {
        midstream: section.optional("midstream").unwrap_or(default.midstream),
        tcp_established: section.optional("tcp_established").unwrap_or(default.tcp_established),
        tcp_transitory: section.optional("tcp_transitory").unwrap_or(default.tcp_transitory),
        udp: section.optional("udp").unwrap_or(default.udp),
        icmp: section.optional("icmp").unwrap_or(default.icmp),
    };
    section.finish();
    flows
}

pub(crate) fn limits(root: &Section<'_>) -> Limits {
    let default = Limits::default();
    let Some(section) = root.table("limits") else {
        return default;
    };
    let limits = Limits {
        flows: section.integer("flows", 1, 1 << 26).unwrap_or(default.flows),
        records: section.integer("records", 16, 1 << 16).unwrap_or(default.records),
        held_packets: section.integer("held_packets", 1, 1 << 16).unwrap_or(default.held_packets),
        fragments: section.integer("fragments", 1, 1 << 20).unwrap_or(default.fragments),
        handshakes: section.integer("handshakes", 1, 1 << 14).unwrap_or(default.handshakes),
        sessions: section.integer("sessions", 1, 1 << 20).unwrap_or(default.sessions),
        control_clients: section.integer("control_clients", 1, 1 << 10).unwrap_or(default.control_clients),
        flow_log: section.integer("flow_log", 1, 1 << 20).unwrap_or(default.flow_log),
    };
    section.finish();
    limits
}

pub(crate) fn log(root: &Section<'_>) -> Log {
    let Some(section) = root.table("log") else {
        return Log::default();
    };
    let log = Log {
        format: section.optional("format").unwrap_or_default(),
        level: section.optional("level").unwrap_or_default(),
    };
    section.finish();
    log
}

/// `None`: no such table, or it is wrong and was reported.
pub(crate) fn flow_log(root: &Section<'_>, base: &Path) -> Option<FlowLog> {
    let section = root.table("flow_log")?;
    let ipfix = section.optional("ipfix");
    let json = section.optional::<PathBuf>("json").map(|path| base.join(path));
    if section.value("ipfix").is_none() && section.value("json").is_none() {
        section.refuse(Problem::Missing { expected: "ipfix, json or both".to_owned() });
    }
    section.finish();
    Some(FlowLog { ipfix, json })
}

/// `None` where the default is needed and the node's name is wrong, which was reported.
pub(crate) fn control(root: &Section<'_>, node: Option<&Node>, base: &Path) -> Option<Control> {
    let default = node.map(|node| Control::default_for(&node.name));
    let Some(section) = root.table("control") else {
        return default;
    };
    let socket = section.optional::<PathBuf>("socket").map(|path| base.join(path));
    section.finish();
    let Some(socket) = socket else { return default };
    check_socket(&section, &socket);
    Some(Control { socket })
}

/// Refuses the `socket` of a section that no Unix socket could be bound to.
pub(crate) fn check_socket(section: &Section<'_>, socket: &Path) {
    let length = socket.as_os_str().as_bytes().len();
    if length > Control::MAX_PATH {
        let expected = format!("a path of at most {} bytes, the limit of Unix sockets", Control::MAX_PATH);
        section.refuse_key("socket", Problem::Invalid { found: format!("{length} bytes"), expected });
    }
}
