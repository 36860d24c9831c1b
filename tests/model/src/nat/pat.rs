//! Many-to-one NAT (RFC 4787, RFC 5382, RFC 5508). A mapping lives while a flow uses it, so the flows
//! are the table of mappings.

use std::net::IpAddr;

use gridway_config::{OutsideNat, Vnet};

use super::{Outside, inside_to_virtual, outside_to_local, outside_to_virtual, usable_pool};
use crate::flow::{Flow, Mapping};
use crate::model::Model;
use crate::oracle::{IllegalChoice, MappingRequest, Oracle, Place, PoolAddress};
use crate::policy::is_remote;
use crate::reason::{PAT_NO_MAPPING, Reason, SPOOFED_LOCAL};
use crate::tuple::{ICMP, ICMPV6, TCP, Tuple, UDP};

/// Largest of the "well-known" ports, which stay among themselves (RFC 4787 REQ-3).
const LAST_WELL_KNOWN: u16 = 1023;

impl Model {
    /// The mapping at this local address and port, if a flow uses it and its host is behind that pool today.
    pub(crate) fn live_mapping(
        &self,
        vnet: &Vnet,
        address: IpAddr,
        port: u16,
        protocol: u8,
    ) -> Option<Mapping> {
        let flows = self.flows.iter().filter(|flow| flow.vnet == vnet.name.as_str());
        let here = |mapping: &Mapping| {
            (mapping.address, mapping.port, mapping.protocol) == (address, port, protocol)
        };
        let mapping = flows.filter_map(|flow| flow.mapping).find(here)?;
        match outside_to_local(vnet, mapping.host) {
            Ok(Outside::Pool(entry)) if entry.local.contains(&address) => Some(mapping),
            _ => None,
        }
    }

    /// The virtual tuple of a local packet, and the mapping that it uses.
    pub(crate) fn translate_out(
        &self,
        vnet: &Vnet,
        local: &Tuple,
    ) -> Result<(Tuple, Option<Mapping>), Reason> {
        let source = inside_to_virtual(vnet, local.source)?;
        if is_remote(vnet, source) || vnet.address.contains(&source) {
            return Err(SPOOFED_LOCAL);
        }
        match outside_to_virtual(vnet, local.destination)? {
            Outside::Address(destination) => Ok((Tuple { source, destination, ..*local }, None)),
            Outside::Pool(_) => {
                let place = (local.destination, local.destination_port);
                let mapping = self.live_mapping(vnet, place.0, place.1, local.protocol);
                let mapping = mapping.ok_or(PAT_NO_MAPPING)?;
                let destination_port = mapping.host_port;
                // An ICMP identifier is one number: where the destination's was mapped the source's is the same.
                let source_port = match local.protocol {
                    ICMP | ICMPV6 => destination_port,
                    _ => local.source_port,
                };
                let there =
                    Tuple { source, destination: mapping.host, source_port, destination_port, ..*local };
                Ok((there, Some(mapping)))
            }
        }
    }

    /// The mapping of a remote host: the one it has, for whatever destination (endpoint-independent), or
    /// a new one. `None`: nothing is free.
    pub(crate) fn mapping_for(
        &mut self,
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
        let paired = share.paired();
        if paired.is_none_or(|paired| !entry.local.contains(&paired)) {
            self.pairings.insert((vnet.name.as_str().to_owned(), host), address);
        }
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
    /// Mappings in use, those of flows that a change of the NAT has outdated included.
    fn in_use(&self) -> impl Iterator<Item = (&Flow, Mapping)> {
        self.model.flows.iter().filter_map(|flow| flow.mapping.map(|mapping| (flow, mapping)))
    }

    fn existing(&self) -> Option<Mapping> {
        let mine = |(flow, mapping): &(&Flow, Mapping)| {
            flow.vnet == self.vnet.name.as_str()
                && (mapping.host, mapping.host_port) == (self.host, self.port)
                && mapping.protocol == self.protocol
                && self.entry.local.contains(&mapping.address)
        };
        self.in_use().find(mine).map(|(_, mapping)| mapping)
    }

    fn is_taken(&self, address: IpAddr, port: u16) -> bool {
        let place = (address, port, self.protocol);
        // The host's own earlier one, of another pool, is still there while the new one is made.
        self.in_use().any(|(_, mapping)| (mapping.address, mapping.port, mapping.protocol) == place)
    }

    /// The address of the pool that the host has (RFC 4787 REQ-2), while it has mappings of whatever protocol.
    fn paired(&self) -> Option<IpAddr> {
        let name = self.vnet.name.as_str();
        let mine = |(flow, mapping): (&Flow, Mapping)| flow.vnet == name && mapping.host == self.host;
        let pairing = self.model.pairings.get(&(name.to_owned(), self.host)).copied();
        pairing.filter(|_| self.in_use().any(mine))
    }

    fn pool(&self) -> impl Iterator<Item = IpAddr> {
        usable_pool(self.entry.local).filter(|address| !self.model.data_addresses.contains(address))
    }

    fn may_become(&self, port: u16) -> bool {
        let same_class = (port <= LAST_WELL_KNOWN) == (self.port <= LAST_WELL_KNOWN);
        let usable = port != 0;
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
            .find(|port| self.may_become(*port) && !self.is_taken(address, *port))
    }

    fn first_allowed(&self) -> Option<(IpAddr, u16)> {
        let paired = self.paired().filter(|paired| self.entry.local.contains(paired)).into_iter();
        paired.chain(self.pool()).find_map(|address| self.first_port(address).map(|port| (address, port)))
    }

    /// Whether the choice is allowed; else the rule that it breaks.
    fn check(&self, address: IpAddr, port: u16) -> Result<(), &'static str> {
        let holds = |condition: bool, rule| if condition { Ok(()) } else { Err(rule) };
        holds(self.pool().any(|usable| usable == address), "the address is in the pool")?;
        holds(self.may_become(port), "range and parity of the port are kept")?;
        holds(!self.is_taken(address, port), "no other host has it")?;
        let may_stay = self.may_become(self.port) && !self.is_taken(address, self.port);
        holds(port == self.port || !may_stay, "the port stays where it is free")?;
        let paired = self.paired().filter(|paired| self.entry.local.contains(paired));
        let has_room = paired.filter(|paired| self.first_port(*paired).is_some());
        holds(
            has_room.is_none_or(|paired| paired == address),
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
