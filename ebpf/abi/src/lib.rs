//! What the steering program (`ebpf/steer`) and user space (`ebpf/loader`) share: the fate of a frame,
//! the layouts of map keys and values, and the sizes and names of the maps.
//!
//! Everything here is plain data in the layout of C, without padding, because the kernel compares and hashes
//! map keys byte by byte. Addresses are in network order; IPv4 is v4-mapped (RFC 4291 2.5.5.2).
//! Both sides are compiled from this one crate; the assertions at the end of each file hold the layout still.
#![no_std]

mod fate;
mod keys;
pub mod maps;

pub use fate::{Fate, Kind};
pub use keys::{Address, DatagramId, FragmentKey, HostKey, ListenerKey, PrefixKey};
