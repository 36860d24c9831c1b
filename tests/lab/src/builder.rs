//! Building a laboratory; `topology` has the drawing.

use std::time::Duration;

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::hub::Hub;
use crate::link::{End, LinkSpec, connect};
use crate::namespace::Namespace;
use crate::relay::Relay;
use crate::side::{DATA_INTERFACE, HOST_INTERFACE, Side, WAN_INTERFACE};
use crate::topology::Lab;
use crate::wan::Wan;

/// Most hosts on a side.
const MAX_HOSTS: usize = 32;

/// What to build. The default is the smallest laboratory: one host a side, one queue, a plain WAN link.
#[derive(Debug, Clone)]
pub struct LabBuilder {
    hosts: [usize; 2],
    data: LinkSpec,
    wan: LinkSpec,
    delay: Option<Duration>,
    hub: bool,
}

impl Default for LabBuilder {
    fn default() -> Self {
        Self {
            hosts: [1, 1],
            data: LinkSpec::default(),
            wan: LinkSpec { wire_like: false, ..LinkSpec::default() },
            delay: None,
            hub: false,
        }
    }
}

impl LabBuilder {
    /// Number of hosts on a side, 1 to 32.
    #[must_use]
    pub fn hosts(mut self, side: Side, count: usize) -> Self {
        self.hosts[side.index()] = count;
        self
    }

    /// Receive and transmit queues of both ends of the data links.
    #[must_use]
    pub fn queues(mut self, queues: u32) -> Self {
        self.data.queues = queues;
        self
    }

    /// MTU of the data links, bytes (1500 unless set).
    #[must_use]
    pub fn data_mtu(mut self, mtu: u32) -> Self {
        self.data.mtu = mtu;
        self
    }

    /// MTU of the WAN link, bytes (1500 unless set).
    #[must_use]
    pub fn wan_mtu(mut self, mtu: u32) -> Self {
        self.wan.mtu = mtu;
        self
    }

    /// One-way delay of the WAN, by a relay in this process; [`Wan::relay`] changes it later. Without this the WAN
    /// is a veth pair that keeps its offloads and has no delay.
    #[must_use]
    pub fn wan_delay(mut self, one_way: Duration) -> Self {
        self.delay = Some(one_way);
        self
    }

    /// A third gateway on the WAN, with a host behind it: [`Lab::hub`]. The WAN is a switch then.
    #[must_use]
    pub fn hub(mut self) -> Self {
        self.hub = true;
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// [`LabError`] of whatever step failed; what was built until then is gone when this returns.
    pub fn build(self) -> Result<Lab> {
        if let Some(&count) = self.hosts.iter().find(|&&count| count == 0 || count > MAX_HOSTS) {
            return Err(LabError::Unsupported(format!("a side has 1 to {MAX_HOSTS} hosts, not {count}")));
        }
        if self.hub && self.delay.is_some() {
            return Err(LabError::Unsupported("the delay relay joins two gateways, not three".to_owned()));
        }
        let dir = LabDir::create()?;
        let id = dir.id();
        let gateways = [Namespace::create("gwa", &id)?, Namespace::create("gwb", &id)?];
        let mut hosts = [Vec::new(), Vec::new()];
        let mut switches = Vec::new();
        for side in Side::BOTH {
            let gateway = &gateways[side.index()];
            let count = self.hosts[side.index()];
            for n in 0..count {
                hosts[side.index()].push(Namespace::create(&host_name(side, n), &id)?);
            }
            let hosts = &hosts[side.index()];
            let data = End { namespace: gateway, interface: DATA_INTERFACE };
            if let [only] = hosts.as_slice() {
                connect(data, End { namespace: only, interface: HOST_INTERFACE }, self.data)?;
            } else {
                let hosts = hosts.iter().map(|namespace| End { namespace, interface: HOST_INTERFACE });
                let name = format!("switch-{}", side.node());
                switches.push(switch(&name, &id, std::iter::once(data).chain(hosts), self.data)?);
            }
            gateway.ip_batch(&format!(
                "addr add {}/24 dev {DATA_INTERFACE}\naddr add {}/64 dev {DATA_INTERFACE} nodad",
                side.data(),
                side.data6()
            ))?;
            for (n, host) in hosts.iter().enumerate() {
                address_host(side, n, host)?;
            }
        }
        let hub = if self.hub { Some(Hub::create(&id, self.data)?) } else { None };
        let [a, b] = &gateways;
        let wan = |namespace| End { namespace, interface: WAN_INTERFACE };
        let relay = match (self.delay, &hub) {
            (Some(delay), _) => Some(Relay::start(&gateways, self.wan.mtu, delay)?),
            (None, Some(hub)) => {
                let ends = [wan(a), wan(b), wan(hub.gateway())];
                switches.push(switch("switch-wan", &id, ends.into_iter(), self.wan)?);
                hub.address_wan()?;
                None
            }
            (None, None) => {
                connect(wan(a), wan(b), self.wan)?;
                None
            }
        };
        for side in Side::BOTH {
            gateways[side.index()].ip_batch(&format!(
                "addr add {}/24 dev {WAN_INTERFACE}\naddr add {}/64 dev {WAN_INTERFACE} nodad",
                side.wan(),
                side.wan6()
            ))?;
        }
        let wan = Wan::new(gateways.clone(), relay);
        Ok(Lab { wan, hosts, gateways, hub, switches, dir })
    }
}

/// `h1`, `h2` for the first host of each side; further ones are `h1-1`, `h1-2`, …
fn host_name(side: Side, n: usize) -> String {
    let number = side.index() + 1;
    if n == 0 { format!("h{number}") } else { format!("h{number}-{n}") }
}

fn address_host(side: Side, n: usize, host: &Namespace) -> Result<()> {
    host.ip_batch(&format!(
        "addr add {}/24 dev {HOST_INTERFACE}\n\
         addr add {}/64 dev {HOST_INTERFACE} nodad\n\
         route add default via {}\n\
         route add ::/0 via {}",
        side.host(n),
        side.host6(n),
        side.data(),
        side.data6()
    ))?;
    Ok(())
}

/// A bridge in a namespace of its own with those ends on its ports.
fn switch<'a>(
    name: &str,
    id: &str,
    ends: impl Iterator<Item = End<'a>>,
    spec: LinkSpec,
) -> Result<Namespace> {
    let namespace = Namespace::create(name, id)?;
    // No multicast snooping: it would hold back neighbour discovery until it has learnt the groups.
    namespace.ip("link add br0 type bridge mcast_snooping 0")?;
    for (n, end) in ends.enumerate() {
        let port = format!("port{n}");
        connect(end, End { namespace: &namespace, interface: &port }, spec)?;
        namespace.ip(&format!("link set {port} master br0"))?;
    }
    namespace.ip(&format!("link set br0 up mtu {}", spec.mtu))?;
    Ok(namespace)
}
