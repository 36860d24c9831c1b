//! Requests and replies.

use serde::{Deserialize, Serialize};

use crate::counters::Counters;
use crate::filter::FlowFilter;
use crate::flow::Flows;
use crate::policy::{AclRow, NatRow, RouteRow};
use crate::session::{ConnectorRow, ServiceRow, Sessions};
use crate::status::{LimitRow, PeerRow, Status};

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
}

impl Request {
    /// Rows of a list of flows or sessions that names no limit.
    pub const DEFAULT_LIMIT: u32 = 1000;
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
    /// To a request that was not served.
    Error(Failure),
}

/// How many were ended. On the wire: `{"flows":3}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Killed {
    /// Flows.
    Flows(u64),
    /// Layer 4 sessions.
    Sessions(u64),
}

/// The configuration in force, as a file that would be accepted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigText {
    /// TOML.
    pub toml: String,
}

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request could not be understood.
    BadRequest,
    /// What was asked for does not exist.
    NotFound,
    /// Too many clients or too large an answer.
    Busy,
    /// The node could not answer.
    Internal,
}
