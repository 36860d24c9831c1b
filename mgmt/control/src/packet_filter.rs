//! How to pick some of the passing packets.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::flow::{Side, Tuple};

/// Which packets are meant. Addresses and ports match within one tuple, the local or the virtual.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PacketFilter {
    /// Side that the packet comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Side>,
    /// Name of the vnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnet: Option<String>,
    /// Name of the peer it comes from or goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Prefix of the source or the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpNet>,
    /// Prefix of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub src: Option<IpNet>,
    /// Prefix of the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub dst: Option<IpNet>,
    /// IANA protocol number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// Source or destination port; not necessarily that of `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Source port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// Only packets that are dropped, for this reason, or for any with [`PacketFilter::ANY_REASON`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

/// What is known of a packet once its fate is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketFacts<'a> {
    /// Side it came from.
    pub from: Side,
    /// Its vnet, if one was found.
    pub vnet: Option<&'a str>,
    /// Peer it came from or goes to, if there is one.
    pub peer: Option<&'a str>,
    /// As it came; none of one that could not be read.
    pub tuple: Option<Tuple>,
    /// As it went; none of one that did not.
    pub translated: Option<Tuple>,
    /// Why it was dropped, if it was.
    pub dropped: Option<&'a str>,
}

impl PacketFilter {
    /// In place of a reason: whatever the reason is.
    pub const ANY_REASON: &'static str = "any";

    /// Whether no field is given, so that every packet matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a packet has every field of the filter, in one of its tuples.
    #[must_use]
    pub fn matches(&self, packet: &PacketFacts<'_>) -> bool {
        let named = |filter: Option<&str>, name: Option<&str>| filter.is_none() || filter == name;
        self.from.is_none_or(|from| from == packet.from)
            && named(self.vnet.as_deref(), packet.vnet)
            && named(self.peer.as_deref(), packet.peer)
            && match self.dropped.as_deref() {
                None => true,
                Some(Self::ANY_REASON) => packet.dropped.is_some(),
                reason => reason == packet.dropped,
            }
            && (!self.asks_for_a_tuple()
                || [packet.tuple, packet.translated].iter().flatten().any(|tuple| self.matches_tuple(tuple)))
    }

    /// Whether one tuple has every address, port and protocol of the filter.
    #[must_use]
    pub fn matches_tuple(&self, tuple: &Tuple) -> bool {
        let within = |prefix: &Option<IpNet>, address: IpAddr| {
            prefix.as_ref().is_none_or(|prefix| prefix.contains(&address))
        };
        (within(&self.address, tuple.src) || within(&self.address, tuple.dst))
            && within(&self.src, tuple.src)
            && within(&self.dst, tuple.dst)
            && self.proto.is_none_or(|proto| proto == tuple.proto)
            && self.port.is_none_or(|port| port == tuple.sport || port == tuple.dport)
            && self.sport.is_none_or(|sport| sport == tuple.sport)
            && self.dport.is_none_or(|dport| dport == tuple.dport)
    }

    /// Whether a field is given that only packets with a tuple can have.
    fn asks_for_a_tuple(&self) -> bool {
        self.address.is_some()
            || self.src.is_some()
            || self.dst.is_some()
            || self.proto.is_some()
            || self.port.is_some()
            || self.sport.is_some()
            || self.dport.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(src: &str, dst: &str, sport: u16) -> Tuple {
        Tuple { src: src.parse().unwrap(), dst: dst.parse().unwrap(), proto: 6, sport, dport: 443 }
    }

    fn packet() -> PacketFacts<'static> {
        PacketFacts {
            from: Side::Local,
            vnet: Some("corp"),
            peer: Some("gw-b"),
            tuple: Some(tuple("10.1.0.2", "172.16.2.2", 40000)),
            translated: Some(tuple("10.200.1.2", "10.200.2.2", 50000)),
            dropped: None,
        }
    }

    fn prefix(text: &str) -> Option<IpNet> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_filter_matches_either_tuple_but_not_a_mixture() {
        let by = |src: &str, dst: &str| PacketFilter {
            src: prefix(src),
            dst: prefix(dst),
            ..PacketFilter::default()
        };
        assert!(PacketFilter::default().is_empty() && PacketFilter::default().matches(&packet()));
        assert!(by("10.1.0.0/24", "172.16.2.2/32").matches(&packet()));
        assert!(by("10.200.1.0/24", "10.200.2.0/24").matches(&packet()));
        assert!(!by("10.1.0.0/24", "10.200.2.0/24").matches(&packet()));
        assert!(!by("fd00::/8", "::/0").matches(&packet()));
        let mixed =
            PacketFilter { address: prefix("10.1.0.2/32"), port: Some(50000), ..PacketFilter::default() };
        assert!(!mixed.matches(&packet()));
    }

    #[test]
    fn either_end_matches() {
        let none = PacketFilter::default;
        for end in ["10.1.0.0/24", "172.16.2.2/32", "10.200.1.2/32", "10.200.0.0/16"] {
            assert!(PacketFilter { address: prefix(end), ..none() }.matches(&packet()), "{end}");
        }
        for port in [40000, 50000, 443] {
            assert!(PacketFilter { port: Some(port), ..none() }.matches(&packet()), "{port}");
        }
    }

    #[test]
    fn every_field_of_a_filter_counts() {
        let none = PacketFilter::default;
        for filter in [
            PacketFilter { from: Some(Side::Overlay), ..none() },
            PacketFilter { vnet: Some("other".into()), ..none() },
            PacketFilter { peer: Some("other".into()), ..none() },
            PacketFilter { address: prefix("10.9.0.0/16"), ..none() },
            PacketFilter { src: prefix("172.16.2.2/32"), ..none() },
            PacketFilter { dst: prefix("10.1.0.2/32"), ..none() },
            PacketFilter { proto: Some(17), ..none() },
            PacketFilter { port: Some(1), ..none() },
            PacketFilter { sport: Some(443), ..none() },
            PacketFilter { dport: Some(40000), ..none() },
            PacketFilter { dropped: Some("any".into()), ..none() },
        ] {
            assert!(!filter.is_empty() && !filter.matches(&packet()), "{filter:?}");
        }
    }

    #[test]
    fn drops_are_picked_by_their_reason_or_all() {
        let by = |reason: &str| PacketFilter { dropped: Some(reason.into()), ..PacketFilter::default() };
        let dropped = PacketFacts { dropped: Some("acl_deny"), translated: None, ..packet() };
        assert!(by("any").matches(&dropped) && by("acl_deny").matches(&dropped));
        assert!(!by("no_vnet").matches(&dropped) && !by("acl_deny").matches(&packet()));
    }

    #[test]
    fn a_packet_that_could_not_be_read_has_no_address() {
        let unread = PacketFacts { vnet: None, peer: None, tuple: None, translated: None, ..packet() };
        assert!(PacketFilter::default().matches(&unread));
        assert!(PacketFilter { from: Some(Side::Local), ..PacketFilter::default() }.matches(&unread));
        for filter in [
            PacketFilter { address: prefix("0.0.0.0/0"), ..PacketFilter::default() },
            PacketFilter { proto: Some(6), ..PacketFilter::default() },
            PacketFilter { vnet: Some("corp".into()), ..PacketFilter::default() },
        ] {
            assert!(!filter.matches(&unread), "{filter:?}");
        }
    }
}
