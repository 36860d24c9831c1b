//! Layer 4: live sessions, the listeners that begin them and the services that they reach.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Clients or sessions that were refused, by reason; reasons that never occurred may be left out.
pub type Refusals = BTreeMap<String, u64>;

/// Answer to `gridway sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sessions {
    /// Sessions that live, of which `rows` may be the first few.
    pub matched: u64,
    /// The sessions.
    pub rows: Vec<SessionRow>,
}

/// A row of `gridway sessions`. The nodes at both ends of a session each have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionRow {
    /// Number of the session at this node; never used again while the node runs.
    pub id: u64,
    /// Connector or port forward that began it; none at the end of the service.
    pub connector: Option<String>,
    /// Peer at the other end.
    pub peer: String,
    /// Service as the connector asks for it: its name, or `host:port`.
    pub service: String,
    /// Address of the client, at the end of the service as the peer told it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub client: SocketAddr,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Seconds since it began.
    pub age_s: u64,
    /// `tcp`, `udp`, `ftp` or `tftp`.
    pub protocol: String,
    /// Which end this node is.
    pub side: SessionSide,
    /// Address that the service has for it; none at the end of the connector, and until a name is resolved.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub target: Option<SocketAddr>,
    /// How far it is.
    pub state: SessionState,
    /// Seconds since bytes passed.
    pub idle_s: u64,
}

/// Ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionSide {
    /// The node beside the client.
    Connector,
    /// The node beside the target.
    Service,
}

impl SessionSide {
    /// The side as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Service => "service",
        }
    }
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// The target has not answered.
    Connecting,
    /// Bytes may pass both ways.
    Open,
    /// One way or both have ended.
    Closing,
}

impl SessionState {
    /// The state as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// A row of `gridway connectors`: a connector, or a port forward of a vnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectorRow {
    /// Name.
    pub name: String,
    /// `tcp`, `udp`, `ftp` or `tftp`.
    pub protocol: String,
    /// Where it listens.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub listen: SocketAddr,
    /// Peer that it leads to.
    pub peer: String,
    /// Name of a service of the peer, or `host:port`.
    pub service: String,
    /// Vnet of a port forward; none of a connector.
    pub vnet: Option<String>,
    /// Whether it listens.
    pub state: ConnectorState,
    /// Why it does not.
    pub error: Option<String>,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions begun since the start.
    pub accepted: u64,
    /// Clients turned away.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub refused: Refusals,
    /// Datagrams for which there was no room, or that fit no session.
    pub lost: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// State of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// Clients may come.
    Listening,
    /// Its address and port could not be taken.
    Error,
}

impl ConnectorState {
    /// The state as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Error => "error",
        }
    }
}

/// A row of `gridway services`: a service, or a range of targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceRow {
    /// Name; none of a range.
    pub name: Option<String>,
    /// `tcp`, `udp`, `ftp` or `tftp`; `any` of a range.
    pub protocol: String,
    /// `host:port`, or the prefixes and ports of a range.
    pub target: String,
    /// Peers that may use it.
    pub peers: Vec<String>,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions whose target answered, since the start.
    pub opened: u64,
    /// Sessions refused.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub refused: Refusals,
    /// Datagrams for which there was no room.
    pub lost: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}
