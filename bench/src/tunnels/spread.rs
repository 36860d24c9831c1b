//! Packets of one host to many peers.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::gateway::vnets;
use gridway_lab::{DATA_INTERFACE, HOST_INTERFACE, Lab, RawSender, Side};
use gridway_wire::mac::MacAddr;

use super::VNET;
use super::clients::{self, Clients};
use crate::load::endpoint::{DRAIN, Endpoint, Finish, Plan};
use crate::load::flows::{Addresses, Space};
use crate::load::pattern::Sizes;
use crate::load::stamp::Clock;
use crate::load::turns::Turns;
use crate::packets::PARTIAL_DROP;
use crate::search::{Outcome, search};

/// What h1 calls the first peer's host, and what the vnet calls it; those of the others follow.
const LOCAL: Ipv4Addr = Ipv4Addr::new(172, 16, 64, 0);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 200, 64, 0);
/// Flows that take turns, however many peers they go to.
const FLOWS: u32 = 1000;
/// A load under which flows begin, before anything counts.
const WARM_UP: (f64, Duration) = (10_000.0, Duration::from_millis(300));

/// The vnet with a route to each of so many peers, of which each has one host.
pub(super) fn table_of_peers(count: usize) -> String {
    let mut text = format!(
        r#"
[[vnet]]
name = "{VNET}"
cidr = "10.200.0.0/16"
address = "{}"

  [[vnet.inside_nat]]
  local = "{}"
  virtual = "{}"

  [[vnet.outside_nat]]
  virtual = "{VIRTUAL}/20"
  local = "{LOCAL}/20"
  proxy_arp = true
"#,
        vnets::virtual_gateway(Side::A),
        Side::A.network(),
        vnets::virtual_network(Side::A),
    );
    for n in 0..count {
        let to = Ipv4Addr::from(u32::from(VIRTUAL) + n as u32);
        text += &format!("\n  [[vnet.route]]\n  to = \"{to}/32\"\n  via = \"{}\"\n", clients::name(n));
    }
    text
}

/// The generator on h1.
pub(super) struct Spread {
    endpoint: Endpoint,
    next_hop: MacAddr,
    trial: u16,
}

/// What became of packets to several peers.
struct Delivered {
    offered: f64,
    loss: f64,
}

impl Outcome for Delivered {
    fn offered(&self) -> f64 {
        self.offered
    }

    fn loss(&self) -> f64 {
        self.loss
    }
}

impl Spread {
    pub(super) fn open(lab: &Lab) -> Result<Self> {
        let next_hop = MacAddr(RawSender::open(lab.gateway(Side::A), DATA_INTERFACE)?.mac());
        let endpoint = lab.h1().enter(|| Endpoint::open(HOST_INTERFACE, 1))??;
        Ok(Self { endpoint, next_hop, trial: 0 })
    }

    /// The highest rate at which the first so many peers together receive all but 0.5 % of what is sent, 0 if there is
    /// none; and whether they may receive more.
    pub(super) fn rate(
        &mut self,
        clients: &mut Clients,
        peers: usize,
        highest: f64,
        time: Duration,
    ) -> Result<(f64, bool)> {
        let (rate, warm_up) = WARM_UP;
        self.send(clients, peers, rate, warm_up)?;
        let found = search(highest, PARTIAL_DROP, |rate| self.send(clients, peers, rate, time))?;
        Ok((found.best.map_or(0.0, |delivered| delivered.offered), found.at_least))
    }

    fn send(&mut self, clients: &mut Clients, peers: usize, rate: f64, time: Duration) -> Result<Delivered> {
        let count = u32::try_from(peers).context("so many peers have no addresses")?;
        let space =
            Space { destinations: Addresses::from(LOCAL, count), ..Space::between(Side::A.host(0), LOCAL) };
        self.trial = self.trial.wrapping_add(1);
        let plan = Plan {
            next_hop: self.next_hop,
            space,
            schedule: Turns::Of(FLOWS).within(&space, 0)?,
            trial: self.trial,
            rate: Some(rate),
            time,
            lengths: Sizes::Fixed(64).lengths(),
        };
        let before = clients.packets()?;
        let sent = self.endpoint.work(Some(&plan), None, Clock::start(), &Finish::of(1))?;
        std::thread::sleep(DRAIN);
        let received = clients.packets()? - before;
        let lost = sent.packets.saturating_sub(received);
        Ok(Delivered { offered: sent.rate(), loss: lost as f64 / sent.packets.max(1) as f64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_route_of_its_own() {
        let text = table_of_peers(300);
        assert_eq!(text.matches("[[vnet.route]]").count(), 300);
        assert!(text.contains("to = \"10.200.65.43/32\"\n  via = \"peer-299\""), "{text}");
    }
}
