//! Names and sizes of the maps, and names of the programs.
//!
//! A set is replaced by inserting what is new before removing what is old, so for a moment it may hold both:
//! such maps have room for twice the limit that user space accepts.

/// Name of the XDP program in the object.
pub const PROGRAM: &str = "gridway_steer";
/// Name of the program for the tc hook in the object.
pub const TC_PROGRAM: &str = "gridway_steer_tc";

/// Array of one `u64`: the interface's MAC, first byte lowest, upper two bytes zero.
pub const MAC: &str = "MAC";
/// XSKMAP from receive queue to socket.
pub const SOCKETS: &str = "SOCKETS";
/// Hash of [`crate::Address`] to `u8`.
pub const OWN_ADDRESSES: &str = "OWN_ADDRESSES";
/// Trie of [`crate::PrefixKey`] to `u8`.
pub const PROXIED: &str = "PROXIED";
/// Trie of [`crate::PrefixKey`] to `u8`.
pub const DENY: &str = "DENY";
/// Hash of [`crate::ListenerKey`] to `u8`.
pub const LISTENERS: &str = "LISTENERS";
/// LRU hash of [`crate::FragmentKey`] to `u8`: datagrams whose first fragment went to a listener.
pub const FRAGMENTS: &str = "FRAGMENTS";
/// Per-CPU array of `u64`, indexed by [`crate::Fate`].
pub const COUNTERS: &str = "COUNTERS";

/// Receive queues, and so AF_XDP sockets.
pub const SOCKETS_LIMIT: u32 = 256;
/// Addresses of the data interface.
pub const OWN_ADDRESSES_LIMIT: u32 = 256;
/// Prefixes that the data plane answers for.
pub const PROXIED_LIMIT: u32 = 16_384;
/// Denied source prefixes.
pub const DENY_LIMIT: u32 = 65_536;
/// Layer 4 listeners.
pub const LISTENERS_LIMIT: u32 = 4_096;
/// Fragmented datagrams to listeners that are followed at once; the oldest gives way.
pub const FRAGMENTS_LIMIT: u32 = 4_096;

/// The MAC as the program compares it: first byte lowest, upper two bytes zero.
#[inline(always)]
pub const fn mac_word(mac: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = mac;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}
