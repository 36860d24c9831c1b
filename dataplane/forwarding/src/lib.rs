//! Layer 3: what happens to a packet between the data NIC and the tunnel.
//!
//! [`Forwarder::outbound`] and [`Forwarder::inbound`] are the two directions, each on one screen.
//! They read an immutable [`policy::Policy`] and share one [`flow::FlowTable`], the only mutable
//! state. No socket, no clock, no thread: packets and time are arguments.

pub mod counters;
pub mod flow;
pub mod forwarder;
pub mod ids;
mod inbound;
pub mod next_hop;
mod outbound;
pub mod peers;
pub mod policy;
pub mod prefix;
pub mod reason;

pub use counters::{Counter, Counters, Direction};
pub use forwarder::{Forwarder, Inbound, Outbound};
pub use ids::{MonitorId, PeerId, Registry, VnetId};
pub use peers::Peers;
pub use reason::DropReason;
