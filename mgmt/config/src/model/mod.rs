//! The validated configuration: what the rest of Gridway works with.

mod duration;
mod host_port;
mod layer4;
mod nat;
mod node;
mod path;
mod peer;
mod route;
mod tables;
mod vnet;

pub use duration::{format_duration, parse_duration};
pub use host_port::HostPort;
pub use layer4::{Connector, Layer4Protocol, Service, ServiceRange, ServiceRef};
pub use nat::{InsideNat, OutsideNat, RemoteHosts};
pub use node::{
    Attach, Cpus, Data, Identity, Log, LogFormat, LogLevel, Management, Node, Polling, Rings, Role, Roles,
    Tunnel, Workers,
};
pub use peer::Peer;
pub use route::{Monitor, MonitorProtocol, Route};
pub use tables::{Control, FlowLog, FlowTimeouts, Limits, Throttle};
pub use vnet::{AclAction, AclRule, AddressMatch, Object, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Vnet};
