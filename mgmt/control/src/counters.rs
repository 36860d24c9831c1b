//! Packet counters. The books balance: received = passed on + to kernel + answered + held + drops.
//! What a node makes itself was never received, so it is counted beside the books.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Dropped packets by reason; reasons that never occurred may be left out.
pub type Drops = BTreeMap<String, u64>;

/// Answer to `gridway counters`. The keys of both directions summed stand at the top.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counters {
    /// Frames received on the data NIC.
    pub rx_packets: u64,
    /// Bytes received on the data NIC.
    pub rx_bytes: u64,
    /// Packets out of tunnels sent on the data NIC.
    pub tx_packets: u64,
    /// Bytes of those packets.
    pub tx_bytes: u64,
    /// Frames left to the kernel.
    pub to_kernel: u64,
    /// Packets the node answered itself: ARP, neighbour discovery, echo.
    pub answered: u64,
    /// Packets that wait now: for a neighbour, or for their first fragment.
    pub held: u64,
    /// Packets the node made itself.
    pub originated: u64,
    /// Packets the node made itself that found no room or no way.
    pub unsent: u64,
    /// ICMP errors and resets that were due and not sent, because too many were.
    pub icmp_errors_suppressed: u64,
    /// Packets that got an ECN mark (RFC 3168) in place of an early drop.
    pub ecn_marked: u64,
    /// TCP segments that went to local hosts as part of a longer packet, which the kernel or the NIC cuts.
    pub segments_coupled: u64,
    /// Frames from peers of a type that this version does not know: skipped.
    pub unknown_frames: u64,
    /// Times that workers went to sleep.
    pub sleeps: u64,
    /// Flows made.
    pub flows_created: u64,
    /// Flows that gave way to a new one.
    pub flows_evicted: u64,
    /// The flow log.
    pub flow_log: FlowLogCounters,
    /// Dropped, both directions.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub drops: Drops,
    /// Local to overlay.
    pub outbound: OutboundCounters,
    /// Overlay to local.
    pub inbound: InboundCounters,
}

/// Beginnings and ends of flows that were to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowLogCounters {
    /// Records that were passed on to the collector, the file or both.
    pub records: u64,
    /// Records that found no room in the queue: neither got them.
    pub dropped: u64,
    /// Records that could not be sent to the collector. What is lost on its way there, nobody counts here.
    pub ipfix_lost: u64,
    /// Records that could not be written to the file.
    pub json_lost: u64,
}

/// Local to overlay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboundCounters {
    /// Frames received on the data NIC.
    pub rx_packets: u64,
    /// Bytes received on the data NIC.
    pub rx_bytes: u64,
    /// Packets that went into a tunnel.
    pub tunnelled: u64,
    /// Bytes of those packets, without the tunnel's own.
    pub tunnelled_bytes: u64,
    /// Frames left to the kernel.
    pub to_kernel: u64,
    /// Packets the node answered itself.
    pub answered: u64,
    /// Packets that wait now.
    pub held: u64,
    /// Packets the node made itself and sent into a tunnel: probes, ICMP errors, resets, further
    /// fragments. Not received, hence not in the balance.
    pub originated: u64,
    /// Packets the node made itself for there that found no room or no way.
    pub unsent: u64,
    /// Dropped by reason.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub drops: Drops,
}

/// Overlay to local.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InboundCounters {
    /// Packets out of tunnels.
    pub rx_packets: u64,
    /// Bytes of those packets, without the tunnel's own.
    pub rx_bytes: u64,
    /// Packets sent on the data NIC.
    pub delivered: u64,
    /// Bytes sent on the data NIC.
    pub delivered_bytes: u64,
    /// Packets that went on to another peer.
    pub relayed: u64,
    /// Bytes of those packets, without the tunnel's own.
    pub relayed_bytes: u64,
    /// Packets the node answered itself.
    pub answered: u64,
    /// Packets that answered a question of the node itself: replies to monitors.
    pub consumed: u64,
    /// Packets that wait now.
    pub held: u64,
    /// Packets the node made itself and sent on the data NIC: ICMP errors, resets, further
    /// fragments. Not received, hence not in the balance.
    pub originated: u64,
    /// Packets the node made itself for there that found no room or no way.
    pub unsent: u64,
    /// Dropped by reason.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub drops: Drops,
}

/// Received less every fate: 0 when the books balance and nothing is in flight.
fn missing(rx_packets: u64, fates: &[u64], drops: &Drops) -> i128 {
    let fates: i128 = fates.iter().chain(drops.values()).copied().map(i128::from).sum();
    i128::from(rx_packets) - fates
}

impl OutboundCounters {
    /// Packets that have no fate yet: 0 when the books balance and nothing is in flight. Negative
    /// where more fates than packets were counted.
    #[must_use]
    pub fn unaccounted(&self) -> i128 {
        missing(self.rx_packets, &[self.tunnelled, self.to_kernel, self.answered, self.held], &self.drops)
    }
}

impl InboundCounters {
    /// As [`OutboundCounters::unaccounted`].
    #[must_use]
    pub fn unaccounted(&self) -> i128 {
        let fates = [self.delivered, self.relayed, self.answered, self.consumed, self.held];
        missing(self.rx_packets, &fates, &self.drops)
    }
}

impl Counters {
    /// Fills the sums at the top from both directions; what has no direction is 0. The data NIC
    /// receives what goes outbound and sends what came inbound.
    #[must_use]
    pub fn from_directions(outbound: OutboundCounters, inbound: InboundCounters) -> Self {
        let mut drops = outbound.drops.clone();
        for (reason, count) in &inbound.drops {
            *drops.entry(reason.clone()).or_default() += count;
        }
        Self {
            rx_packets: outbound.rx_packets,
            rx_bytes: outbound.rx_bytes,
            tx_packets: inbound.delivered,
            tx_bytes: inbound.delivered_bytes,
            to_kernel: outbound.to_kernel,
            answered: outbound.answered + inbound.answered,
            held: outbound.held + inbound.held,
            originated: outbound.originated + inbound.originated,
            unsent: outbound.unsent + inbound.unsent,
            drops,
            outbound,
            inbound,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_both_directions_and_finds_what_is_missing() {
        let drops = |count| Drops::from([("no_vnet".to_owned(), count)]);
        let outbound = OutboundCounters {
            rx_packets: 10,
            tunnelled: 5,
            to_kernel: 2,
            answered: 1,
            originated: 7,
            drops: drops(2),
            ..OutboundCounters::default()
        };
        let inbound = InboundCounters {
            rx_packets: 4,
            delivered: 1,
            relayed: 1,
            held: 1,
            originated: 2,
            drops: drops(3),
            ..InboundCounters::default()
        };
        assert_eq!(outbound.unaccounted(), 0);
        assert_eq!(inbound.unaccounted(), -2);
        let counters = Counters::from_directions(outbound, inbound);
        assert_eq!((counters.rx_packets, counters.tx_packets, counters.held), (10, 1, 1));
        assert_eq!(counters.originated, 9);
        assert_eq!(counters.drops["no_vnet"], 5);
    }
}
