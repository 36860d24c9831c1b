//! Attaches the steering program (`ebpf/steer`) to the data NIC and fills its maps.
//!
//! ```no_run
//! use gridway_steer::{Attach, Steer, SteerOptions};
//!
//! # fn main() -> Result<(), gridway_steer::SteerError> {
//! let mut steer = Steer::load(&SteerOptions { interface: "data0", attach: Attach::Auto })?;
//! steer.set_own_addresses(&["10.1.0.1".parse().expect("an address")])?;
//! steer.attach_xdp()?;
//! for (fate, frames) in steer.counters()?.iter() {
//!     println!("{} {frames}", fate.name());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The program hangs on a `bpf_link` that the process holds: it is gone when the process ends, however that
//! comes. What start-up did to the NIC (forwarding and VLAN stripping off) stays, so that the kernel forwards
//! nothing then either.

mod attach;
mod counters;
mod error;
mod keys;
mod nic;
mod sets;
mod steer;

pub use attach::{Attach, AttachedMode};
pub use counters::FateCounters;
pub use error::SteerError;
pub use gridway_kernel::SINGLE_BUFFER_MTU;
pub use gridway_steer_abi::{Fate, Kind};
pub use keys::{Listener, ListenerProtocol};
pub use steer::{Steer, SteerOptions};
