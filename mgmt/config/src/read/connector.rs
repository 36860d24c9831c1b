//! `[[connector]]` and `[[vnet.port_forward]]`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::quote;
use crate::model::{Connector, Layer4Protocol, format_duration};
use crate::name::{NodeName, ServiceName};
use crate::prefixes::same_family;
use crate::read::peer::PeerNames;
use crate::read::service::refuse_empty;
use crate::read::tables::MOST_MBPS;
use crate::read::unique::Unique;

/// The connectors and port forwards read so far: they share names, and the addresses and ports of
/// the node.
pub(crate) struct Listeners {
    names: Unique<ServiceName>,
    /// Where tunnels are accepted, with its place.
    tunnel: Option<(SocketAddr, Place)>,
    /// By whether it is of UDP.
    taken: HashMap<(bool, SocketAddr), Place>,
    /// The first of a port of TCP or UDP in each address family, which a wildcard address covers.
    ports: HashMap<(bool, bool, u16), SocketAddr>,
}

impl Listeners {
    pub(crate) fn new(root: &Section<'_>, tunnel: Option<SocketAddr>) -> Self {
        let section = root.value("tunnel").and_then(|value| value.peek_table());
        let tunnel = tunnel.zip(section.map(|section| section.place_of("listen")));
        Self { names: Unique::new(), tunnel, taken: HashMap::new(), ports: HashMap::new() }
    }

    /// Refuses an address and port that something else of the node takes.
    fn take(&mut self, section: &Section<'_>, protocol: Layer4Protocol, listen: SocketAddr) {
        let udp = protocol.is_over_udp();
        let port = (udp, listen.is_ipv4(), listen.port());
        let wildcard = match listen {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], listen.port())),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], listen.port())),
        };
        let by_tunnel = self.tunnel.as_ref().filter(|(tunnel, _)| !udp && *tunnel == listen);
        let covered = [listen, wildcard]
            .into_iter()
            .chain(self.ports.get(&port).copied().filter(|_| listen == wildcard));
        let by_listener = covered.into_iter().find_map(|other| self.taken.get_key_value(&(udp, other)));
        let holder = by_tunnel
            .map(|(other, place)| (*other, place))
            .or(by_listener.map(|((_, other), place)| (*other, place)));
        if let Some((other, Place { field, line })) = holder {
            let (found, other, other_field) = (listen.to_string(), other.to_string(), field.clone());
            section.refuse_key("listen", Problem::Taken { found, other, other_field, line: *line });
            return;
        }
        self.taken.insert((udp, listen), section.place_of("listen"));
        self.ports.entry(port).or_insert(listen);
    }
}

pub(crate) fn connectors(root: &Section<'_>, peers: &PeerNames, listeners: &mut Listeners) -> Vec<Connector> {
    let read = |section: &Section<'_>| {
        let protocol = section.required("protocol");
        let interface = section.optional("interface");
        let connector = connector(section, protocol, peers, listeners)?;
        Some(Connector { interface, ..connector })
    };
    root.tables("connector").iter().filter_map(read).collect()
}

/// Any address serves that hosts reach this node by: nothing else has it.
pub(crate) fn port_forwards(
    vnet: &Section<'_>,
    peers: &PeerNames,
    listeners: &mut Listeners,
) -> Vec<Connector> {
    let read = |section: &Section<'_>| {
        let protocol = match section.value("protocol") {
            Some(value) => value.read(),
            None => Some(Connector::DEFAULT_PROTOCOL),
        };
        let connector = connector(section, protocol, peers, listeners)?;
        let address = connector.listen.ip();
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            let expected = "the address that hosts of this side call the service by".to_owned();
            section.refuse_key("listen", Problem::Invalid { found: connector.listen.to_string(), expected });
        }
        Some(connector)
    };
    vnet.tables("port_forward").iter().filter_map(read).collect()
}

/// `protocol` is `None` where it is wrong, and reported.
fn connector(
    section: &Section<'_>,
    protocol: Option<Layer4Protocol>,
    peers: &PeerNames,
    listeners: &mut Listeners,
) -> Option<Connector> {
    let name: Option<ServiceName> = section.required("name");
    if let Some(name) = &name {
        listeners.names.check(section, "name", name.clone());
    }
    let listen: Option<SocketAddr> = section.required("listen");
    if let (Some(protocol), Some(listen)) = (protocol, listen)
        && protocol.is_over_udp()
        && listen.ip().is_unspecified()
    {
        let expected = "one address, which the answers leave from".to_owned();
        section.refuse_key("listen", Problem::Invalid { found: listen.to_string(), expected });
    }
    let peer: Option<NodeName> = section.required("peer");
    if let Some(peer) = &peer {
        peers.check(section, "peer", peer);
    }
    let service = section.required("service");
    let allow = allow(section, listen);
    let max_mbps = section.integer("max_mbps", 0, MOST_MBPS).unwrap_or(0);
    let idle = idle(section, protocol);
    section.finish();
    if let (Some(protocol), Some(listen)) = (protocol, listen) {
        listeners.take(section, protocol, listen);
    }
    Some(Connector {
        name: name?,
        protocol: protocol?,
        listen: listen?,
        interface: None,
        peer: peer?,
        service: service?,
        allow,
        max_mbps,
        idle,
    })
}

/// An empty list would shut everybody out, or let everybody in: whoever writes one has to say which.
fn allow(section: &Section<'_>, listen: Option<SocketAddr>) -> Vec<IpNet> {
    refuse_empty(section, "allow", "at least one prefix, or no such key: any client");
    let allow: Vec<(Place, IpNet)> = section.list("allow").unwrap_or_default();
    if let Some(listen) = listen {
        let strangers = allow.iter().filter(|(_, prefix)| !same_family(*prefix, listen.ip().into()));
        for (place, prefix) in strangers {
            let (found, other) = (prefix.to_string(), format!("the listen address {listen}"));
            section.refuse_at(place, Problem::MixedFamilies { found, other });
        }
    }
    allow.into_iter().map(|(_, prefix)| prefix).collect()
}

fn idle(section: &Section<'_>, protocol: Option<Layer4Protocol>) -> Duration {
    let idle: Option<Duration> = section.optional("idle");
    // A protocol that could not be read was reported, and nothing is judged by it.
    if protocol.is_none_or(Layer4Protocol::is_over_udp) {
        return idle.unwrap_or(Connector::DEFAULT_IDLE);
    }
    if let Some(idle) = idle {
        let expected = "an idle limit only where protocol is \"udp\" or \"tftp\"".to_owned();
        section.refuse_key("idle", Problem::Invalid { found: quote(&format_duration(idle)), expected });
    }
    Duration::ZERO
}
