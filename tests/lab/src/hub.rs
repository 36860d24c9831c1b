//! A third gateway on the WAN.
//!
//! ```text
//!  gwa wan0 ====+==== wan0 gwb
//!               |
//!               +==== wan0 gwh data0 ---- eth0 h3
//!           192.0.2.3      10.3.0.1       10.3.0.2
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::Result;
use crate::link::{End, LinkSpec, connect};
use crate::namespace::Namespace;
use crate::side::{DATA_INTERFACE, HOST_INTERFACE, TUNNEL_PORT, WAN_INTERFACE};

/// The gateway between the sides, and the host behind it.
#[derive(Debug)]
pub struct Hub {
    gateway: Namespace,
    host: Namespace,
}

impl Hub {
    /// Name of the node.
    pub const NODE: &str = "gw-h";
    /// Its WAN address (RFC 5737).
    pub const WAN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
    /// Its address on the data link.
    pub const DATA: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 1);
    /// The data network.
    pub const NETWORK: &str = "10.3.0.0/24";
    /// Address of the host behind it.
    pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 2);

    /// Where it listens for tunnels.
    #[must_use]
    pub fn tunnel() -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Self::WAN), TUNNEL_PORT)
    }

    /// Namespace of the gateway.
    #[must_use]
    pub fn gateway(&self) -> &Namespace {
        &self.gateway
    }

    /// Namespace of the host.
    #[must_use]
    pub fn host(&self) -> &Namespace {
        &self.host
    }

    pub(crate) fn create(lab: &str, data: LinkSpec) -> Result<Self> {
        let hub = Self { gateway: Namespace::create("gwh", lab)?, host: Namespace::create("h3", lab)? };
        let end = |namespace, interface| End { namespace, interface };
        connect(end(&hub.gateway, DATA_INTERFACE), end(&hub.host, HOST_INTERFACE), data)?;
        hub.gateway.ip(&format!("addr add {}/24 dev {DATA_INTERFACE}", Self::DATA))?;
        hub.host.ip_batch(&format!(
            "addr add {}/24 dev {HOST_INTERFACE}\nroute add default via {}",
            Self::HOST,
            Self::DATA
        ))?;
        Ok(hub)
    }

    /// Once its end of the WAN is there.
    pub(crate) fn address_wan(&self) -> Result<()> {
        self.gateway.ip(&format!("addr add {}/24 dev {WAN_INTERFACE}", Self::WAN)).map(drop)
    }
}
