//! From a validated configuration to a policy.

use std::net::IpAddr;
use std::sync::Arc;

use gridway_config::{AclRule, Config};
use ipnet::IpNet;

use super::acl::Acl;
use super::hits::Hits;
use super::nat::{Nat, NatRule, Translation};
use super::routes::{Candidate, Routes};
use super::{Policy, Probe, Vnet};
use crate::ids::{MonitorId, Registry, RegistryFull, VnetId};

impl Policy {
    /// Compiles `config`. A vnet whose configuration is that of `previous` is taken over as it is; rules of
    /// others that `previous` had keep their hits.
    ///
    /// # Errors
    /// [`RegistryFull`] when more peers, vnets or monitors were configured since the start than have numbers.
    pub fn compile(
        config: &Arc<Config>,
        registry: &mut Registry,
        previous: Option<&Self>,
    ) -> Result<Self, RegistryFull> {
        let mut vnets = Vec::new();
        let (mut selectors, mut pools) = (Vec::new(), Vec::new());
        for raw in &config.vnets {
            let id = registry.vnet(raw.name.as_str())?;
            let old =
                previous.and_then(|previous| Some((previous, previous.vnets.get(id.index())?.as_ref()?)));
            let unchanged = old.filter(|(previous, _)| previous.config.vnet(raw.name.as_str()) == Some(raw));
            let vnet = match unchanged {
                Some((_, vnet)) => vnet.clone(),
                None => Arc::new(compile_vnet(raw, id, registry, old.map(|(_, vnet)| vnet.as_ref()))?),
            };
            selectors.extend(raw.selectors().map(|prefix| (prefix, id)));
            pools
                .extend(raw.outside_nat.iter().filter(|nat| nat.is_many_to_one()).map(|nat| (nat.local, ())));
            if vnets.len() <= id.index() {
                vnets.resize_with(id.index() + 1, || None);
            }
            vnets[id.index()] = Some(vnet);
        }
        Ok(Self {
            generation: previous.map_or(0, |previous| previous.generation) + 1,
            timeouts: config.flows,
            config: config.clone(),
            vnets,
            selectors: selectors.into_iter().collect(),
            pools: pools.into_iter().collect(),
        })
    }
}

fn compile_vnet(
    raw: &gridway_config::Vnet,
    id: VnetId,
    registry: &mut Registry,
    old: Option<&Vnet>,
) -> Result<Vnet, RegistryFull> {
    let inside = raw
        .inside_nat
        .iter()
        .map(|nat| NatRule::new(nat.local, gridway_config::RemoteHosts::Prefix(nat.virtual_prefix), false));
    let outside =
        raw.outside_nat.iter().map(|nat| NatRule::new(nat.local, nat.remote.clone(), nat.is_many_to_one()));
    // The kernel answers ARP for a port forward, which it has a route to; of IPv6 it answers for interfaces only.
    let forwards = raw.port_forwards.iter().map(|forward| forward.listen.ip());
    let forwards = forwards.filter(IpAddr::is_ipv6).map(IpNet::from);
    let mut probes = Vec::new();
    let mut routes = Vec::with_capacity(raw.routes.len());
    for route in &raw.routes {
        let peer = registry.peer(route.via.as_str())?;
        let monitor = match route.monitor {
            Some(monitor) => {
                let id = monitor_id(raw, route, &monitor, registry)?;
                // Validation has seen to the address.
                let source = raw.address_like(monitor.target);
                probes.extend(source.map(|source| Probe { id, peer, source, monitor }));
                Some(id)
            }
            None => None,
        };
        routes.push((route.to, Candidate { peer, metric: route.metric, monitor }));
    }
    Ok(Vnet {
        id,
        name: raw.name.as_str().to_owned(),
        addresses: raw.address.clone(),
        mtu: raw.mtu.unwrap_or(u16::MAX),
        dark: raw.dark,
        relay: raw.relay,
        nat: Nat {
            inside: translation(raw, inside.collect(), old.map(|old| old.nat.inside.rules())),
            outside: translation(raw, outside.collect(), old.map(|old| old.nat.outside.rules())),
        },
        acl: Acl::new(raw.acl.iter().map(|rule| (rule.clone(), acl_hits(rule, old))).collect()),
        routes: Routes::new(routes),
        probes,
        proxied: raw
            .outside_nat
            .iter()
            .filter(|nat| nat.proxy_arp)
            .map(|nat| nat.local)
            .chain(forwards)
            .collect(),
    })
}

/// Everything that makes a monitor the one it is.
fn monitor_id(
    raw: &gridway_config::Vnet,
    route: &gridway_config::Route,
    monitor: &gridway_config::Monitor,
    registry: &mut Registry,
) -> Result<MonitorId, RegistryFull> {
    registry.monitor(&format!("{} {} {} {:?} {monitor:?}", raw.name, route.to, route.via, raw.address))
}

fn translation(raw: &gridway_config::Vnet, mut rules: Vec<NatRule>, old: Option<&[NatRule]>) -> Translation {
    if !raw.nat {
        return Translation::Off;
    }
    for rule in &mut rules {
        let known = old.unwrap_or_default().iter();
        if let Some(known) =
            known.into_iter().find(|old| (old.local, &old.remote) == (rule.local, &rule.remote))
        {
            (rule.hits, rule.exhausted) = (known.hits.clone(), known.exhausted.clone());
        }
    }
    Translation::new(rules, &raw.cidr)
}

fn acl_hits(rule: &AclRule, old: Option<&Vnet>) -> Arc<Hits> {
    old.and_then(|old| old.acl.hits_of(rule)).cloned().unwrap_or_default()
}
