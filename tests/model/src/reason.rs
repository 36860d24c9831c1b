//! Names of drop reasons, as `gridway counters` shows them.

/// Name of a reason.
pub type Reason = &'static str;

/// Stands for every reason why a packet itself is wrong: which of them is no matter of this model.
pub const MALFORMED: Reason = "malformed";
/// The destination belongs to no virtual network.
pub const NO_VNET: Reason = "no_vnet";
/// The peer's virtual network is not configured here.
pub const UNKNOWN_VNET: Reason = "unknown_vnet";
/// No inside NAT for the local host.
pub const NO_INSIDE_NAT: Reason = "no_inside_nat";
/// No outside NAT for the remote host.
pub const NO_OUTSIDE_NAT: Reason = "no_outside_nat";
/// RFC 6296 has no translation for the address.
pub const UNTRANSLATABLE: Reason = "untranslatable";
/// A local packet to an address and port of a pool that no mapping uses.
pub const PAT_NO_MAPPING: Reason = "pat_no_mapping";
/// No address and port of the pool is free.
pub const PAT_EXHAUSTED: Reason = "pat_exhausted";
/// A rule says drop.
pub const ACL_DENY: Reason = "acl_deny";
/// A rule says reject.
pub const ACL_REJECT: Reason = "acl_reject";
/// No rule matches.
pub const ACL_NO_MATCH: Reason = "acl_no_match";
/// No route contains the destination.
pub const NO_ROUTE: Reason = "no_route";
/// Routes contain the destination, none is available.
pub const PEER_DOWN: Reason = "peer_down";
/// The virtual source is not routed to the peer that sent it.
pub const SOURCE_CHECK: Reason = "source_check";
/// The virtual source of a local packet is routed to a peer.
pub const SPOOFED_LOCAL: Reason = "spoofed_local";
/// An overlay packet for another peer, which this node does not pass on.
pub const TRANSIT_REFUSED: Reason = "transit_refused";
/// TTL or hop limit of 1 or less.
pub const TTL_EXCEEDED: Reason = "ttl_exceeded";
/// Longer than the next link takes, and not to be fragmented.
pub const TOO_BIG: Reason = "too_big";
/// A reply without a request, or TCP in mid-stream that may not begin a flow.
pub const NO_FLOW: Reason = "no_flow";
/// An ICMP message that is neither query nor reply nor error.
pub const ICMP_UNSUPPORTED: Reason = "icmp_unsupported";
/// An ICMP error that belongs to no flow.
pub const ICMP_NO_FLOW: Reason = "icmp_no_flow";
/// For this node itself.
pub const TO_OWN_ADDRESS: Reason = "to_own_address";
/// The first fragment did not come in time.
pub const FRAGMENT_EXPIRED: Reason = "fragment_expired";
/// Sixteen fragments of the datagram wait already.
pub const FRAGMENT_LIMIT: Reason = "fragment_limit";
