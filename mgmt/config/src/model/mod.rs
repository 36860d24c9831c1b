//! The validated configuration: what the rest of Gridway works with.

mod duration;
mod node;
mod path;
mod peer;
mod tables;
mod vnet;

pub use duration::{format_duration, parse_duration};
pub use node::{
    Attach, Cpus, Data, Identity, Log, LogFormat, LogLevel, Management, Node, Polling, Rings, Role, Roles,
    Tunnel, Workers,
};
pub use peer::{DialTarget, Peer};
pub use tables::{Control, FlowTimeouts, Limits, Throttle};
pub use vnet::{
    AclAction, AclRule, AddressMatch, InsideNat, Monitor, MonitorProtocol, Object, OutsideNat, PROTOCOL_ICMP,
    PROTOCOL_TCP, PROTOCOL_UDP, RemoteHosts, Route, Vnet,
};
