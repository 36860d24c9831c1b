//! Follows, for one interface, what the kernel knows: routes, neighbours, addresses and link state.
//!
//! Gridway forwards past the kernel, yet asks it where a destination lives: whatever an administrator, a DHCP client
//! or a routing daemon puts into the kernel counts. The kernel also resolves neighbours; because traffic over AF_XDP
//! never confirms an entry, entries in use are installed with `NTF_EXT_MANAGED`, which makes the kernel keep probing
//! them (rtnetlink(7), `include/uapi/linux/neighbour.h`).
//!
//! One thread owns a [`Watcher`] and waits; other threads ask through a [`Resolver`]:
//!
//! ```no_run
//! # fn main() -> Result<(), gridway_netlink::NetlinkError> {
//! let mut watcher = gridway_netlink::Watcher::open("lan0")?;
//! let resolver = watcher.requests();
//! resolver.resolve("192.0.2.7".parse().expect("an address"));
//! loop {
//!     if watcher.wait(std::time::Duration::from_secs(1))? {
//!         let snapshot = watcher.snapshot();
//!         println!("{} routes, {} neighbours", snapshot.routes.len(), snapshot.neighbours.len());
//!     }
//! }
//! # }
//! ```
//!
//! [`xdp()`] asks what an interface can do with XDP, [`segmentation()`] how long a packet it cuts.
//!
//! [`LocalRoutes`] is the one thing told to the kernel rather than asked: addresses for which it shall take packets
//! although they are not on the interface.

mod error;
mod events;
mod link;
mod local_routes;
mod managed;
mod neighbour;
mod requests;
mod resolver;
mod route;
mod segmentation;
mod snapshot;
mod watcher;
mod wire;
mod xdp;

pub use error::{LocalRouteError, NetlinkError};
pub use local_routes::LocalRoutes;
pub use resolver::Resolver;
pub use segmentation::{Segmentation, segmentation};
pub use snapshot::{Snapshot, Via};
pub use watcher::{Counters, Watcher};
pub use xdp::{Xdp, XdpFeatures, xdp};
