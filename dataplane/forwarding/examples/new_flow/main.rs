//! Begins flows: NAT on both sides, an access policy, a route, an entry in the flow table:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example new_flow
//! new_flow FLOWS RULES ROUTES
//! valgrind --tool=callgrind new_flow FLOWS RULES ROUTES
//! ```
//!
//! Each packet begins another flow. Of the rules only the last matches; routes have the shape of the Internet's
//! routing table, and one more leads to the destination. Time a flow is printed.

#[path = "../route_lookup/shapes.rs"]
#[expect(dead_code, reason = "the other example draws addresses and IPv6 too")]
mod shapes;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use gridway_config::{AclAction, AclRule, AddressMatch, Config, PROTOCOL_TCP, Route};
use gridway_forwarding::Outbound;
use gridway_wire::time::Nanos;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Adds rules for single ports of other hosts, and routes to other networks.
fn fill(config: &mut Config, rules: usize, routes: usize) {
    let random = &mut StdRng::seed_from_u64(4);
    let vnet = &mut config.vnets[0];
    let via = vnet.routes[0].via.clone();
    for line in 0..rules.saturating_sub(1) {
        let network = format!("10.{}.{}.0/24", random.random_range(128..200), random.random::<u8>());
        vnet.acl.push(AclRule {
            line: line as u32 + 1,
            action: AclAction::Allow,
            protocol: Some(PROTOCOL_TCP),
            source: AddressMatch::any(),
            destination: AddressMatch::prefix(network.parse().expect("a prefix")),
            ports: Some((line % 60_000) as u16..=(line % 60_000) as u16),
        });
    }
    vnet.acl.sort_by_key(|rule| rule.line);
    let prefixes = shapes::v4(routes.saturating_sub(1), random).into_iter();
    vnet.routes.extend(prefixes.filter(|prefix| prefix.network().octets()[0] != 10).map(|prefix| Route {
        to: prefix.into(),
        via: via.clone(),
        metric: 100,
        monitor: None,
    }));
}

fn main() -> ExitCode {
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [flows, rules, routes] = arguments[..] else {
        eprintln!("usage: new_flow FLOWS RULES ROUTES");
        return ExitCode::from(2);
    };
    let mut config = support::config();
    fill(&mut config, rules, routes);
    let start = Instant::now();
    let mut forwarder = support::forwarder_with(config, support::table(flows * 2));
    println!("policy compiled in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let mut packets: Vec<_> = (0..flows).map(|n| support::packets(n).0).collect();
    let now = Nanos(1_000_000_000);
    let start = Instant::now();
    let mut began = 0;
    for packet in &mut packets {
        began += usize::from(matches!(forwarder.outbound(packet, now), Outbound::Tunnel { .. }));
    }
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "{began} of {flows} flows began, {rules} rules, {routes} routes: {:.0} ns a flow, {:.0} flows a second",
        elapsed * 1e9 / flows.max(1) as f64,
        flows as f64 / elapsed
    );
    if began == flows { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
