//! Reading the kernel's tables anew.

use std::collections::BTreeMap;

use netlink_packet_route::route::RouteHeader;

use super::{Stale, Watcher, keeper};
use crate::link::{Link, own_address};
use crate::requests::FAMILIES;
use crate::{NetlinkError, neighbour, route};

/// A full Internet table of both families, with room to spare (tens of megabytes).
const ROUTES: usize = 2 << 20;

impl Watcher {
    /// Reads again what may have changed. What the kernel changed while it was read stays stale.
    pub(super) fn refresh(&mut self) -> Result<(), NetlinkError> {
        if self.stale.link {
            self.refresh_link()?;
            self.stale.link = false;
        }
        if self.stale.addresses {
            self.stale.addresses = !self.refresh_addresses()?;
        }
        if self.stale.neighbours {
            self.stale.neighbours = !self.refresh_neighbours()?;
        }
        if self.stale.routes {
            self.stale.routes = !self.refresh_routes()?;
        }
        Ok(())
    }

    fn refresh_link(&mut self) -> Result<(), NetlinkError> {
        let link = match self.requests.link_at(self.link.index)? {
            Some(message) => Link::read(&self.name, &message)?,
            None => Link { up: false, gone: true, ..self.link },
        };
        if link.gone && !self.link.gone {
            tracing::warn!(interface = self.name, "the interface is gone");
            self.stale = Stale::EVERYTHING;
        }
        self.changed |= link != self.link;
        self.link = link;
        Ok(())
    }

    fn refresh_addresses(&mut self) -> Result<bool, NetlinkError> {
        let index = self.link.index;
        let (mut own, mut consistent) = (Vec::new(), true);
        for family in FAMILIES.into_iter().filter(|_| !self.link.gone) {
            consistent &=
                self.requests.addresses(family, index, |message| own.extend(own_address(index, message)))?;
        }
        own.sort_unstable();
        own.dedup();
        self.changed |= own != self.own;
        self.own = own;
        Ok(consistent)
    }

    fn refresh_neighbours(&mut self) -> Result<bool, NetlinkError> {
        let index = self.link.index;
        let (mut entries, mut consistent) = (BTreeMap::new(), true);
        for family in FAMILIES.into_iter().filter(|_| !self.link.gone) {
            consistent &= self
                .requests
                .neighbours(family, index, |message| entries.extend(neighbour::read(index, message)))?;
        }
        self.changed |= self.neighbours.replace(entries);
        for address in self.managed.addresses() {
            keeper::observe(&mut self.managed, self.keep, address, self.neighbours.get(address));
        }
        Ok(consistent)
    }

    fn refresh_routes(&mut self) -> Result<bool, NetlinkError> {
        let index = self.link.index;
        let (mut routes, mut consistent, mut excess) = (Vec::new(), true, false);
        for family in FAMILIES.into_iter().filter(|_| !self.link.gone) {
            consistent &= self.requests.routes(family, RouteHeader::RT_TABLE_MAIN, |message| {
                excess |= routes.len() >= ROUTES;
                if !excess {
                    routes.extend(route::read(index, message));
                }
            })?;
        }
        if excess {
            // A part of the table would send packets where a longer prefix, left out, says otherwise.
            return Err(NetlinkError::TooManyRoutes { limit: ROUTES });
        }
        self.changed |= routes != self.routes;
        self.routes = routes;
        Ok(consistent)
    }
}
