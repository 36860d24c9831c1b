//! Every message about single packets there can be.

use std::net::IpAddr;

use gridway_control::{
    CapturePoint, CapturedPacket, End, PacketFilter, PacketTrace, Ping, Reply, Request, SimulatedPacket, Step,
};
use ipnet::IpNet;
use proptest::prelude::*;

use crate::generate::{optional, side, text, tuple};

fn prefix() -> impl Strategy<Value = IpNet> {
    any::<(IpAddr, u8)>().prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length % (longest + 1)).unwrap()
    })
}

fn filter() -> impl Strategy<Value = PacketFilter> {
    let texts = [optional(text()), optional(text()), optional(text())];
    let prefixes = [optional(prefix()), optional(prefix()), optional(prefix())];
    let ports = [optional(any::<u16>()), optional(any::<u16>()), optional(any::<u16>())];
    (texts, prefixes, ports, optional(side()), optional(any::<u8>())).prop_map(
        |([vnet, peer, dropped], [address, src, dst], [port, sport, dport], from, proto)| PacketFilter {
            from,
            vnet,
            peer,
            address,
            src,
            dst,
            proto,
            port,
            sport,
            dport,
            dropped,
        },
    )
}

/// Any request of them.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let simulated = (
        (side(), text(), optional(text()), tuple()),
        (optional(text()), optional(any::<u16>()), any::<bool>(), any::<u8>()),
    )
        .prop_map(|((from, vnet, peer, tuple), (tcp_flags, length, dont_fragment, ttl))| {
            SimulatedPacket { from, vnet, peer, tuple, tcp_flags, length, dont_fragment, ttl }
        });
    let point = prop_oneof![Just(CapturePoint::Local), Just(CapturePoint::Virtual)];
    let ping = (text(), any::<IpAddr>(), any::<u32>(), any::<u64>());
    prop_oneof![
        simulated.prop_map(Request::Simulate),
        (filter(), any::<[u64; 2]>()).prop_map(|(filter, [count, wait_ms])| Request::Trace {
            filter,
            count,
            wait_ms
        }),
        (point, filter(), any::<[u64; 2]>(), any::<u32>()).prop_map(
            |(point, filter, [count, wait_ms], snap)| Request::Capture {
                point,
                filter,
                count,
                wait_ms,
                snap
            }
        ),
        ping.prop_map(|(vnet, address, count, interval_ms)| Request::Ping {
            vnet,
            address,
            count,
            interval_ms
        }),
    ]
}

/// Any reply of them.
pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let step =
        (text(), any::<bool>(), text()).prop_map(|(stage, passed, detail)| Step { stage, passed, detail });
    let tuples = [optional(tuple()), optional(tuple())];
    let texts = (text(), optional(text()), optional(text()));
    let numbers = || (any::<u64>(), any::<[u32; 2]>(), side());
    let trace = (numbers(), tuples, proptest::collection::vec(step, 0..3), texts).prop_map(
        |((at_us, [worker, length], from), [tuple, translated], steps, (verdict, reason, answer))| {
            PacketTrace { at_us, worker, from, length, tuple, translated, steps, verdict, reason, answer }
        },
    );
    let captured =
        (numbers(), [text(), text()]).prop_map(|((at_us, [worker, length], from), [comment, bytes])| {
            CapturedPacket { at_us, worker, from, comment, length, bytes }
        });
    let ping = (any::<u32>(), optional(any::<u64>()), [optional(text()), optional(text())])
        .prop_map(|(sequence, round_trip_us, [peer, error])| Ping { sequence, round_trip_us, peer, error });
    prop_oneof![
        trace.prop_map(|trace| Reply::Trace(Box::new(trace))),
        captured.prop_map(Reply::Captured),
        ping.prop_map(Reply::Ping),
        any::<[u64; 2]>().prop_map(|[rows, missed]| Reply::End(End { rows, missed })),
    ]
}
