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

impl PacketFilter {
    /// In place of a reason: whatever the reason is.
    pub const ANY_REASON: &'static str = "any";

    /// Whether a packet has every address, port and protocol of the filter in one of its tuples: as it came, and as it
    /// went. One that could not be read has none, and matches a filter that asks for none.
    #[must_use]
    pub fn matches(&self, came: Option<&Tuple>, went: Option<&Tuple>) -> bool {
        !self.asks_for_a_tuple() || [came, went].into_iter().flatten().any(|tuple| self.matches_tuple(tuple))
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

    /// Whether the filter matches a packet that is translated.
    fn matches(filter: &PacketFilter) -> bool {
        let came = tuple("10.1.0.2", "172.16.2.2", 40000);
        let went = tuple("10.200.1.2", "10.200.2.2", 50000);
        filter.matches(Some(&came), Some(&went))
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
        assert!(matches(&PacketFilter::default()));
        assert!(matches(&by("10.1.0.0/24", "172.16.2.2/32")));
        assert!(matches(&by("10.200.1.0/24", "10.200.2.0/24")));
        assert!(!matches(&by("10.1.0.0/24", "10.200.2.0/24")));
        assert!(!matches(&by("fd00::/8", "::/0")));
        let mixed =
            PacketFilter { address: prefix("10.1.0.2/32"), port: Some(50000), ..PacketFilter::default() };
        assert!(!matches(&mixed));
    }

    #[test]
    fn either_end_matches() {
        let none = PacketFilter::default;
        for end in ["10.1.0.0/24", "172.16.2.2/32", "10.200.1.2/32", "10.200.0.0/16"] {
            assert!(matches(&PacketFilter { address: prefix(end), ..none() }), "{end}");
        }
        for port in [40000, 50000, 443] {
            assert!(matches(&PacketFilter { port: Some(port), ..none() }), "{port}");
        }
    }

    #[test]
    fn every_field_of_a_tuple_counts() {
        let none = PacketFilter::default;
        for filter in [
            PacketFilter { address: prefix("10.9.0.0/16"), ..none() },
            PacketFilter { src: prefix("172.16.2.2/32"), ..none() },
            PacketFilter { dst: prefix("10.1.0.2/32"), ..none() },
            PacketFilter { proto: Some(17), ..none() },
            PacketFilter { port: Some(1), ..none() },
            PacketFilter { sport: Some(443), ..none() },
            PacketFilter { dport: Some(40000), ..none() },
        ] {
            assert!(!matches(&filter), "{filter:?}");
        }
        assert!(matches(&PacketFilter { proto: Some(6), sport: Some(50000), dport: Some(443), ..none() }));
    }

    #[test]
    fn a_packet_that_could_not_be_read_has_no_address() {
        let none = PacketFilter::default;
        assert!(none().matches(None, None));
        // What is no part of a tuple is judged elsewhere.
        assert!(
            PacketFilter { from: Some(Side::Local), vnet: Some("corp".into()), ..none() }.matches(None, None)
        );
        assert!(!PacketFilter { address: prefix("0.0.0.0/0"), ..none() }.matches(None, None));
        assert!(!PacketFilter { proto: Some(6), ..none() }.matches(None, None));
    }

    #[test]
    fn a_packet_that_went_nowhere_is_found_by_what_it_was() {
        let came = tuple("10.1.0.2", "172.16.2.2", 40000);
        let by = |dst: &str| PacketFilter { dst: prefix(dst), ..PacketFilter::default() };
        assert!(by("172.16.2.0/24").matches(Some(&came), None));
        assert!(!by("10.200.2.0/24").matches(Some(&came), None));
    }
}
