//! Generators of valid packets and frames for property tests, and etherparse as an independent judge of what
//! comes out of a change. Behind the feature `generate`; allocates, and is no part of the packet path.

mod address;
mod frame;
mod judge;
mod packet;
mod strategy;
mod train;

pub use address::{ipv4_address, ipv6_address};
pub use frame::{OwnedFrame, OwnedTarget, frames, label};
pub use judge::judge;
pub use packet::{Content, PacketSpec};
pub use strategy::{any_content, error_packet, ipv4_packet, ipv6_packet, packet, rewrite_for};
pub use train::{SegmentSpec, through_train, without_identification};
