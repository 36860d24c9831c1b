//! What a configuration says of Layer 4, as workers need it.

use std::net::IpAddr;
use std::sync::Arc;

use gridway_config::{Config, Connector, HostPort, Layer4Protocol, NodeName, Service};
use gridway_wire::frame::{StreamProtocol, StreamTarget};

use crate::{RANGES, Refusal, Side};

/// A connector or port forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// As configured.
    pub connector: Connector,
    /// The vnet of a port forward: its address is not the node's own.
    pub vnet: Option<Arc<str>>,
    /// Interface that its clients come by.
    pub device: Arc<str>,
}

impl Listener {
    /// Whether it listens where the other does and leads to the same service: then socket and sessions of the other are
    /// of use still.
    pub(crate) fn leads_as(&self, other: &Self) -> bool {
        let Connector { protocol, listen, peer, service, .. } = &other.connector;
        let of = &self.connector;
        (&of.protocol, &of.listen, &of.peer, &of.service) == (protocol, listen, peer, service)
            && (self.vnet.is_some(), &self.device) == (other.vnet.is_some(), &other.device)
    }
}

/// What a peer may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// A service.
    Service(Arc<Service>),
    /// A target whose addresses must lie within the ranges of this peer.
    Ranges(HostPort),
}

/// The Layer 4 tables of one configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    config: Arc<Config>,
    listeners: Vec<Arc<Listener>>,
    services: Vec<Arc<Service>>,
}

impl Plan {
    /// The plan of `config`.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let device: Arc<str> = device(&config).into();
        let listeners = config.listeners().map(|(vnet, connector)| {
            let vnet = vnet.map(|name| name.as_str().into());
            let device = connector.interface.as_ref().map_or(device.clone(), |name| name.as_str().into());
            Arc::new(Listener { connector: connector.clone(), vnet, device })
        });
        let listeners = listeners.collect();
        let services = config.services.iter().cloned().map(Arc::new).collect();
        Self { listeners, services, config }
    }

    /// Connectors and port forwards.
    #[must_use]
    pub fn listeners(&self) -> &[Arc<Listener>] {
        &self.listeners
    }

    /// Whether something is counted under `name`.
    #[must_use]
    pub fn names(&self, side: Side, name: &str) -> bool {
        match side {
            Side::Connector => self.listeners.iter().any(|listener| listener.connector.name.as_str() == name),
            Side::Service => {
                name == RANGES || self.services.iter().any(|service| service.name.as_str() == name)
            }
        }
    }

    /// The interface that targets are reached by unless a service says otherwise.
    pub(crate) fn device(&self) -> &str {
        device(&self.config)
    }

    /// What `peer` may reach of what it asks for.
    pub(crate) fn grant(
        &self,
        peer: &str,
        protocol: Layer4Protocol,
        target: &StreamTarget<'_>,
    ) -> Result<Grant, Refusal> {
        match target {
            StreamTarget::Service(name) => {
                let service = self.services.iter().find(|service| service.name.as_str() == *name);
                let service = service.ok_or(Refusal::UnknownService)?;
                if !names(&service.peers, peer) {
                    return Err(Refusal::PeerNotAllowed);
                }
                if service.protocol != protocol {
                    return Err(Refusal::ProtocolMismatch);
                }
                Ok(Grant::Service(service.clone()))
            }
            StreamTarget::Host { host, port } => {
                let may = |range: &gridway_config::ServiceRange| {
                    names(&range.peers, peer) && range.ports.contains(port)
                };
                if !self.config.service_ranges.iter().any(may) {
                    return Err(Refusal::NotInRange);
                }
                Ok(Grant::Ranges(HostPort { host: (*host).to_owned(), port: *port }))
            }
            StreamTarget::FtpPassive { .. } | StreamTarget::FtpActive { .. } => Err(Refusal::UnknownService),
        }
    }

    /// Whether `peer` may reach `address` and `port` by a range.
    pub(crate) fn in_range(&self, peer: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let ranges = &self.config.service_ranges;
        ranges.iter().any(|range| names(&range.peers, peer) && range.contains(address, port))
    }
}

fn device(config: &Config) -> &str {
    config.data.as_ref().map_or(config.management.interface.as_str(), |data| data.interface.as_str())
}

fn names(peers: &[NodeName], peer: &str) -> bool {
    peers.iter().any(|name| name.as_str() == peer)
}

/// The protocol as frames call it.
pub(crate) fn to_stream(protocol: Layer4Protocol) -> StreamProtocol {
    match protocol {
        Layer4Protocol::Tcp => StreamProtocol::Tcp,
        Layer4Protocol::Udp => StreamProtocol::Udp,
        Layer4Protocol::Ftp => StreamProtocol::Ftp,
        Layer4Protocol::Tftp => StreamProtocol::Tftp,
    }
}

/// The protocol as the configuration calls it.
pub(crate) fn from_stream(protocol: StreamProtocol) -> Layer4Protocol {
    match protocol {
        StreamProtocol::Tcp => Layer4Protocol::Tcp,
        StreamProtocol::Udp => Layer4Protocol::Udp,
        StreamProtocol::Ftp => Layer4Protocol::Ftp,
        StreamProtocol::Tftp => Layer4Protocol::Tftp,
    }
}
