//! Configuration of a Gridway node and of its management process: TOML text in, validated types or every error of the file out.
//!
//! The road is `text -> document (values with their places) -> read (one module a subject) -> model`.
//! The document is walked by hand and not by serde's derive, because serde stops at the first
//! error and an operator wants all of them, each with its line, field, value and remedy.

mod address_set;
mod config;
mod document;
mod error;
mod file;
mod key_file;
mod leaf;
mod management;
mod model;
mod name;
mod prefixes;
mod read;
mod restart;
mod shadow;
mod show;
mod warning;

pub use address_set::{AddressSet, Block, Family};
pub use config::Config;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use key_file::{KeyFileError, check_private_key};
pub use management::{
    Api, HistoryStore, LocalSocket, ManagedNode, ManagementConfig, Webhook, WebhookSeverity,
};
pub use model::{
    AclAction, AclRule, AddressMatch, Attach, Connector, Control, Cpus, Data, FlowLog, FlowTimeouts,
    HostPort, Identity, InsideNat, Layer4Protocol, Limits, Log, LogFormat, LogLevel, Management, Monitor,
    MonitorProtocol, Node, Object, OutsideNat, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Peer, Polling,
    RemoteHosts, Rings, Role, Roles, Route, Service, ServiceRange, ServiceRef, Throttle, Tunnel, Vnet,
    Workers, format_duration, parse_duration,
};
pub use name::{Domain, InterfaceName, NameError, NodeName, ObjectName, ServiceName, VnetName};
pub use show::Detail;
pub use warning::{Concern, ConfigWarning};
