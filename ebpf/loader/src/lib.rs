//! Loads the steering program (`ebpf/steer`), fills its maps ([`Steer`]) and attaches it to the data NIC ([`Hooks`]).
//!
//! ```no_run
//! use gridway_steer::{Attach, Steer};
//!
//! # fn main() -> Result<(), gridway_steer::SteerError> {
//! let (mut steer, mut hooks) = Steer::load("data0")?;
//! steer.set_own_addresses(&["10.1.0.1".parse().expect("an address")])?;
//! hooks.attach_xdp(Attach::Auto)?;
//! for (fate, frames) in steer.counters()?.iter() {
//!     println!("{} {frames}", fate.name());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The program hangs on a `bpf_link` that the process holds: it is gone when the process ends, however that
//! comes. What start-up did to the NIC (forwarding off; for XDP, VLAN stripping off) stays, so that the kernel forwards
//! nothing then either.

mod attach;
mod counters;
mod error;
mod hooks;
mod keys;
mod nic;
mod sets;
mod steer;

pub use attach::{Attach, AttachedMode};
pub use counters::FateCounters;
pub use error::SteerError;
pub use gridway_kernel::SINGLE_BUFFER_MTU;
pub use gridway_steer_abi::{Fate, Kind};
pub use hooks::Hooks;
pub use keys::{Listener, ListenerProtocol};
pub use steer::Steer;
