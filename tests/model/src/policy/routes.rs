//! Choice of a peer, and the check of sources.

use std::net::IpAddr;

use gridway_config::{Route, Vnet};
use ipnet::IpNet;

use super::is_remote;
use crate::reason::{NO_ROUTE, PEER_DOWN, Reason};

/// The routes of a vnet, and which of them are available: tunnel up and monitor passing.
pub(crate) struct Reachable<'a> {
    pub(crate) vnet: &'a Vnet,
    pub(crate) available: &'a dyn Fn(&Route) -> bool,
}

impl Reachable<'_> {
    /// The prefixes that contain `address`, longest first.
    fn prefixes(&self, address: IpAddr) -> Vec<IpNet> {
        let mut prefixes: Vec<IpNet> =
            self.vnet.routes.iter().map(|route| route.to).filter(|to| to.contains(&address)).collect();
        prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.prefix_len()));
        prefixes.dedup();
        prefixes
    }

    fn routes_to(&self, prefix: IpNet) -> impl Iterator<Item = &Route> {
        self.vnet.routes.iter().filter(move |route| route.to == prefix)
    }

    /// The best peers: longest prefix with an available route, lowest metric among its available routes.
    pub(crate) fn best(&self, destination: IpAddr) -> Result<Vec<String>, Reason> {
        let prefixes = self.prefixes(destination);
        if prefixes.is_empty() {
            return Err(NO_ROUTE);
        }
        for prefix in prefixes {
            let available: Vec<&Route> =
                self.routes_to(prefix).filter(|route| (self.available)(route)).collect();
            if let Some(metric) = available.iter().map(|route| route.metric).min() {
                let best = available.iter().filter(|route| route.metric == metric);
                return Ok(best.map(|route| route.via.as_str().to_owned()).collect());
            }
        }
        Err(PEER_DOWN)
    }

    /// Feasible path (RFC 3704 2.3): whether `peer` may send packets with this virtual source.
    pub(crate) fn is_feasible(&self, source: IpAddr, peer: &str) -> bool {
        if !is_remote(self.vnet, source) {
            return false;
        }
        for prefix in self.prefixes(source) {
            if self.routes_to(prefix).any(|route| route.via.as_str() == peer) {
                return true;
            }
            if self.routes_to(prefix).any(|route| (self.available)(route)) {
                return false;
            }
        }
        false
    }
}
