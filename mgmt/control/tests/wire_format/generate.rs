//! Every message there can be.

use std::net::IpAddr;

use gridway_control::{
    AclRow, ConfigState, ConfigText, Counters, DataStatus, Drops, Failure, FailureKind, FlowFilter,
    FlowLogCounters, FlowRow, Flows, InboundCounters, Killed, LimitRow, MonitorRow, NatDirection, NatKind,
    NatRow, OutboundCounters, PeerRow, PeerState, Reply, Request, RouteRow, Side, Status, Traffic,
    Translation, Tuple, WorkerStatus,
};
use proptest::prelude::*;

use crate::generate_change::{self, state};
use crate::generate_layer4::{connector, service, sessions};
use crate::{generate_packet, generate_watch};

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", Just("line\nbreak \"quoted\" \u{1f40c}".to_owned())]
}

pub(crate) fn optional<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(strategy)
}

pub(crate) fn tuple() -> impl Strategy<Value = Tuple> {
    (any::<IpAddr>(), any::<IpAddr>(), any::<u8>(), any::<u16>(), any::<u16>())
        .prop_map(|(src, dst, proto, sport, dport)| Tuple { src, dst, proto, sport, dport })
}

pub(crate) fn side() -> impl Strategy<Value = Side> {
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

/// Any request.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Status),
        Just(Request::Peers),
        Just(Request::Routes),
        (filter(), any::<u32>()).prop_map(|(filter, limit)| Request::Flows { filter, limit }),
        filter().prop_map(|filter| Request::KillFlows { filter }),
        any::<u32>().prop_map(|limit| Request::Sessions { limit }),
        any::<Vec<u64>>().prop_map(|ids| Request::KillSessions { ids }),
        Just(Request::Connectors),
        Just(Request::Services),
        Just(Request::Counters),
        Just(Request::Nat),
        Just(Request::Acl),
        any::<bool>().prop_map(|defaults| Request::Config { defaults }),
        Just(Request::Limits),
        generate_change::request(),
        generate_packet::request(),
        generate_watch::request(),
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
            acl_line: (age_s % 2 == 0).then_some(packets as u32),
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
            stream_connections: connections / 2,
            tx_bytes,
            rx_bytes,
            tx_packets,
            rx_packets,
            since_s,
        },
    )
}

fn status(config: ConfigState) -> Status {
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
        workers: vec![WorkerStatus {
            cpu: 0,
            roles: vec!["data".into(), "tunnel".into()],
            load_permille: 12,
        }],
        policy_generation: 1,
        flows: 2,
        flows_limit: 1_048_576,
        peers: 1,
        peers_up: 1,
        vnets: 1,
        last_reload_error: None,
        config,
    }
}

/// Any reply.
pub(crate) fn reply() -> impl Strategy<Value = Reply> {
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
        let flow_log = FlowLogCounters { dropped: count, ..FlowLogCounters::default() };
        Counters { flows_evicted: count, flow_log, ..Counters::from_directions(outbound, inbound) }
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
        Just(FailureKind::Conflict),
        Just(FailureKind::Invalid),
        Just(FailureKind::Busy),
        Just(FailureKind::Internal)
    ];
    let rows = 0..4usize;
    prop_oneof![
        state().prop_map(|config| Reply::Status(Box::new(status(config)))),
        proptest::collection::vec(peer(), rows.clone()).prop_map(Reply::Peers),
        proptest::collection::vec(route, rows.clone()).prop_map(Reply::Routes),
        (any::<u64>(), proptest::collection::vec(flow(), rows.clone()))
            .prop_map(|(matched, rows)| Reply::Flows(Flows { matched, rows })),
        any::<u64>().prop_map(|count| Reply::Killed(Killed::Flows(count))),
        any::<u64>().prop_map(|count| Reply::Killed(Killed::Sessions(count))),
        sessions().prop_map(Reply::Sessions),
        proptest::collection::vec(connector(), rows.clone()).prop_map(Reply::Connectors),
        proptest::collection::vec(service(), rows.clone()).prop_map(Reply::Services),
        counters.prop_map(|counters| Reply::Counters(Box::new(counters))),
        proptest::collection::vec(nat, rows.clone()).prop_map(Reply::Nat),
        proptest::collection::vec(acl, rows.clone()).prop_map(Reply::Acl),
        text().prop_map(|toml| Reply::Config(ConfigText { toml })),
        proptest::collection::vec(limit, rows).prop_map(Reply::Limits),
        (kind, text()).prop_map(|(kind, message)| Reply::Error(Failure { kind, message })),
        generate_change::reply(),
        generate_packet::reply(),
        generate_watch::reply(),
    ]
}
