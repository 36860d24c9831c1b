//! Network-namespace laboratories for Gridway: end-to-end tests, the demonstration and the benchmark run in them.
//!
//! ```text
//! h1 ---- gwa ==== wan ==== gwb ---- h2
//! ```
//!
//! ```no_run
//! use gridway_lab::{Lab, Loss, Ping, Rate, Shape, Side};
//!
//! # fn main() -> gridway_lab::Result<()> {
//! let lab = Lab::new()?;
//! lab.kernel_forwarding(true)?;
//! lab.wan().set_shape(Some(Shape::new(Rate::mbit(200))))?;
//! lab.wan().set_loss(Some(Loss::percent(0.5)))?;
//! let report = Ping::new(Side::B.host(0)).count(10).run(lab.h1())?;
//! println!("{} of {} came back", report.received, report.sent);
//! # Ok(())
//! # }
//! ```
//!
//! Everything is unnamed and owned by this process, so nothing stays behind: namespaces go with their last file
//! descriptor, programs have a parent-death signal, and the directory has a janitor. Needs root.

mod builder;
mod command;
mod delay_line;
mod dir;
mod error;
pub mod gateway;
mod hub;
mod link;
mod namespace;
mod process;
mod rate;
mod relay;
mod side;
pub mod tools;
mod topology;
mod wait;
mod wan;

pub use builder::LabBuilder;
pub use command::{Command, Output};
pub use dir::LabDir;
pub use error::{LabError, Result};
pub use gateway::{Gateway, NodeConfig};
pub use hub::Hub;
pub use link::{End, LinkSpec, connect};
pub use namespace::Namespace;
pub use process::{Captured, Process, is_alive, wait_until_dead};
pub use rate::{Loss, Rate, Shape};
pub use relay::{Relay, RelayReport};
pub use side::{DATA_INTERFACE, HOST_INTERFACE, Side, TUNNEL_PORT, WAN_INTERFACE};
pub use tools::{Capture, EchoServer, Iperf3, Iperf3Server, Marker, Ping, PingReport, RawSender, Scapy};
pub use topology::Lab;
pub use wait::{try_wait_until, wait_until};
pub use wan::Wan;
