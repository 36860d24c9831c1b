//! Live flows and how to pick some of them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Answer to `gridway flows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Flows that matched, of which `rows` may be the first few.
    pub matched: u64,
    /// The flows.
    pub rows: Vec<FlowRow>,
}

/// A row of `gridway flows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRow {
    /// Vnet.
    pub vnet: String,
    /// Peer that the flow goes to or comes from.
    pub peer: String,
    /// As local hosts see it, from the flow's first packet on.
    pub local: Tuple,
    /// As the overlay sees it.
    #[serde(rename = "virtual")]
    pub virtual_tuple: Tuple,
    /// State, such as `established`.
    pub state: String,
    /// Packets of both directions.
    pub packets: u64,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Local to overlay.
    pub outbound: Traffic,
    /// Overlay to local.
    pub inbound: Traffic,
    /// Seconds since the last packet.
    pub idle_s: u64,
    /// TCP flags seen in either direction, such as `SYN,ACK,FIN`; empty for other protocols.
    pub tcp_flags: String,
}

/// A 5-tuple. Ports are ICMP query ids for ICMP, and 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IANA protocol number.
    pub proto: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

/// What passed in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of the inner packets.
    pub bytes: u64,
}

/// Fields that a flow must have. Addresses and ports match the local or the virtual tuple.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowFilter {
    /// Name of the vnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnet: Option<String>,
    /// Name of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// Destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
    /// IANA protocol number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// Source port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// State.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl FlowFilter {
    /// Whether a row has every field of the filter.
    #[must_use]
    pub fn matches(&self, row: &FlowRow) -> bool {
        fn wanted<T: PartialEq + ?Sized>(filter: Option<&T>, value: &T) -> bool {
            filter.is_none_or(|filter| filter == value)
        }
        wanted(self.vnet.as_deref(), &row.vnet)
            && wanted(self.peer.as_deref(), &row.peer)
            && wanted(self.state.as_deref(), &row.state)
            && (self.matches_tuple(&row.local) || self.matches_tuple(&row.virtual_tuple))
    }

    /// Whether one tuple has every address, port and protocol of the filter.
    #[must_use]
    pub fn matches_tuple(&self, tuple: &Tuple) -> bool {
        self.src.is_none_or(|src| src == tuple.src)
            && self.dst.is_none_or(|dst| dst == tuple.dst)
            && self.proto.is_none_or(|proto| proto == tuple.proto)
            && self.sport.is_none_or(|sport| sport == tuple.sport)
            && self.dport.is_none_or(|dport| dport == tuple.dport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> FlowRow {
        let tuple = |src: &str, dst: &str| Tuple {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            proto: 6,
            sport: 40000,
            dport: 443,
        };
        FlowRow {
            vnet: "corp".into(),
            peer: "gw-b".into(),
            local: tuple("10.1.0.2", "172.16.2.2"),
            virtual_tuple: tuple("10.200.1.2", "10.200.2.2"),
            state: "established".into(),
            packets: 3,
            bytes: 300,
            outbound: Traffic { packets: 2, bytes: 200 },
            inbound: Traffic { packets: 1, bytes: 100 },
            idle_s: 1,
            tcp_flags: "SYN,ACK".into(),
        }
    }

    #[test]
    fn filter_matches_either_tuple_but_not_a_mixture() {
        let by = |src: &str, dst: &str| FlowFilter {
            src: Some(src.parse().unwrap()),
            dst: Some(dst.parse().unwrap()),
            ..FlowFilter::default()
        };
        assert!(FlowFilter::default().matches(&row()));
        assert!(by("10.1.0.2", "172.16.2.2").matches(&row()));
        assert!(by("10.200.1.2", "10.200.2.2").matches(&row()));
        assert!(!by("10.1.0.2", "10.200.2.2").matches(&row()));
    }

    #[test]
    fn every_field_of_a_filter_counts() {
        let none = FlowFilter::default;
        for filter in [
            FlowFilter { vnet: Some("other".into()), ..none() },
            FlowFilter { peer: Some("other".into()), ..none() },
            FlowFilter { state: Some("closing".into()), ..none() },
            FlowFilter { proto: Some(17), ..none() },
            FlowFilter { sport: Some(1), ..none() },
            FlowFilter { dport: Some(1), ..none() },
        ] {
            assert!(!filter.matches(&row()), "{filter:?}");
        }
    }
}
