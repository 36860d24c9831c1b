//! Questions to the kernel that have no safe wrapper elsewhere: interfaces by ioctl (netdevice(7)), ethtool
//! (`linux/ethtool.h`), and whether the clock is kept right (adjtimex(2)).
//!
//! All of it concerns the network namespace of the calling thread.

mod clock;
mod driver;
mod features;
mod interface;

pub use clock::{Clock, clock};
pub use driver::RingSizes;
pub use features::Feature;
pub use interface::Interface;

/// Largest MTU whose frames fit one XDP buffer: a page of 4096 bytes, less XDP's headroom (256), the kernel's
/// `skb_shared_info` at its end (320) and the Ethernet header (14). A UMEM frame of AF_XDP is no larger.
pub const SINGLE_BUFFER_MTU: u32 = 4096 - 256 - 320 - 14;
