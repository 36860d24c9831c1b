//! From a validated configuration to a policy.

use std::sync::Arc;

use gridway_config::{AclRule, Config};
use ipnet::IpNet;

use super::acl::Acl;
use super::hits::Hits;
use super::nat::{Nat, NatRule, Netmap, Translation};
use super::routes::{Candidate, Routes};
use super::{Policy, Vnet};
use crate::ids::{Registry, RegistryFull};
use crate::prefix::PrefixTable;

impl Policy {
    /// Compiles `config`. Rules that `previous` had keep their hits.
    ///
    /// # Errors
    /// [`RegistryFull`] when more peers or vnets were configured since the start than have numbers.
    pub fn compile(
        config: &Config,
        registry: &mut Registry,
        previous: Option<&Self>,
    ) -> Result<Self, RegistryFull> {
        let mut policy = Self {
            generation: previous.map_or(0, |previous| previous.generation) + 1,
            timeouts: config.flows,
            vnets: Vec::new(),
            selectors: PrefixTable::default(),
        };
        for raw in &config.vnets {
            let id = registry.vnet(raw.name.as_str())?;
            let old = previous.and_then(|previous| previous.vnet(id));
            let vnet = compile_vnet(raw, id, registry, old)?;
            for selector in raw.selectors() {
                policy.selectors.insert(selector, id);
            }
            if policy.vnets.len() <= id.index() {
                policy.vnets.resize_with(id.index() + 1, || None);
            }
            policy.vnets[id.index()] = Some(Arc::new(vnet));
        }
        Ok(policy)
    }
}

fn compile_vnet(
    raw: &gridway_config::Vnet,
    id: crate::ids::VnetId,
    registry: &mut Registry,
    old: Option<&Vnet>,
) -> Result<Vnet, RegistryFull> {
    let inside = raw.inside_nat.iter().map(|nat| (nat.local, nat.virtual_prefix)).collect();
    let outside = raw.outside_nat.iter().map(|nat| (nat.local, nat.remote.prefixes()[0])).collect();
    let routes = raw
        .routes
        .iter()
        .map(|route| {
            let peer = registry.peer(route.via.as_str())?;
            Ok((route.to, Candidate { peer, metric: route.metric }))
        })
        .collect::<Result<_, RegistryFull>>()?;
    Ok(Vnet {
        id,
        name: raw.name.as_str().to_owned(),
        address: raw.address.first().copied(),
        mtu: raw.mtu.unwrap_or(u16::MAX),
        nat: Nat {
            inside: translation(raw, inside, old.map(|old| old.nat.inside.rules())),
            outside: translation(raw, outside, old.map(|old| old.nat.outside.rules())),
        },
        acl: Acl::new(raw.acl.iter().map(|rule| (rule.clone(), acl_hits(rule, old))).collect()),
        routes: Routes::new(routes),
        proxied: raw.outside_nat.iter().filter(|nat| nat.proxy_arp).map(|nat| nat.local).collect(),
    })
}

fn translation(
    raw: &gridway_config::Vnet,
    pairs: Vec<(IpNet, IpNet)>,
    old: Option<&[NatRule]>,
) -> Translation {
    if !raw.nat {
        return Translation::Off;
    }
    if pairs.is_empty() {
        return Translation::IdentityWithin(raw.cidr.clone());
    }
    let hits = |local, virtual_prefix| {
        old.unwrap_or_default()
            .iter()
            .find(|rule| (rule.local, rule.virtual_prefix) == (local, virtual_prefix))
            .map(|rule| rule.hits.clone())
            .unwrap_or_default()
    };
    let rule = |(local, virtual_prefix)| NatRule { local, virtual_prefix, hits: hits(local, virtual_prefix) };
    Translation::Netmap(Box::new(Netmap::new(pairs.into_iter().map(rule).collect())))
}

fn acl_hits(rule: &AclRule, old: Option<&Vnet>) -> Arc<Hits> {
    old.and_then(|old| old.acl.hits_of(rule)).cloned().unwrap_or_default()
}
