//! The JSON that scripts and other versions see: keys are fixed here, and every message survives a round trip.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use gridway_control::{
    AclRow, ConfigText, Counters, DataStatus, Drops, Failure, FailureKind, FlowFilter, FlowRow, Flows,
    InboundCounters, LimitRow, MonitorRow, NatDirection, NatKind, NatRow, OutboundCounters, PeerRow,
    PeerState, Reply, Request, RouteRow, Side, Status, Traffic, Translation, Tuple, WorkerStatus,
    decode_reply, decode_request, encode_reply, encode_request,
};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", Just("line\nbreak \"quoted\" \u{1f40c}".to_owned())]
}

fn optional<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(strategy)
}

fn tuple() -> impl Strategy<Value = Tuple> {
    (any::<IpAddr>(), any::<IpAddr>(), any::<u8>(), any::<u16>(), any::<u16>())
        .prop_map(|(src, dst, proto, sport, dport)| Tuple { src, dst, proto, sport, dport })
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Local), Just(Side::Overlay)]
}

fn filter() -> impl Strategy<Value = FlowFilter> {
    let texts = [optional(text()), optional(text()), optional(text()), optional(text())];
    let ends = (optional(any::<IpAddr>()), optional(any::<u16>()));
    (texts, optional(tuple()), ends, optional(any::<u64>()), optional(side())).prop_map(
        |([vnet, peer, state, tcp_flags], tuple, (address, port), idle_at_least_s, started_by)| FlowFilter {
            vnet,
            peer,
            address,
            port,
            tcp_flags,
            idle_at_least_s,
            started_by,
            src: tuple.map(|tuple| tuple.src),
            dst: tuple.map(|tuple| tuple.dst),
            proto: tuple.map(|tuple| tuple.proto),
            sport: tuple.map(|tuple| tuple.sport),
            dport: tuple.map(|tuple| tuple.dport),
            state,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Status),
        Just(Request::Peers),
        Just(Request::Routes),
        (filter(), any::<u32>()).prop_map(|(filter, limit)| Request::Flows { filter, limit }),
        filter().prop_map(|filter| Request::KillFlows { filter }),
        Just(Request::Counters),
        Just(Request::Nat),
        Just(Request::Acl),
        any::<bool>().prop_map(|defaults| Request::Config { defaults }),
        Just(Request::Limits),
    ]
}

fn flow() -> impl Strategy<Value = FlowRow> {
    let translation =
        prop_oneof![Just(Translation::None), Just(Translation::OneToOne), Just(Translation::Port)];
    let kind = (side(), translation, any::<bool>());
    (text(), kind, [tuple(), tuple()], text(), any::<[u64; 6]>(), text()).prop_map(
        |(
            vnet,
            (started_by, translation, relayed),
            [local, virtual_tuple],
            state,
            [packets, bytes, a, b, age_s, idle_s],
            tcp_flags,
        )| FlowRow {
            peer: vnet.clone(),
            vnet,
            local,
            virtual_tuple,
            started_by,
            translation,
            relayed,
            state,
            packets,
            bytes,
            outbound: Traffic { packets: a, bytes: b },
            inbound: Traffic { packets: b, bytes: a },
            age_s,
            idle_s,
            tcp_flags_out: tcp_flags.clone(),
            tcp_flags_in: tcp_flags.clone(),
            tcp_flags,
        },
    )
}

fn peer() -> impl Strategy<Value = PeerRow> {
    let state = prop_oneof![Just(PeerState::Up), Just(PeerState::Connecting), Just(PeerState::Down)];
    (text(), state, optional(text()), optional(any::<u64>()), any::<u32>(), any::<[u64; 5]>()).prop_map(
        |(
            name,
            state,
            reason,
            rtt_us,
            connections,
            [tx_bytes, rx_bytes, tx_packets, rx_packets, since_s],
        )| PeerRow {
            name,
            state,
            instance: reason.clone(),
            version: reason.clone(),
            address: reason.clone(),
            reason,
            rtt_us,
            connections,
            tx_bytes,
            rx_bytes,
            tx_packets,
            rx_packets,
            since_s,
        },
    )
}

