//! Tuples from one side of the node to the other.

use gridway_wire::tuple::FiveTuple;

use crate::flow::mappings::{LocalEndpoint, VirtualEndpoint};
use crate::forwarder::Forwarder;
use crate::policy::{Found, NatRule, Vnet};
use crate::reason::DropReason;

/// A tuple in the addresses of the other side, and the NAT rules that took it there.
pub(crate) struct Translated<'v> {
    pub(crate) tuple: FiveTuple,
    pub(crate) rules: [Option<&'v NatRule>; 2],
    /// The mapping of the remote host, where it shares a local address.
    pub(crate) mapping: Option<(VirtualEndpoint, LocalEndpoint)>,
}

impl Forwarder {
    /// The tuple of a local packet in virtual addresses. A mapping is found, not held.
    pub(crate) fn translate_out<'v>(
        &self,
        vnet: &'v Vnet,
        local: &FiveTuple,
    ) -> Result<Translated<'v>, DropReason> {
        let inside = vnet.nat.inside.to_virtual(local.source);
        self.note_nat(true, local.source, inside);
        let (source, inside) = one_to_one(inside, DropReason::NoInsideNat)?;
        if vnet.is_remote(source) || vnet.is_own(source) {
            return Err(DropReason::SpoofedLocal);
        }
        match vnet.nat.outside.to_virtual(local.destination) {
            Found::Shared(rule) => {
                let endpoint = LocalEndpoint { address: local.destination, port: local.destination_port };
                let found = self.flows.mappings().find(local.protocol, endpoint);
                // The mapping may be older than the rule that serves its virtual host now.
                let is_served = |end: &VirtualEndpoint| {
                    end.vnet == vnet.id
                        && matches!(
                            vnet.nat.outside.to_local(end.address),
                            Found::Shared(rule) if rule.local.contains(&local.destination)
                        )
                };
                let found = found.filter(is_served);
                self.note_mapping(local.destination, rule, found.map(|theirs| (theirs, endpoint)));
                let virtual_end = found.ok_or(DropReason::PatNoMapping)?;
                Ok(Translated {
                    tuple: FiveTuple {
                        source,
                        destination: virtual_end.address,
                        source_port: source_port_towards(&virtual_end, local),
                        destination_port: virtual_end.port,
                        ..*local
                    },
                    rules: [inside, Some(rule)],
                    mapping: Some((virtual_end, endpoint)),
                })
            }
            other => {
                self.note_nat(false, local.destination, other);
                let (destination, outside) = one_to_one(other, DropReason::NoOutsideNat)?;
                Ok(Translated {
                    tuple: FiveTuple { source, destination, ..*local },
                    rules: [inside, outside],
                    mapping: None,
                })
            }
        }
    }

    /// The tuple of an overlay packet in local addresses. A mapping is held: whoever does not give it to a flow
    /// has to release it.
    pub(crate) fn translate_in<'v>(
        &mut self,
        vnet: &'v Vnet,
        overlay: &FiveTuple,
    ) -> Result<Translated<'v>, DropReason> {
        let inside = vnet.nat.inside.to_local(overlay.destination);
        self.note_nat(true, overlay.destination, inside);
        let (destination, inside) = one_to_one(inside, DropReason::NoInsideNat)?;
        match vnet.nat.outside.to_local(overlay.source) {
            Found::Shared(rule) => {
                let endpoint = VirtualEndpoint {
                    vnet: vnet.id,
                    protocol: overlay.protocol,
                    address: overlay.source,
                    port: overlay.source_port,
                };
                let local = self.flows.mappings().acquire(endpoint, rule.local, &mut self.random);
                self.note_mapping(overlay.source, rule, local.map(|local| (endpoint, local)));
                let Some(local) = local else {
                    self.count_exhausted(rule);
                    return Err(DropReason::PatExhausted);
                };
                Ok(Translated {
                    tuple: FiveTuple {
                        source: local.address,
                        destination,
                        source_port: local.port,
                        destination_port: if overlay.protocol.is_icmp() {
                            local.port
                        } else {
                            overlay.destination_port
                        },
                        ..*overlay
                    },
                    rules: [inside, Some(rule)],
                    mapping: Some((endpoint, local)),
                })
            }
            other => {
                self.note_nat(false, overlay.source, other);
                let (source, outside) = one_to_one(other, DropReason::NoOutsideNat)?;
                Ok(Translated {
                    tuple: FiveTuple { source, destination, ..*overlay },
                    rules: [inside, outside],
                    mapping: None,
                })
            }
        }
    }
}

/// An ICMP query has its identifier in both ports of its tuple.
fn source_port_towards(end: &VirtualEndpoint, local: &FiveTuple) -> u16 {
    if local.protocol.is_icmp() { end.port } else { local.source_port }
}

fn one_to_one(
    found: Found<'_>,
    otherwise: DropReason,
) -> Result<(std::net::IpAddr, Option<&NatRule>), DropReason> {
    match found {
        Found::Address(address, rule) => Ok((address, rule)),
        Found::Untranslatable => Err(DropReason::Untranslatable),
        Found::Nothing | Found::Shared(_) => Err(otherwise),
    }
}
