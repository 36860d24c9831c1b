//! Look-ups in the tables of Layer 3: access rules, routes, flows. They do not depend on each other, so a processor works
//! on several at a time.

#[path = "../examples/acl_lookup/rules.rs"]
#[expect(dead_code, reason = "only tuples that match, of one shape")]
mod rules;
#[path = "../examples/route_lookup/shapes.rs"]
mod shapes;
#[path = "../examples/support/mod.rs"]
#[expect(dead_code, reason = "no packet is forwarded")]
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;

use gridway_config::FlowTimeouts;
use gridway_forwarding::flow::{FlowTable, Key, NewFlow, Side, Traits};
use gridway_forwarding::policy::{Policy, Ruling};
use gridway_forwarding::prefix::PrefixTable;
use gridway_forwarding::{Registry, VnetId};
use gridway_micro::{Functions, Turns};
use gridway_wire::packet::parse;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rules::{Drawn, Shape};
use support::PEER;

const RULES: [usize; 3] = [10, 1_000, 10_000];
const PREFIXES: [usize; 2] = [1_000, 1_000_000];
const FLOWS: [usize; 2] = [1_000, 1_000_000];
/// Tuples that take turns: more than what caches of branches remember.
const TUPLES: usize = 1 << 16;
/// Destinations that take turns: of a large table, more parts than caches hold.
const DESTINATIONS: usize = 1 << 20;
const SEED: u64 = 20;
const VNET: VnetId = VnetId(0);

/// The policy of a node with so many access rules, and tuples for which some rule was made.
fn policy(rules: usize) -> (Policy, Turns<FiveTuple>) {
    let Drawn { rules, aimed, .. } = Drawn::new(rules, TUPLES, Shape::Site, SEED);
    let mut config = support::config();
    config.vnets[0].acl = rules;
    let policy = Policy::compile(&Arc::new(config), &mut Registry::default(), None).expect("a few names");
    (policy, Turns::new(aimed))
}

/// The prefixes with their numbers, and destinations within them.
fn routes(
    prefixes: Vec<impl Into<IpNet>>,
    destinations: Vec<impl Into<IpAddr>>,
) -> (PrefixTable<u32>, Turns<IpAddr>) {
    let table = prefixes.into_iter().map(Into::into).zip(0..).collect();
    (table, Turns::new(destinations.into_iter().map(Into::into).collect()))
}

fn routes_v4(count: usize) -> (PrefixTable<u32>, Turns<IpAddr>) {
    let random = &mut StdRng::seed_from_u64(SEED);
    let prefixes = shapes::v4(count, random);
    let destinations = shapes::within_v4(&prefixes, DESTINATIONS, random);
    routes(prefixes, destinations.into_iter().map(Ipv4Addr::from).collect())
}

fn routes_v6(count: usize) -> (PrefixTable<u32>, Turns<IpAddr>) {
    let random = &mut StdRng::seed_from_u64(SEED);
    let prefixes = shapes::v6(count, random);
    let destinations = shapes::within_v6(&prefixes, DESTINATIONS, random);
    routes(prefixes, destinations.into_iter().map(Ipv6Addr::from).collect())
}

/// A table with so many flows, and the keys of all of them as packets of local hosts have them, in random order.
fn flows(count: usize) -> (Arc<FlowTable>, Turns<Key>) {
    let table = support::table(count * 2);
    let now = Nanos(1_000_000_000);
    let mut local_keys = Vec::with_capacity(count);
    for n in 0..count {
        let (local, overlay) = support::packets(n);
        let tuple = |packet: &[u8]| parse(packet).expect("a proper packet").tuple;
        let keys = [Key::local(&tuple(&local)), Key::overlay(VNET, &tuple(&overlay))];
        let new = NewFlow {
            vnet: VNET,
            peer: PEER,
            back: PEER,
            epoch: 1,
            started_by: Side::Local,
            traits: Traits::default(),
            acl_line: 1,
            keys,
        };
        table.create(&new, &FlowTimeouts::default(), now).expect("there is room");
        local_keys.push(keys[0]);
    }
    local_keys.shuffle(&mut StdRng::seed_from_u64(SEED));
    (table, Turns::new(local_keys))
}

fn main() -> ExitCode {
    let mut functions = Functions::from_arguments();
    for size in RULES {
        functions.add(
            "judgement, of rules",
            size,
            || policy(size),
            |(policy, tuples)| {
                let vnet = policy.vnet(VNET).expect("it has one");
                matches!(vnet.acl.judge(tuples.turn()), Ruling::Allow(_))
            },
        );
    }
    for size in PREFIXES {
        functions.add(
            "route, of IPv4 prefixes",
            size,
            || routes_v4(size),
            |(table, destinations)| table.longest(*destinations.turn()).copied(),
        );
    }
    for size in PREFIXES {
        functions.add(
            "route, of IPv6 prefixes",
            size,
            || routes_v6(size),
            |(table, destinations)| table.longest(*destinations.turn()).copied(),
        );
    }
    for size in FLOWS {
        functions.add(
            "flow, of flows",
            size,
            || flows(size),
            |(table, keys)| table.find(Side::Local, keys.turn()),
        );
    }
    functions.finish()
}