fn status() -> Status {
    Status {
        node: "gw-a".into(),
        domain: "lab.example".into(),
        role: "gateway".into(),
        version: "0.1.0".into(),
        pid: 7,
        uptime_s: 1,
        data: Some(DataStatus {
            interface: "data0".into(),
            attach_mode: "native".into(),
            ring_mode: "copy".into(),
            pages: "4K".into(),
            mtu: 1500,
            queues: 1,
        }),
        management: "wan0".into(),
        listen: Some("192.0.2.1:8443".into()),
        workers: vec![WorkerStatus { cpu: 0, roles: vec!["data".into(), "tunnel".into()] }],
        policy_generation: 1,
        flows: 2,
        flows_limit: 1_048_576,
        peers: 1,
        peers_up: 1,
        vnets: 1,
        last_reload_error: None,
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let hits = || (any::<u64>(), optional(any::<u64>()), optional(any::<u64>()));
    let nat_kind = prop_oneof![Just(NatKind::OneToOne), Just(NatKind::ManyToOne), Just(NatKind::Prefix)];
    let nat =
        (text(), any::<bool>(), nat_kind, hits()).prop_map(|(name, inside, kind, (hits, first, last))| {
            NatRow {
                vnet: name.clone(),
                direction: if inside { NatDirection::Inside } else { NatDirection::Outside },
                kind,
                local: name.clone(),
                virtual_side: name,
                ports_used: first,
                ports_limit: last,
                exhausted: hits,
                hits,
                first,
                last,
            }
        });
    let acl = (text(), any::<u32>(), optional(text()), hits()).prop_map(
        |(name, line, ports, (hits, first, last))| AclRow {
            vnet: name.clone(),
            line,
            action: name.clone(),
            protocol: name.clone(),
            source: name.clone(),
            destination: name,
            ports,
            hits,
            first,
            last,
        },
    );
    let monitor =
        (text(), any::<IpAddr>(), optional(any::<u16>()), any::<[u32; 2]>(), optional(any::<u64>()))
            .prop_map(|(protocol, target, port, [failures, count], latency_us)| MonitorRow {
                protocol,
                target,
                port,
                up: failures < count,
                failures,
                count,
                latency_us,
            });
    let route = (text(), any::<u8>(), any::<[bool; 2]>(), optional(monitor)).prop_map(
        |(name, metric, [available, chosen], monitor)| RouteRow {
            vnet: name.clone(),
            to: name.clone(),
            via: name,
            metric,
            available,
            chosen,
            monitor,
        },
    );
    let counters = (any::<u32>(), text()).prop_map(|(count, reason)| {
        let count = u64::from(count);
        let drops = Drops::from([(reason, count)]);
        let outbound =
            OutboundCounters { rx_packets: count, drops: drops.clone(), ..OutboundCounters::default() };
        let inbound =
            InboundCounters { relayed: count, originated: count, drops, ..InboundCounters::default() };
        Counters { flows_evicted: count, ..Counters::from_directions(outbound, inbound) }
    });
    let limit = (text(), any::<[u64; 3]>()).prop_map(|(name, [used, limit, refused])| LimitRow {
        name,
        used,
        limit,
        refused,
    });
    let kind = prop_oneof![
        Just(FailureKind::BadRequest),
        Just(FailureKind::NotFound),
        Just(FailureKind::Busy),
        Just(FailureKind::Internal)
    ];
    let rows = 0..4usize;
    prop_oneof![
        Just(Reply::Status(Box::new(status()))),
        proptest::collection::vec(peer(), rows.clone()).prop_map(Reply::Peers),
        proptest::collection::vec(route, rows.clone()).prop_map(Reply::Routes),
        (any::<u64>(), proptest::collection::vec(flow(), rows.clone()))
            .prop_map(|(matched, rows)| Reply::Flows(Flows { matched, rows })),
        any::<u64>().prop_map(|flows| Reply::Killed { flows }),
        counters.prop_map(|counters| Reply::Counters(Box::new(counters))),
        proptest::collection::vec(nat, rows.clone()).prop_map(Reply::Nat),
        proptest::collection::vec(acl, rows.clone()).prop_map(Reply::Acl),
        text().prop_map(|toml| Reply::Config(ConfigText { toml })),
        proptest::collection::vec(limit, rows).prop_map(Reply::Limits),
        (kind, text()).prop_map(|(kind, message)| Reply::Error(Failure { kind, message })),
    ]
}

proptest! {
    #[test]
    fn every_request_survives_a_round_trip_in_one_line(request in request()) {
        let line = encode_request(&request).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(decode_request(&line).unwrap(), request);
    }

    #[test]
    fn every_reply_survives_a_round_trip_in_one_line(reply in reply()) {
        let line = encode_reply(&reply).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(decode_reply(&line).unwrap(), reply);
    }

    #[test]
    fn a_damaged_reply_is_no_panic(reply in reply(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = encode_reply(&reply).unwrap();
        let at = at.index(line.len() - 1);
        line[at] = byte;
        // Some damage leaves valid JSON; all of it ends in a value.
        let _either = decode_reply(&line).is_ok();
        line.truncate(at);
        prop_assert!(decode_reply(&line).is_err());
    }
}

/// The sorted keys of a JSON object.
fn keys(value: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn rows(reply: &Reply) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(&encode_reply(reply).unwrap()).unwrap()["value"].take()
}

#[test]
fn flow_rows_have_the_documented_keys() {
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
    };
    let value = rows(&Reply::Flows(Flows { matched: 1, rows: vec![row] }));
    let expected = [
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
        "flows_created",
        "flows_evicted",
        "held",
        "icmp_errors_suppressed",
        "inbound",
        "originated",
        "outbound",
        "rx_bytes",
        "rx_packets",
        "to_kernel",
        "tx_bytes",
        "tx_packets",
    ];
    assert_eq!(keys(&value), expected);
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
    ];
    assert_eq!(keys(&value["outbound"]), expected);
    let expected = [
        "answered",
        "delivered",
        "delivered_bytes",
        "drops",
        "held",
        "originated",
        "relayed",
        "relayed_bytes",
        "rx_bytes",
        "rx_packets",
    ];
    assert_eq!(keys(&value["inbound"]), expected);
}

#[test]
fn killing_flows_is_spelled_as_documented() {
    let filter = FlowFilter { proto: Some(6), started_by: Some(Side::Overlay), ..FlowFilter::default() };
    let line = encode_request(&Request::KillFlows { filter }).unwrap();
    let expected = "{\"request\":\"kill_flows\",\"filter\":{\"proto\":6,\"started_by\":\"overlay\"}}\n";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    let line = encode_reply(&Reply::Killed { flows: 3 }).unwrap();
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
