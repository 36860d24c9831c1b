//! The JSON that scripts and other versions see: keys are fixed here, and every message survives a round trip.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use gridway_control::{
    AclRow, ConfigText, Counters, DataStatus, Drops, Failure, FailureKind, FlowFilter, FlowRow, Flows,
    InboundCounters, LimitRow, NatDirection, NatRow, OutboundCounters, PeerRow, PeerState, Reply, Request,
    RouteRow, Status, Traffic, Tuple, WorkerStatus, decode_reply, decode_request, encode_reply,
    encode_request,
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

fn filter() -> impl Strategy<Value = FlowFilter> {
    (optional(text()), optional(text()), optional(tuple()), optional(text())).prop_map(
        |(vnet, peer, tuple, state)| FlowFilter {
            vnet,
            peer,
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
        Just(Request::Counters),
        Just(Request::Nat),
        Just(Request::Acl),
        any::<bool>().prop_map(|defaults| Request::Config { defaults }),
        Just(Request::Limits),
    ]
}

fn flow() -> impl Strategy<Value = FlowRow> {
    (text(), text(), tuple(), tuple(), text(), any::<[u64; 5]>(), text()).prop_map(
        |(vnet, peer, local, virtual_tuple, state, [packets, bytes, a, b, idle_s], tcp_flags)| FlowRow {
            vnet,
            peer,
            local,
            virtual_tuple,
            state,
            packets,
            bytes,
            outbound: Traffic { packets: a, bytes: b },
            inbound: Traffic { packets: b, bytes: a },
            idle_s,
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
    let nat = (text(), any::<bool>(), hits()).prop_map(|(name, inside, (hits, first, last))| NatRow {
        vnet: name.clone(),
        direction: if inside { NatDirection::Inside } else { NatDirection::Outside },
        local: name.clone(),
        virtual_prefix: name,
        hits,
        first,
        last,
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
    let route = (text(), any::<u8>(), any::<[bool; 2]>()).prop_map(|(name, metric, [available, chosen])| {
        RouteRow { vnet: name.clone(), to: name.clone(), via: name, metric, available, chosen }
    });
    let counters = (any::<u32>(), text()).prop_map(|(count, reason)| {
        let count = u64::from(count);
        let drops = Drops::from([(reason, count)]);
        let outbound =
            OutboundCounters { rx_packets: count, drops: drops.clone(), ..OutboundCounters::default() };
        let inbound = InboundCounters { delivered: count, drops, ..InboundCounters::default() };
        Counters::from_directions(outbound, inbound)
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
        state: "established".into(),
        packets: 1,
        bytes: 1,
        outbound: Traffic::default(),
        inbound: Traffic::default(),
        idle_s: 0,
        tcp_flags: String::new(),
    };
    let value = rows(&Reply::Flows(Flows { matched: 1, rows: vec![row] }));
    let expected = [
        "bytes",
        "idle_s",
        "inbound",
        "local",
        "outbound",
        "packets",
        "peer",
        "state",
        "tcp_flags",
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
    for key in ["rx_packets", "tx_packets", "to_kernel", "answered", "held", "drops", "outbound", "inbound"] {
        assert!(value.get(key).is_some(), "{key}");
    }
    assert!(value["outbound"].get("tunnelled").is_some());
    assert!(value["inbound"].get("delivered").is_some());
}

#[test]
fn peer_states_and_nat_sides_are_spelled_as_documented() {
    let spelled = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for state in [PeerState::Up, PeerState::Connecting, PeerState::Down] {
        assert_eq!(spelled(serde_json::to_value(state).unwrap()), state.as_str());
    }
    for direction in [NatDirection::Inside, NatDirection::Outside] {
        assert_eq!(spelled(serde_json::to_value(direction).unwrap()), direction.as_str());
    }
    let nat = NatRow {
        vnet: "corp".into(),
        direction: NatDirection::Inside,
        local: String::new(),
        virtual_prefix: String::new(),
        hits: 0,
        first: None,
        last: None,
    };
    let value = serde_json::to_value(nat).unwrap();
    assert_eq!(keys(&value), ["direction", "first", "hits", "last", "local", "virtual", "vnet"]);
}
