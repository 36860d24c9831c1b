//! What is exported of a flow.

use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

/// The beginning or the end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    /// Which of them.
    pub event: Event,
    /// Packets of the side that began it, as they reach the node.
    pub tuple: FiveTuple,
    /// The same packets as they leave the node; of the family of `tuple`.
    pub translated: FiveTuple,
    /// In the direction of `tuple`.
    pub forward: Traffic,
    /// In the other direction.
    pub reverse: Traffic,
    /// When it began: milliseconds of the Unix epoch.
    pub start_ms: u64,
    /// When its last packet passed: milliseconds of the Unix epoch. Of one that began, `start_ms`.
    pub end_ms: u64,
    /// Name of its virtual network, at most 254 bytes.
    pub vnet: &'a str,
    /// Name of the peer that it goes to or comes from, at most 254 bytes.
    pub peer: &'a str,
}

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
    /// Every TCP flag seen.
    pub tcp_flags: TcpFlags,
}

/// What happened to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Start,
    /// It ended.
    End(EndReason),
}

/// `flowEndReason` (RFC 7012, 136).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// No packet for too long.
    IdleTimeout = 1,
    /// TCP was seen to end.
    EndOfFlow = 3,
    /// Something outside of the flow ended it.
    ForcedEnd = 4,
    /// There was no room for it.
    LackOfResources = 5,
}
