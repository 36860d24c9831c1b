//! Many-to-one NAT (RFC 4787, RFC 5382, RFC 5508). A mapping lives while a flow uses it, so the flows
//! are the table of mappings.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gridway_config::{OutsideNat, Vnet};

use super::{inside_to_virtual, usable_pool};
use crate::flow::{Flow, Mapping};
use crate::model::Model;
use crate::oracle::{IllegalChoice, MappingRequest, Oracle, Place, PoolAddress};
use crate::tuple::{ICMP, ICMPV6, TCP, UDP};

/// Largest of the "well-known" ports, which stay among themselves (RFC 4787 REQ-3).
const LAST_WELL_KNOWN: u16 = 1023;

impl Model {
    /// The mapping at this local address and port, if a flow uses it.
    pub(crate) fn live_mapping(&self, address: IpAddr, port: u16, protocol: u8) -> Option<Mapping> {
        let flows = self.flows.iter().filter(|flow| self.translation_stands(flow));
        flows
            .filter_map(|flow| flow.mapping)
            .find(|mapping| (mapping.address, mapping.port, mapping.protocol) == (address, port, protocol))
    }

    /// The mapping of a remote host: the one it has, for whatever destination (endpoint-independent), or
    /// a new one. `None`: nothing is free.
    pub(crate) fn mapping_for(
        &self,
        vnet: &Vnet,
        entry: &OutsideNat,
        (host, host_port, protocol): (IpAddr, u16, u8),
        oracle: &mut dyn Oracle,
    ) -> Result<Option<Mapping>, IllegalChoice> {
        let share = Share { model: self, vnet, entry, host, port: host_port, protocol };
        if let Some(mapping) = share.existing() {
            return Ok(Some(mapping));
        }
        let Some(first) = share.first_allowed() else {
            return Ok(None);
        };
        let (address, port) = match oracle.mapping(&share.request()) {
            None => first,
            Some(Place { address, port }) => {
                let chosen = port.or_else(|| share.first_port(address)).unwrap_or(host_port);
                let refused =
                    |rule| IllegalChoice::Mapping { host, port: host_port, protocol, address, chosen, rule };
                share.check(address, chosen).map_err(refused)?;
                (address, chosen)
            }
        };
        Ok(Some(Mapping { protocol, host, host_port, address, port }))
    }
}

/// What is known when a mapping is asked for.
struct Share<'a> {
    model: &'a Model,
    vnet: &'a Vnet,
    entry: &'a OutsideNat,
    host: IpAddr,
    port: u16,
    protocol: u8,
}

impl Share<'_> {
    /// Mappings in use. Those of flows that a change of the NAT has outdated hold their place until the
    /// flow ends or not, as the forwarder likes: with `outdated` they count.
    fn in_use(&self, outdated: bool) -> impl Iterator<Item = (&Flow, Mapping)> {
        let flows = self.model.flows.iter();
        let counted = move |flow: &&Flow| outdated || self.model.translation_stands(flow);
        flows.filter(counted).filter_map(|flow| flow.mapping.map(|mapping| (flow, mapping)))
    }

    fn existing(&self) -> Option<Mapping> {
        let mine = |(flow, mapping): &(&Flow, Mapping)| {
            flow.vnet == self.vnet.name.as_str()
                && (mapping.host, mapping.host_port) == (self.host, self.port)
                && mapping.protocol == self.protocol
        };
        self.in_use(false).find(mine).map(|(_, mapping)| mapping)
    }

    fn is_taken(&self, address: IpAddr, port: u16, outdated: bool) -> bool {
        let place = (address, port, self.protocol);
        self.in_use(outdated).any(|(_, mapping)| (mapping.address, mapping.port, mapping.protocol) == place)
    }

    /// Addresses of the pool that the host has mappings at, of whatever protocol (RFC 4787 REQ-2).
    fn paired(&self, outdated: bool) -> BTreeSet<IpAddr> {
        let mine = |(flow, mapping): &(&Flow, Mapping)| {
            flow.vnet == self.vnet.name.as_str() && mapping.host == self.host
        };
        self.in_use(outdated).filter(mine).map(|(_, mapping)| mapping.address).collect()
    }

    fn pool(&self) -> impl Iterator<Item = IpAddr> {
        usable_pool(self.entry.local).filter(|address| !self.model.data_addresses.contains(address))
    }

    fn may_become(&self, port: u16) -> bool {
        let same_class = (port <= LAST_WELL_KNOWN) == (self.port <= LAST_WELL_KNOWN);
        let usable = port != 0 || self.port == 0;
        match self.protocol {
            TCP => same_class && usable,
            UDP => same_class && usable && port % 2 == self.port % 2,
            ICMP | ICMPV6 => true,
            _ => port == 0,
        }
    }

    /// The first allowed port at an address: the host's own, then in order.
    fn first_port(&self, address: IpAddr) -> Option<u16> {
        std::iter::once(self.port)
            .chain(0..=u16::MAX)
            .find(|port| self.may_become(*port) && !self.is_taken(address, *port, false))
    }

    fn first_allowed(&self) -> Option<(IpAddr, u16)> {
        let paired = self.paired(false).into_iter();
        paired.chain(self.pool()).find_map(|address| self.first_port(address).map(|port| (address, port)))
    }

    /// Whether the choice is allowed; else the rule that it breaks.
    fn check(&self, address: IpAddr, port: u16) -> Result<(), &'static str> {
        let holds = |condition: bool, rule| if condition { Ok(()) } else { Err(rule) };
        holds(self.pool().any(|usable| usable == address), "the address is in the pool")?;
        holds(self.may_become(port), "range and parity of the port are kept")?;
        holds(!self.is_taken(address, port, false), "no other host has it")?;
        holds(
            port == self.port || self.is_taken(address, self.port, true),
            "the port stays where it is free",
        )?;
        let paired = self.paired(false);
        let has_room = paired.iter().any(|address| self.first_port(*address).is_some());
        holds(
            !has_room || paired.contains(&address) || self.paired(true).contains(&address),
            "a host keeps its address while that has ports",
        )
    }

    fn request(&self) -> MappingRequest {
        let seen = |address| PoolAddress { address, in_overlay: inside_to_virtual(self.vnet, address).ok() };
        MappingRequest {
            vnet: self.vnet.name.as_str().to_owned(),
            protocol: self.protocol,
            host: self.host,
            port: self.port,
            pool: self.pool().take(256).map(seen).collect(),
        }
    }
}
