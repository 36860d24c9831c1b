//! Why bytes from the wire are not forwarded: one reason each.

/// The reason why a frame or packet was refused by a parser.
///
/// Addresses that no router may forward from or to count as malformed too (RFC 1812 5.3.7, RFC 4291 2.5,
/// RFC 3927 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{}", self.name())]
#[non_exhaustive]
#[repr(u8)]
pub enum Malformed {
    /// Shorter than an Ethernet header.
    TruncatedEthernet,
    /// An ARP packet shorter than 28 bytes, or a frame that does not carry ARP.
    TruncatedArp,
    /// ARP for another hardware or protocol type than Ethernet and IPv4, or no request.
    UnsupportedArp,
    /// ARP whose sender hardware address is a group or zero.
    BadArpSender,
    /// No neighbour solicitation, or one that breaks a rule of RFC 4861 7.1.1.
    BadNeighbourSolicitation,
    /// Shorter than the fixed IP header, or than the length the header states for itself.
    TruncatedHeader,
    /// Neither version 4 nor 6.
    BadVersion,
    /// IPv4 header length below 20 bytes or beyond the packet.
    BadHeaderLength,
    /// The length in the IP header is less than the header, or more than the bytes present.
    BadTotalLength,
    /// The IPv4 header checksum is wrong.
    BadIpChecksum,
    /// An IPv4 option with an impossible length.
    BadIpOption,
    /// An IPv4 source routing option, or an IPv6 routing header with segments left.
    SourceRoute,
    /// An IPv6 extension header goes beyond the packet.
    TruncatedExtensionHeader,
    /// More IPv6 extension headers than are walked.
    ExtensionHeaderChainTooLong,
    /// Hop-by-hop options that do not follow the IPv6 header (RFC 8200 4.1).
    MisplacedHopByHop,
    /// IPv6 routing header type 0 (RFC 5095).
    RoutingHeaderTypeZero,
    /// An IPv6 fragment whose fragmentable part begins with another extension header: not followed here.
    ExtensionHeaderInFragment,
    /// A fragment within a fragment.
    NestedFragment,
    /// A fragment other than the last that is empty or no multiple of 8 bytes, or one that ends beyond 65,535.
    BadFragmentLength,
    /// A TCP fragment that would overwrite the TCP header (RFC 1858).
    OverlappingFragment,
    /// The transport header is cut off.
    TruncatedTransport,
    /// TCP data offset below 20 bytes or beyond the packet.
    BadTcpOffset,
    /// UDP length below 8 bytes or beyond the packet.
    BadUdpLength,
    /// ICMP in an IPv6 packet, or ICMPv6 in an IPv4 packet.
    IcmpOfOtherVersion,
    /// ICMP shorter than its header.
    TruncatedIcmp,
    /// The source is unspecified: `0.0.0.0/8` or `::`.
    UnspecifiedSource,
    /// The source is a loopback address.
    LoopbackSource,
    /// The source is a multicast address.
    MulticastSource,
    /// The source is `255.255.255.255`.
    BroadcastSource,
    /// The source is an address of the local link only (RFC 3927, RFC 4291 2.5.6).
    LinkLocalSource,
    /// The source is an IPv4-mapped IPv6 address.
    V4MappedSource,
    /// The destination is unspecified: `0.0.0.0/8` or `::`.
    UnspecifiedDestination,
    /// The destination is a loopback address.
    LoopbackDestination,
    /// The destination is a multicast address.
    MulticastDestination,
    /// The destination is `255.255.255.255`.
    BroadcastDestination,
    /// The destination is an address of the local link only.
    LinkLocalDestination,
    /// The destination is an IPv4-mapped IPv6 address.
    V4MappedDestination,
}

macro_rules! reasons {
    ($($variant:ident => $name:literal,)*) => {
        impl Malformed {
            /// Every reason, in the order of declaration: `ALL[i] as usize == i`.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The reason in snake case, as counters show it. Stable.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    TruncatedEthernet => "truncated_ethernet",
    TruncatedArp => "truncated_arp",
    UnsupportedArp => "unsupported_arp",
    BadArpSender => "bad_arp_sender",
    BadNeighbourSolicitation => "bad_neighbour_solicitation",
    TruncatedHeader => "truncated_header",
    BadVersion => "bad_version",
    BadHeaderLength => "bad_header_length",
    BadTotalLength => "bad_total_length",
    BadIpChecksum => "bad_ip_checksum",
    BadIpOption => "bad_ip_option",
    SourceRoute => "source_route",
    TruncatedExtensionHeader => "truncated_extension_header",
    ExtensionHeaderChainTooLong => "extension_header_chain_too_long",
    MisplacedHopByHop => "misplaced_hop_by_hop",
    RoutingHeaderTypeZero => "routing_header_type_zero",
    ExtensionHeaderInFragment => "extension_header_in_fragment",
    NestedFragment => "nested_fragment",
    BadFragmentLength => "bad_fragment_length",
    OverlappingFragment => "overlapping_fragment",
    TruncatedTransport => "truncated_transport",
    BadTcpOffset => "bad_tcp_offset",
    BadUdpLength => "bad_udp_length",
    IcmpOfOtherVersion => "icmp_of_other_version",
    TruncatedIcmp => "truncated_icmp",
    UnspecifiedSource => "unspecified_source",
    LoopbackSource => "loopback_source",
    MulticastSource => "multicast_source",
    BroadcastSource => "broadcast_source",
    LinkLocalSource => "link_local_source",
    V4MappedSource => "v4_mapped_source",
    UnspecifiedDestination => "unspecified_destination",
    LoopbackDestination => "loopback_destination",
    MulticastDestination => "multicast_destination",
    BroadcastDestination => "broadcast_destination",
    LinkLocalDestination => "link_local_destination",
    V4MappedDestination => "v4_mapped_destination",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_its_place_in_the_list() {
        for (index, reason) in Malformed::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(reason.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert_eq!(Malformed::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
