//! How to pick some of the live flows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::flow::{FlowRow, Side, Tuple};

/// Fields that a flow must have. Addresses and ports match within one tuple, the local or the virtual.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct FlowFilter {
    /// Name of the vnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnet: Option<String>,
    /// Name of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Source or destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// Source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub src: Option<IpAddr>,
    /// Destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub dst: Option<IpAddr>,
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
    /// State.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// TCP flags that were all seen, in whichever direction, such as `SYN,RST`. An empty text fits no flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<String>,
    /// Seconds since the last packet, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_at_least_s: Option<u64>,
    /// Side that the first packet came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Side>,
}

impl FlowFilter {
    /// Whether no field is given, so that every flow matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a row has every field of the filter.
    #[must_use]
    pub fn matches(&self, row: &FlowRow) -> bool {
        fn wanted<T: PartialEq + ?Sized>(filter: Option<&T>, value: &T) -> bool {
            filter.is_none_or(|filter| filter == value)
        }
        wanted(self.vnet.as_deref(), &row.vnet)
            && wanted(self.peer.as_deref(), &row.peer)
            && wanted(self.state.as_deref(), &row.state)
            && wanted(self.started_by.as_ref(), &row.started_by)
            && self.idle_at_least_s.is_none_or(|least| row.idle_s >= least)
            && self.tcp_flags.as_deref().is_none_or(|flags| holds_all(&row.tcp_flags, flags))
            && (self.matches_tuple(&row.local) || self.matches_tuple(&row.virtual_tuple))
    }

    /// Whether one tuple has every address, port and protocol of the filter.
    #[must_use]
    pub fn matches_tuple(&self, tuple: &Tuple) -> bool {
        self.address.is_none_or(|address| address == tuple.src || address == tuple.dst)
            && self.src.is_none_or(|src| src == tuple.src)
            && self.dst.is_none_or(|dst| dst == tuple.dst)
            && self.proto.is_none_or(|proto| proto == tuple.proto)
            && self.port.is_none_or(|port| port == tuple.sport || port == tuple.dport)
            && self.sport.is_none_or(|sport| sport == tuple.sport)
            && self.dport.is_none_or(|dport| dport == tuple.dport)
    }
}

/// Whether a list of flags holds every flag of another list.
fn holds_all(seen: &str, wanted: &str) -> bool {
    wanted.split(',').all(|flag| seen.split(',').any(|seen| !seen.is_empty() && seen == flag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Traffic, Translation};

    fn row() -> FlowRow {
        let tuple = |src: &str, dst: &str, sport| Tuple {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            proto: 6,
            sport,
            dport: 443,
        };
        FlowRow {
            vnet: "corp".into(),
            peer: "gw-b".into(),
            local: tuple("10.1.0.2", "172.16.2.2", 40000),
            virtual_tuple: tuple("10.200.1.2", "10.200.2.2", 50000),
            started_by: Side::Overlay,
            translation: Translation::Port,
            relayed: false,
            state: "established".into(),
            packets: 3,
            bytes: 300,
            outbound: Traffic { packets: 2, bytes: 200 },
            inbound: Traffic { packets: 1, bytes: 100 },
            age_s: 5,
            idle_s: 1,
            tcp_flags: "SYN,ACK".into(),
            tcp_flags_out: "SYN".into(),
            tcp_flags_in: "SYN,ACK".into(),
            acl_line: Some(10),
        }
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn filter_matches_either_tuple_but_not_a_mixture() {
        let by = |src: &str, dst: &str| FlowFilter {
            src: address(src),
            dst: address(dst),
            ..FlowFilter::default()
        };
        assert!(FlowFilter::default().is_empty() && FlowFilter::default().matches(&row()));
        assert!(by("10.1.0.2", "172.16.2.2").matches(&row()));
        assert!(by("10.200.1.2", "10.200.2.2").matches(&row()));
        assert!(!by("10.1.0.2", "10.200.2.2").matches(&row()));
        let mixed = FlowFilter { address: address("10.1.0.2"), port: Some(50000), ..FlowFilter::default() };
        assert!(!mixed.matches(&row()));
    }

    #[test]
    fn either_end_matches() {
        let none = FlowFilter::default;
        for end in ["10.1.0.2", "172.16.2.2", "10.200.1.2", "10.200.2.2"] {
            assert!(FlowFilter { address: address(end), ..none() }.matches(&row()), "{end}");
        }
        for port in [40000, 50000, 443] {
            assert!(FlowFilter { port: Some(port), ..none() }.matches(&row()), "{port}");
        }
    }

    #[test]
    fn all_flags_of_a_filter_must_have_been_seen() {
        let by = |flags: &str| FlowFilter { tcp_flags: Some(flags.into()), ..FlowFilter::default() };
        for (flags, fits) in
            [("SYN", true), ("ACK,SYN", true), ("SYN,RST", false), ("", false), ("S", false), ("SYN,", false)]
        {
            assert_eq!(by(flags).matches(&row()), fits, "{flags}");
        }
        assert!(!by("").matches(&FlowRow { tcp_flags: String::new(), ..row() }));
    }

    #[test]
    fn every_field_of_a_filter_counts() {
        let none = FlowFilter::default;
        for filter in [
            FlowFilter { vnet: Some("other".into()), ..none() },
            FlowFilter { peer: Some("other".into()), ..none() },
            FlowFilter { state: Some("closing".into()), ..none() },
            FlowFilter { proto: Some(17), ..none() },
            FlowFilter { address: address("10.1.0.3"), ..none() },
            FlowFilter { port: Some(1), ..none() },
            FlowFilter { sport: Some(443), ..none() },
            FlowFilter { dport: Some(40000), ..none() },
            FlowFilter { tcp_flags: Some("RST".into()), ..none() },
            FlowFilter { idle_at_least_s: Some(2), ..none() },
            FlowFilter { started_by: Some(Side::Local), ..none() },
        ] {
            assert!(!filter.is_empty() && !filter.matches(&row()), "{filter:?}");
        }
        assert!(FlowFilter { idle_at_least_s: Some(1), ..none() }.matches(&row()));
    }
}
