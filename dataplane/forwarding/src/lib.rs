//! Layer 3: what happens to a packet between the data NIC and the tunnel.
//!
//! [`Forwarder::outbound`] and [`Forwarder::inbound`] are the two directions, each on one screen.
//! They read an immutable [`policy::Policy`] and share [`forwarder::Shared`], the only mutable state: flows
//! with their port mappings, datagrams in fragments, and who is available. What they send besides the packet
//! they were given waits in [`verdict::Emissions`]. No socket, no clock, no thread: packets and time are arguments.

pub mod counters;
mod error_translation;
pub mod expected;
pub mod flow;
pub mod forwarder;
mod fragmented;
pub mod fragments;
pub mod ids;
mod inbound;
mod judge;
mod lane;
mod limiter;
pub mod monitor;
pub mod next_hop;
mod outbound;
pub mod peers;
pub mod pings;
pub mod policy;
pub mod prefix;
pub mod reason;
mod refusal;
mod relay;
mod simulation;
pub mod steps;
pub mod throttle;
mod translate;
pub mod verdict;

pub use counters::{Counter, Counters, Direction};
pub use expected::{Expectations, Expected};
pub use forwarder::{Forwarder, Shared};
pub use ids::{MonitorId, PeerId, Registry, VnetId};
pub use peers::Peers;
pub use reason::DropReason;
pub use simulation::Simulation;
pub use steps::Step;
pub use verdict::{Emission, Emissions, Inbound, Origin, Outbound, Target, Tunnel};
