//! Configurations, and a run of events under them.

use gridway_config::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::config::{AclPlan, ConfigPlan, NatStyle, RoutePlan, VnetPlan};
use super::event::{Event, event};
use super::{DATA_MTU, PEERS};

/// A run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The first one is in force at first.
    pub configs: Vec<ConfigPlan>,
    /// What happens, after all tunnels came up with an MTU of [`DATA_MTU`].
    pub events: Vec<Event>,
}

impl Scenario {
    /// One of the configurations.
    #[must_use]
    pub fn config(&self, which: usize) -> Config {
        self.configs[which % self.configs.len()].parse()
    }

    /// The events, with the tunnels coming up first.
    pub fn all_events(&self) -> impl Iterator<Item = Event> {
        let up = PEERS.iter().map(|name| Event::Peer { name, up: true, mtu: DATA_MTU });
        up.chain(self.events.iter().cloned())
    }
}

/// Up to `length` events under three variants of a configuration.
pub fn scenario(length: usize) -> impl Strategy<Value = Scenario> {
    let configs = (config_plan(), acl(), acl(), config_plan(), any::<bool>()).prop_map(
        |(base, acl, other_acl, other, same_nat)| {
            let mut judged = base.clone();
            judged.vnets[0].acl = acl;
            judged.vnets[1].acl = other_acl;
            let mut changed = other;
            if same_nat {
                for (vnet, base) in changed.vnets.iter_mut().zip(&base.vnets) {
                    vnet.nat = base.nat;
                }
            }
            vec![base, judged, changed]
        },
    );
    (configs, vec(event(3), 1..length)).prop_map(|(configs, events)| Scenario { configs, events })
}

/// A configuration of two vnets with the same virtual addresses.
pub fn config_plan() -> impl Strategy<Value = ConfigPlan> {
    use NatStyle::{Hairpin, Identity, Netmap, Object, Plain, PoolOfOne, PoolOfTwo};
    let first = select(vec![Netmap, PoolOfOne, PoolOfTwo, Hairpin, Object, Identity, Plain]);
    let second = select(vec![Netmap, PoolOfOne, PoolOfTwo, Hairpin, Object]);
    (vnet(first), vnet(second), proptest::bool::weighted(0.8))
        .prop_map(|(one, two, midstream)| ConfigPlan { vnets: [one, two], midstream })
}

fn vnet(nat: impl Strategy<Value = NatStyle>) -> impl Strategy<Value = VnetPlan> {
    let mtu = select(vec![None, None, Some(1280), Some(1400)]);
    (nat, routes(), acl(), proptest::bool::weighted(0.8), mtu, proptest::bool::weighted(0.1), any::<bool>())
        .prop_map(|(nat, routes, acl, address, mtu, dark, relay)| VnetPlan {
            nat,
            routes,
            acl,
            address,
            mtu,
            dark,
            relay,
        })
}

/// Every remote host behind one peer, and more.
fn routes() -> impl Strategy<Value = Vec<RoutePlan>> {
    let prefix = select(vec![
        "10.200.1.0/28",
        "10.200.2.0/28",
        "10.200.0.0/22",
        "10.200.1.2/32",
        "fd00:200:0:2::/64",
        "fd00:200:0:3::/64",
        "fd00:200::/48",
    ]);
    let more = (prefix, select(&PEERS[..]), select(vec![10u8, 20]), any::<bool>())
        .prop_map(|(to, via, metric, monitored)| RoutePlan { to, via, metric, monitored });
    let base = [
        ("10.200.1.0/28", PEERS[0]),
        ("10.200.2.0/28", PEERS[1]),
        ("fd00:200:0:2::/64", PEERS[0]),
        ("fd00:200:0:3::/64", PEERS[1]),
    ];
    vec(more, 0..6).prop_map(move |more| {
        let base = base.map(|(to, via)| RoutePlan { to, via, metric: 10, monitored: false });
        base.into_iter().chain(more).collect()
    })
}

fn acl() -> impl Strategy<Value = Vec<AclPlan>> {
    let families = [
        vec![None, Some("10.200.1.0/28"), Some("!10.200.1.0/28"), Some("10.200.0.0/28"), Some("remote-v4")],
        vec![None, Some("fd00:200:0:2::/64"), Some("!fd00:200:0:2::/64"), Some("fd00:200:0:1::/64")],
    ];
    let addresses =
        select(families.to_vec()).prop_flat_map(|family| (select(family.clone()), select(family)));
    let rule = (
        select(vec!["allow", "allow", "reject", "drop"]),
        select(vec!["any", "tcp", "udp", "icmp", "47"]),
        addresses,
        select(vec![None, Some("80"), Some("1000-2000")]),
    )
        .prop_map(|(action, protocol, (source, destination), ports)| AclPlan {
            action,
            protocol,
            source,
            destination,
            ports,
        });
    (vec(rule, 0..4), proptest::bool::weighted(0.85)).prop_map(|(mut rules, allow_rest)| {
        rules.extend(allow_rest.then_some(AclPlan::ALLOW));
        rules
    })
}
