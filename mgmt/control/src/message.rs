//! Requests and replies.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::change::{ConfigState, InForce, Judgement, Proposal};
use crate::connection::ConnectionRow;
use crate::counters::Counters;
use crate::event::Events;
use crate::filter::FlowFilter;
use crate::flow::Flows;
use crate::history::VersionRow;
use crate::packet_filter::PacketFilter;
use crate::policy::{AclRow, NatRow, RouteRow};
use crate::session::{ConnectorRow, ServiceRow, Sessions};
use crate::status::{LimitRow, PeerRow, Status};
use crate::watch::{CapturePoint, CapturedPacket, End, PacketTrace, Ping, SimulatedPacket};

/// What a client asks. On the wire: `{"request":"flows","filter":{…},"limit":100}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The node at a glance.
    Status,
    /// Tunnels.
    Peers,
    /// Routes of all vnets.
    Routes,
    /// Live flows that match every field of the filter.
    Flows {
        /// Fields to match; none given matches all flows.
        #[serde(default)]
        filter: FlowFilter,
        /// Most rows wanted; the node may return fewer and says how many matched.
        #[serde(default = "default_limit")]
        limit: u32,
    },
    /// Ends the live flows that match every field of the filter.
    KillFlows {
        /// Fields to match. Must be given: `{}` ends all flows.
        filter: FlowFilter,
    },
    /// Live Layer 4 sessions.
    Sessions {
        /// Most rows wanted; the node may return fewer and says how many there are.
        #[serde(default = "default_limit")]
        limit: u32,
    },
    /// Ends Layer 4 sessions; the client and the target are told, where the protocol can.
    KillSessions {
        /// Their numbers; those that do not exist are passed over.
        ids: Vec<u64>,
    },
    /// Connectors and port forwards.
    Connectors,
    /// Services and service ranges.
    Services,
    /// Packet counters and drops.
    Counters,
    /// NAT entries and their hits.
    Nat,
    /// Access rules and their hits.
    Acl,
    /// The configuration in force.
    Config {
        /// Show values that equal their default too.
        #[serde(default)]
        defaults: bool,
    },
    /// Bounded tables: how full they are.
    Limits,
    /// Connections of the tunnels, with what the kernel says of them.
    Connections,
    /// Puts a configuration into force.
    Apply(Proposal),
    /// Keeps the change that awaits confirmation.
    Confirm {
        /// Digest of the configuration that is meant: refused while another one is in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Who asks; default: the user of the socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Undoes the change that awaits confirmation.
    Rollback {
        /// Digest of the configuration that is meant: refused while another one is in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Who asks; default: the user of the socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Judges a configuration and says what it would change; changes nothing.
    Judge {
        /// TOML.
        toml: String,
    },
    /// Which configuration is in force.
    ConfigState,
    /// The text that is in force, as it was given.
    InForce,
    /// Events with numbers above `after`.
    Events {
        /// The `last` of the answer before; 0 for all that are remembered.
        #[serde(default)]
        after: u64,
        /// How long to wait for one if there is none yet, milliseconds; at most [`Request::LONGEST_WAIT_MS`].
        #[serde(default)]
        wait_ms: u64,
    },
    /// What would become of a packet: every step, nothing sent, counted or changed.
    Simulate(SimulatedPacket),
    /// The steps that the next packets take: a list that comes row by row.
    Trace {
        /// Which packets.
        #[serde(default)]
        filter: PacketFilter,
        /// How many.
        count: u64,
        /// For how long at most, milliseconds.
        wait_ms: u64,
    },
    /// The next packets themselves: a list that comes row by row.
    Capture {
        /// Where.
        point: CapturePoint,
        /// Which packets.
        #[serde(default)]
        filter: PacketFilter,
        /// How many.
        count: u64,
        /// For how long at most, milliseconds.
        wait_ms: u64,
        /// Bytes of each packet that are wanted.
        snap: u32,
    },
    /// Echo requests from the vnet's own address: a list that comes row by row.
    Ping {
        /// The vnet.
        vnet: String,
        /// Virtual address.
        address: IpAddr,
        /// How many.
        count: u32,
        /// Time between two, milliseconds.
        interval_ms: u64,
    },
    /// Versions of the configuration, the newest first; kept by the management process.
    History,
    /// The text of one version; kept by the management process.
    Version {
        /// Its number.
        version: u64,
    },
}

impl Request {
    /// Rows of a list of flows or sessions that names no limit.
    pub const DEFAULT_LIMIT: u32 = 1000;
    /// Longest time that a request may wait for events, milliseconds.
    pub const LONGEST_WAIT_MS: u64 = 8_000;

    /// Whether its answer is a list that comes row by row, with [`Reply::End`] behind it.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        matches!(self, Self::Trace { .. } | Self::Capture { .. } | Self::Ping { .. })
    }
}

fn default_limit() -> u32 {
    Request::DEFAULT_LIMIT
}

/// What the node answers. On the wire: `{"reply":"peers","value":[…]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Peers`].
    Peers(Vec<PeerRow>),
    /// To [`Request::Routes`].
    Routes(Vec<RouteRow>),
    /// To [`Request::Flows`].
    Flows(Flows),
    /// To [`Request::KillFlows`] and [`Request::KillSessions`].
    Killed(Killed),
    /// To [`Request::Sessions`].
    Sessions(Sessions),
    /// To [`Request::Connectors`].
    Connectors(Vec<ConnectorRow>),
    /// To [`Request::Services`].
    Services(Vec<ServiceRow>),
    /// To [`Request::Counters`].
    Counters(Box<Counters>),
    /// To [`Request::Nat`].
    Nat(Vec<NatRow>),
    /// To [`Request::Acl`].
    Acl(Vec<AclRow>),
    /// To [`Request::Config`].
    Config(ConfigText),
    /// To [`Request::Limits`].
    Limits(Vec<LimitRow>),
    /// To [`Request::Connections`].
    Connections(Vec<ConnectionRow>),
    /// To [`Request::Apply`], [`Request::Confirm`], [`Request::Rollback`] and [`Request::ConfigState`].
    ConfigState(ConfigState),
    /// To [`Request::Judge`].
    Judgement(Judgement),
    /// To [`Request::InForce`].
    InForce(InForce),
    /// To [`Request::Events`].
    Events(Events),
    /// To [`Request::Simulate`], and a row of [`Request::Trace`].
    Trace(Box<PacketTrace>),
    /// A row of [`Request::Capture`].
    Captured(CapturedPacket),
    /// A row of [`Request::Ping`].
    Ping(Ping),
    /// Behind the last row of a list that comes row by row.
    End(End),
    /// To [`Request::History`].
    History(Vec<VersionRow>),
    /// To [`Request::Version`].
    Version(ConfigText),
    /// To a request that was not served.
    Error(Failure),
}

/// How many were ended. On the wire: `{"flows":3}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Killed {
    /// Flows.
    Flows(u64),
    /// Layer 4 sessions.
    Sessions(u64),
}

/// The configuration in force, as a file that would be accepted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigText {
    /// TOML.
    pub toml: String,
}

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Kind of a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request could not be understood.
    BadRequest,
    /// What was asked for does not exist.
    NotFound,
    /// It contradicts what is: another change is pending, or was made meanwhile.
    Conflict,
    /// The configuration is wrong, or needs a restart.
    Invalid,
    /// Too many clients or too large an answer.
    Busy,
    /// The node could not answer.
    Internal,
}
