//! The flow table by itself: finding, ending and making room.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gridway_config::FlowTimeouts;
use gridway_forwarding::flow::{Created, EndReason, Flow, FlowTable, Key, NewFlow, Side, Traits};
use gridway_forwarding::{PeerId, VnetId};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

pub(crate) const NOW: Nanos = Nanos(1_000_000_000);

/// The n-th flow of its kind: no two share a tuple.
pub(crate) fn new_flow(n: u32, protocol: Protocol) -> NewFlow {
    let [a, b, c, d] = n.to_be_bytes();
    let tuple = |source: [u8; 2], destination: [u8; 2]| FiveTuple {
        source: IpAddr::V4(Ipv4Addr::new(source[0], source[1], a, b)),
        destination: IpAddr::V4(Ipv4Addr::new(destination[0], destination[1], c, d)),
        protocol,
        source_port: 1000 + u16::from(d),
        destination_port: 2000 + u16::from(c),
    };
    NewFlow {
        vnet: VnetId(3),
        peer: PeerId(5),
        back: PeerId(5),
        epoch: 1,
        started_by: Side::Local,
        traits: Traits::PLAIN,
        acl_line: 10,
        keys: [Key::local(&tuple([10, 1], [172, 16])), Key::overlay(VnetId(3), &tuple([10, 200], [10, 201]))],
    }
}

pub(crate) fn find(table: &FlowTable, new: &NewFlow) -> [Option<Flow>; 2] {
    [table.find(Side::Local, &new.keys[0]), table.find(Side::Overlay, &new.keys[1])]
}

fn create(table: &FlowTable, new: &NewFlow, now: Nanos) -> Flow {
    match table.create(new, &FlowTimeouts::default(), now) {
        Ok(Created::New(flow) | Created::Evicting(flow) | Created::Existing(flow)) => flow,
        Err(full) => panic!("{full}: {new:?}"),
    }
}

/// Creates a flow that has seen these packets.
fn create_with(table: &FlowTable, new: &NewFlow, packets: &[(Side, TcpFlags)], now: Nanos) -> Flow {
    let flow = create(table, new, now);
    for (side, flags) in packets {
        table.touch(flow.id, *side, 100, *flags, now);
    }
    flow
}

const ESTABLISHED: [(Side, TcpFlags); 3] = [
    (Side::Local, TcpFlags::SYN),
    (Side::Overlay, TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0)),
    (Side::Local, TcpFlags::ACK),
];

#[test]
fn a_flow_is_found_from_both_sides_and_from_no_other() {
    let table = FlowTable::new(1024, [1, 2]);
    let new = new_flow(7, Protocol::UDP);
    assert_eq!(find(&table, &new), [None, None]);
    let flow = create(&table, &new, NOW);
    assert_eq!(find(&table, &new), [Some(flow), Some(flow)]);
    assert_eq!(
        (flow.local(), flow.overlay(), flow.vnet, flow.peer),
        (new.keys[0].tuple(), new.keys[1].tuple(), new.vnet, new.peer)
    );
    assert_eq!(table.find(Side::Overlay, &new.keys[0]), None);
    assert_eq!(table.find(Side::Overlay, &Key::overlay(VnetId(4), &new.keys[1].tuple())), None);
    assert_eq!(table.find(Side::Local, &Key::local(&new.keys[0].tuple().reversed())), None);
    table.remove(flow.id, EndReason::Killed);
    assert_eq!(find(&table, &new), [None, None]);
    assert!(table.is_empty());
}

