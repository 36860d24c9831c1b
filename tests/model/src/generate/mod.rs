//! Strategies for configurations and for what happens to a node, in address spaces so small that things
//! collide.
//!
//! ```text
//!  local hosts 10.1.0.0/28, fd01::/64           remote hosts 10.200.1.0/28, fd00:200:0:2::/64 (gw-b first)
//!        [ node, 10.1.0.1 and fd01::1 ] ===                  10.200.2.0/28, fd00:200:0:3::/64 (gw-c first)
//!  in the vnets 10.200.0.0/28, fd00:200:0:1::/64
//! ```
//!
//! Both vnets, `one` and `two`, use the same virtual addresses.

mod addresses;
mod config;
mod event;
mod packet;
mod scenario;

pub use addresses::{DATA_ADDRESSES, data_addresses};
pub use config::{AclPlan, ConfigPlan, NatStyle, RoutePlan, VnetPlan};
pub use event::{Event, Order, Piece, event};
pub use packet::{Content, PacketPlan, packet_plan};
pub use scenario::{Scenario, config_plan, scenario};

/// Peers of every generated configuration.
pub const PEERS: [&str; 3] = ["gw-b", "gw-c", "gw-d"];
/// Vnets of every generated configuration.
pub const VNETS: [&str; 2] = ["one", "two"];
/// MTU of the data NIC in generated runs.
pub const DATA_MTU: u16 = 1500;
