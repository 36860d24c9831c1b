//! The keys and words that scripts rely on.

use std::net::IpAddr;

use gridway_control::{
    Counters, FlowEndReason, FlowEvent, FlowFilter, FlowLogLine, FlowRow, Flows, InboundCounters, Killed,
    MonitorRow, NatDirection, NatKind, NatRow, OutboundCounters, PeerState, Reply, Request, RouteRow, Side,
    Traffic, Translation, Tuple, encode_reply, encode_request,
};

/// The sorted keys of a JSON object.
pub(crate) fn keys(value: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn rows(reply: &Reply) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(&encode_reply(reply).unwrap()).unwrap()["value"].take()
}

#[test]
fn flow_rows_and_lines_of_their_log_have_the_documented_keys() {
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let tuple = Tuple { src: address, dst: address, proto: 6, sport: 1, dport: 2 };
    let row = FlowRow {
        vnet: "corp".into(),
        peer: "gw-b".into(),
        local: tuple,
        virtual_tuple: tuple,
        started_by: Side::Local,
        translation: Translation::None,
        relayed: false,
        state: "established".into(),
        packets: 1,
        bytes: 1,
        outbound: Traffic::default(),
        inbound: Traffic::default(),
        age_s: 0,
        idle_s: 0,
        tcp_flags: String::new(),
        tcp_flags_out: String::new(),
        tcp_flags_in: String::new(),
        acl_line: Some(10),
    };
    let line = FlowLogLine {
        event: FlowEvent::End,
        end_reason: Some(FlowEndReason::Closed),
        start_ms: 1,
        end_ms: Some(2),
        node: "gw-a".into(),
        flow: row.clone(),
    };
    let value = rows(&Reply::Flows(Flows { matched: 1, rows: vec![row] }));
    let expected = [
        "acl_line",
        "age_s",
        "bytes",
        "idle_s",
        "inbound",
        "local",
        "outbound",
        "packets",
        "peer",
        "relayed",
        "started_by",
        "state",
        "tcp_flags",
        "tcp_flags_in",
        "tcp_flags_out",
        "translation",
        "virtual",
        "vnet",
    ];
    assert_eq!(keys(&value["rows"][0]), expected);
    let logged = serde_json::to_value(&line).unwrap();
    let mut expected = [&expected[..], &["end_ms", "end_reason", "event", "node", "start_ms"]].concat();
    expected.sort_unstable();
    assert_eq!(keys(&logged), expected);
    assert_eq!((&logged["event"], &logged["end_reason"]), (&"end".into(), &"closed".into()));
    assert_eq!(serde_json::from_value::<FlowLogLine>(logged).unwrap(), line);
    assert_eq!(keys(&value["rows"][0]["virtual"]), ["dport", "dst", "proto", "sport", "src"]);
}

#[test]
fn counters_have_the_documented_keys() {
    let counters = Counters::from_directions(OutboundCounters::default(), InboundCounters::default());
    let value = rows(&Reply::Counters(Box::new(counters)));
    let expected = [
        "answered",
        "drops",
        "ecn_marked",
        "flow_log",
        "flows_created",
        "flows_evicted",
        "held",
        "icmp_errors_suppressed",
        "inbound",
        "originated",
        "outbound",
        "rx_bytes",
        "rx_packets",
        "segments_coupled",
        "sleeps",
        "to_kernel",
        "tx_bytes",
        "tx_packets",
        "unknown_frames",
        "unsent",
    ];
    assert_eq!(keys(&value), expected);
    assert_eq!(keys(&value["flow_log"]), ["dropped", "ipfix_lost", "json_lost", "records"]);
    let expected = [
        "answered",
        "drops",
        "held",
        "originated",
        "rx_bytes",
        "rx_packets",
        "to_kernel",
        "tunnelled",
        "tunnelled_bytes",
        "unsent",
    ];
    assert_eq!(keys(&value["outbound"]), expected);
    let expected = [
        "answered",
        "consumed",
        "delivered",
        "delivered_bytes",
        "drops",
        "held",
        "originated",
        "relayed",
        "relayed_bytes",
        "rx_bytes",
        "rx_packets",
        "unsent",
    ];
    assert_eq!(keys(&value["inbound"]), expected);
}

#[test]
fn killing_flows_is_spelled_as_documented() {
    let filter = FlowFilter { proto: Some(6), started_by: Some(Side::Overlay), ..FlowFilter::default() };
    let line = encode_request(&Request::KillFlows { filter }).unwrap();
    let expected = "{\"request\":\"kill_flows\",\"filter\":{\"proto\":6,\"started_by\":\"overlay\"}}\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    let line = encode_reply(&Reply::Killed(Killed::Flows(3))).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "{\"reply\":\"killed\",\"value\":{\"flows\":3}}\n");
}

#[test]
fn routes_have_the_documented_keys() {
    let monitor = MonitorRow {
        protocol: "icmp".into(),
        target: "10.200.2.2".parse().unwrap(),
        port: None,
        up: true,
        failures: 0,
        count: 3,
        latency_us: None,
    };
    let row = RouteRow {
        vnet: "corp".into(),
        to: String::new(),
        via: String::new(),
        metric: 1,
        available: true,
        chosen: true,
        monitor: Some(monitor),
    };
    let value = serde_json::to_value(row).unwrap();
    assert_eq!(keys(&value), ["available", "chosen", "metric", "monitor", "to", "via", "vnet"]);
    let expected = ["count", "failures", "latency_us", "port", "protocol", "target", "up"];
    assert_eq!(keys(&value["monitor"]), expected);
}

#[test]
fn words_are_spelled_as_documented() {
    let spelled = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for state in [PeerState::Up, PeerState::Connecting, PeerState::Down] {
        assert_eq!(spelled(serde_json::to_value(state).unwrap()), state.as_str());
    }
    for direction in [NatDirection::Inside, NatDirection::Outside] {
        assert_eq!(spelled(serde_json::to_value(direction).unwrap()), direction.as_str());
    }
    for kind in [NatKind::OneToOne, NatKind::ManyToOne, NatKind::Prefix] {
        assert_eq!(spelled(serde_json::to_value(kind).unwrap()), kind.as_str());
    }
    for side in [Side::Local, Side::Overlay] {
        assert_eq!(spelled(serde_json::to_value(side).unwrap()), side.as_str());
    }
    for translation in [Translation::None, Translation::OneToOne, Translation::Port] {
        assert_eq!(spelled(serde_json::to_value(translation).unwrap()), translation.as_str());
    }
    let nat = NatRow {
        vnet: "corp".into(),
        direction: NatDirection::Inside,
        kind: NatKind::OneToOne,
        local: String::new(),
        virtual_side: String::new(),
        ports_used: None,
        ports_limit: None,
        exhausted: 0,
        hits: 0,
        first: None,
        last: None,
    };
    let value = serde_json::to_value(nat).unwrap();
    let expected = [
        "direction",
        "exhausted",
        "first",
        "hits",
        "kind",
        "last",
        "local",
        "ports_limit",
        "ports_used",
        "virtual",
        "vnet",
    ];
    assert_eq!(keys(&value), expected);
}