#[test]
fn creating_what_exists_gives_the_flow_that_is_there() {
    let table = FlowTable::new(1024, [1, 2]);
    let new = new_flow(7, Protocol::UDP);
    let first = create(&table, &new, NOW);
    let again = table.create(&new, &FlowTimeouts::default(), NOW);
    assert_eq!(again, Ok(Created::Existing(first)));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_flow_that_shares_one_tuple_replaces_the_stale_one() {
    for same_local in [true, false] {
        let table = FlowTable::new(1024, [1, 2]);
        let (old, other) = (new_flow(7, Protocol::UDP), new_flow(8, Protocol::UDP));
        create(&table, &old, NOW);
        let new = if same_local {
            NewFlow { keys: [old.keys[0], other.keys[1]], ..old }
        } else {
            NewFlow { keys: [other.keys[0], old.keys[1]], ..old }
        };
        let flow = create(&table, &new, NOW);
        assert_eq!(find(&table, &new), [Some(flow), Some(flow)]);
        assert_eq!(table.len(), 1);
    }
}

#[test]
fn the_id_of_a_flow_that_ended_touches_no_later_one() {
    let table = FlowTable::new(1, [1, 2]);
    let first = create(&table, &new_flow(1, Protocol::UDP), NOW);
    table.remove(first.id, EndReason::Killed);
    let second = new_flow(2, Protocol::UDP);
    let flow = create(&table, &second, NOW);
    table.remove(first.id, EndReason::Killed);
    table.rejudged(first.id, PeerId(77), PeerId(77), 9, None);
    assert_eq!(find(&table, &second), [Some(flow), Some(flow)]);
}

#[test]
fn a_flow_judged_again_is_found_with_its_new_peer() {
    let table = FlowTable::new(1024, [1, 2]);
    let new = new_flow(7, Protocol::UDP);
    let flow = create(&table, &new, NOW);
    table.rejudged(flow.id, PeerId(9), PeerId(9), 4, None);
    let moved = Flow { peer: PeerId(9), back: PeerId(9), epoch: 4, ..flow };
    assert_eq!(find(&table, &new), [Some(moved), Some(moved)]);
}

#[test]
fn flows_expire_after_the_idle_limit_of_their_protocol_and_state() {
    let limits = FlowTimeouts {
        midstream: true,
        tcp_established: Duration::from_secs(70),
        tcp_transitory: Duration::from_secs(24),
        udp: Duration::from_secs(30),
        icmp: Duration::from_secs(6),
    };
    let (local, overlay) = (Side::Local, Side::Overlay);
    let ended = [&ESTABLISHED[..], &[(overlay, TcpFlags::FIN)]].concat();
    let reset = [&ESTABLISHED[..], &[(local, TcpFlags::RST)]].concat();
    type Packets<'a> = &'a [(Side, TcpFlags)];
    let cases: [(&str, Protocol, Packets<'_>, Duration); 10] = [
        ("syn only", Protocol::TCP, &ESTABLISHED[..1], limits.tcp_transitory),
        ("no final ack", Protocol::TCP, &ESTABLISHED[..2], limits.tcp_transitory),
        ("established", Protocol::TCP, &ESTABLISHED, limits.tcp_established),
        ("mid-stream, unanswered", Protocol::TCP, &[(local, TcpFlags::ACK)], limits.tcp_transitory),
        (
            "mid-stream",
            Protocol::TCP,
            &[(local, TcpFlags::ACK), (overlay, TcpFlags::ACK)],
            limits.tcp_established,
        ),
        ("fin", Protocol::TCP, &ended, limits.tcp_transitory),
        ("reset", Protocol::TCP, &reset, limits.tcp_transitory),
        ("udp", Protocol::UDP, &[(local, TcpFlags(0))], limits.udp),
        ("icmp", Protocol::ICMP, &[(local, TcpFlags(0))], limits.icmp),
        ("icmpv6", Protocol::ICMPV6, &[(local, TcpFlags(0))], limits.icmp),
    ];
    for (what, protocol, packets, limit) in cases {
        let table = FlowTable::new(64, [1, 2]);
        create_with(&table, &new_flow(1, protocol), packets, NOW);
        let mut cursor = 0;
        let just_before = NOW + limit - Duration::from_nanos(1);
        assert_eq!(table.expire(&mut cursor, 100, &limits, just_before), 0, "{what} expires early");
        assert_eq!(table.expire(&mut cursor, 100, &limits, NOW + limit), 1, "{what} stays");
        assert_eq!(find(&table, &new_flow(1, protocol)), [None, None]);
    }
}

#[test]
fn a_packet_in_either_direction_puts_expiry_off() {
    let limits = FlowTimeouts::default();
    for side in [Side::Local, Side::Overlay] {
        let table = FlowTable::new(64, [1, 2]);
        let flow = create(&table, &new_flow(1, Protocol::UDP), NOW);
        table.touch(flow.id, side, 1, TcpFlags(0), NOW + limits.udp / 2);
        assert_eq!(table.expire(&mut 0, 100, &limits, NOW + limits.udp), 0);
        assert_eq!(table.expire(&mut 0, 100, &limits, NOW + limits.udp / 2 + limits.udp), 1);
    }
}

#[test]
fn expiry_in_small_portions_reaches_every_flow() {
    let limits = FlowTimeouts::default();
    let table = FlowTable::new(20_000, [1, 2]);
    let flows = 5_000;
    for n in 0..flows {
        create(&table, &new_flow(n, Protocol::UDP), NOW);
    }
    let mut cursor = 0;
    let removed: usize = (0..flows / 100)
        .map(|_| {
            let removed = table.expire(&mut cursor, 100, &limits, NOW + limits.udp);
            assert!(removed <= 100);
            removed
        })
        .sum();
    assert_eq!(removed, flows as usize);
    assert!(table.is_empty());
}

#[test]
fn a_half_open_flow_gives_way_before_an_idle_established_one() {
    let table = FlowTable::new(8, [1, 2]);
    let later = NOW + Duration::from_secs(60);
    for n in 0..7 {
        create_with(&table, &new_flow(n, Protocol::TCP), &ESTABLISHED, NOW);
    }
    // The youngest flow of all, and yet the one that goes.
    let half_open = new_flow(7, Protocol::TCP);
    create_with(&table, &half_open, &ESTABLISHED[..1], later);
    let created = table.create(&new_flow(8, Protocol::TCP), &FlowTimeouts::default(), later);
    assert!(matches!(created, Ok(Created::Evicting(_))), "{created:?}");
    assert_eq!(find(&table, &half_open), [None, None]);
    for n in 0..7 {
        assert!(find(&table, &new_flow(n, Protocol::TCP))[0].is_some(), "flow {n}");
    }
}

#[test]
fn an_expired_flow_gives_way_before_a_half_open_one() {
    let limits = FlowTimeouts::default();
    let table = FlowTable::new(2, [1, 2]);
    let expired = new_flow(0, Protocol::TCP);
    create_with(&table, &expired, &ESTABLISHED, NOW);
    let later = NOW + limits.tcp_established;
    let half_open = new_flow(1, Protocol::TCP);
    create_with(&table, &half_open, &ESTABLISHED[..1], later);
    create(&table, &new_flow(2, Protocol::TCP), later);
    assert_eq!(find(&table, &expired), [None, None]);
    assert!(find(&table, &half_open)[0].is_some());
}

#[test]
fn a_busy_established_flow_never_gives_way() {
    let table = FlowTable::new(4, [1, 2]);
    for n in 0..4 {
        create_with(&table, &new_flow(n, Protocol::TCP), &ESTABLISHED, NOW);
    }
    let soon = NOW + Duration::from_millis(999);
    assert!(table.create(&new_flow(4, Protocol::TCP), &FlowTimeouts::default(), soon).is_err());
    let idle = NOW + Duration::from_secs(1);
    assert!(table.create(&new_flow(4, Protocol::TCP), &FlowTimeouts::default(), idle).is_ok());
}

#[test]
fn a_flood_of_half_open_flows_never_exceeds_the_limit_nor_evicts_established_ones() {
    let table = FlowTable::new(10_000, [1, 2]);
    let established: Vec<_> = (0..1_000).map(|n| new_flow(n, Protocol::TCP)).collect();
    for new in &established {
        create_with(&table, new, &ESTABLISHED, NOW);
    }
    let later = NOW + Duration::from_secs(2);
    for n in 0..100_000 {
        create_with(&table, &new_flow(1_000_000 + n, Protocol::TCP), &ESTABLISHED[..1], later);
        if n % 1_000 == 0 {
            assert!(table.len() <= table.limit());
        }
    }
    assert!(table.len() <= table.limit());
    assert_eq!(table.limit(), 10_000);
    let left = established.iter().filter(|new| find(&table, new)[0].is_some()).count();
    assert_eq!(left, established.len());
}

#[test]
fn a_table_can_be_filled_to_its_limit_and_every_flow_found() {
    let table = FlowTable::new(100_000, [1, 2]);
    let mut n = 0;
    // Shards fill unevenly: busy flows are refused by a full one, and the next goes elsewhere.
    while table.len() < table.limit() && n < 200_000 {
        let new = new_flow(n, Protocol::TCP);
        if let Ok(Created::New(flow)) = table.create(&new, &FlowTimeouts::default(), NOW) {
            for (side, flags) in ESTABLISHED {
                table.touch(flow.id, side, 1, flags, NOW);
            }
            assert_eq!(find(&table, &new), [Some(flow), Some(flow)]);
        }
        n += 1;
    }
    assert_eq!(table.len(), table.limit());
    let found = (0..n).filter(|n| find(&table, &new_flow(*n, Protocol::TCP))[1].is_some()).count();
    assert_eq!(found, table.limit());
}

#[test]
fn flows_are_spread_over_connections_and_buckets() {
    let table = FlowTable::new(1 << 20, [1, 2]);
    let spreads: Vec<usize> =
        (0..256).map(|n| create(&table, &new_flow(n, Protocol::TCP), NOW).id.spread()).collect();
    for connections in [2, 4, 8] {
        let mut taken = vec![0; connections];
        spreads.iter().for_each(|spread| taken[spread % connections] += 1);
        let fair = spreads.len() / connections;
        assert!(taken.iter().all(|flows| (fair / 2..fair * 2).contains(flows)), "{taken:?}");
    }
    let buckets: HashSet<usize> = spreads.iter().map(|spread| (spread >> 16) % 512).collect();
    assert!(buckets.len() > 150, "{} of 512 buckets for 256 flows", buckets.len());
}
