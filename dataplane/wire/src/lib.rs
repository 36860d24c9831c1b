//! What Gridway reads from and writes to the wire: Ethernet, ARP, neighbour discovery, IPv4 and IPv6
//! packets, ICMP errors, and the frames of the tunnel protocol.
//!
//! No function here does I/O, reads a clock or allocates: they take bytes and give back views, offsets and
//! lengths, or change the bytes in place. A packet is validated once by [`packet::parse`]; what works on it
//! afterwards relies on the [`packet::Packet`] that came out.

pub mod arp;
mod bytes;
pub mod checksum;
pub mod ecn;
pub mod ethernet;
pub mod fragment;
pub mod frame;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
mod header;
pub mod icmp;
pub mod mac;
pub mod malformed;
pub mod mss;
pub mod ndp;
pub mod packet;
pub mod plain;
pub mod protocol;
pub mod rewrite;
pub mod segment;
pub mod tcp;
pub mod time;
pub mod train;
pub mod tuple;
