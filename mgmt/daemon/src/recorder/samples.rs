//! Samples of tunnels and of what passes, and what is forgotten.

use std::time::{Duration, Instant};

use gridway_control::{ConnectionRow, Counters, PeerRow, PeerState, Reply, Request};
use tokio::time::{MissedTickBehavior, interval};

use crate::recorder::Recorder;
use crate::store::{RoundTripSample, SAMPLED_EVERY, ThroughputSample};

/// Samples between two sweeps: an hour.
const SWEEP: u32 = 360;

impl Recorder {
    pub(super) async fn sample(self, keep: Duration, versions: u32) {
        let mut ticks = interval(SAMPLED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut count) = (None, 0u32);
        loop {
            ticks.tick().await;
            if count.is_multiple_of(SWEEP) {
                self.store.sweep(keep, versions);
            }
            count = count.wrapping_add(1);
            let Ok(Reply::Peers(peers)) = self.node.ask_aside(Request::Peers).await else {
                // Two samples with a gap between them say nothing of either.
                before = None;
                continue;
            };
            let connections = match self.node.ask_aside(Request::Connections).await {
                Ok(Reply::Connections(connections)) => connections,
                _ => Vec::new(),
            };
            let counters = match self.node.ask_aside(Request::Counters).await {
                Ok(Reply::Counters(counters)) => Some((Instant::now(), Totals::of(&counters))),
                _ => None,
            };
            let throughput = before.zip(counters).and_then(|(before, now)| since(before, now));
            before = counters;
            let samples = peers.iter().map(|peer| round_trip(peer, &connections)).collect();
            self.store.keep_samples(samples, throughput);
        }
    }
}

fn round_trip(peer: &PeerRow, connections: &[ConnectionRow]) -> RoundTripSample {
    let own = || connections.iter().filter(|connection| connection.peer == peer.name);
    let up = peer.state == PeerState::Up;
    RoundTripSample {
        peer: peer.name.clone(),
        up,
        rtt_us: peer.rtt_us.filter(|_| up),
        p99_us: own().filter(|row| row.round_trip.samples > 0).map(|row| row.round_trip.p99_us).max(),
        queue_wait_us: own().map(|row| row.queue_wait_us).max(),
        retransmitted: own()
            .filter_map(|row| Some(row.tcp.as_ref()?.retransmitted))
            .reduce(u64::saturating_add),
    }
}

/// What passed since the start of the data plane.
#[derive(Debug, Clone, Copy)]
struct Totals([u64; 5]);

impl Totals {
    fn of(counters: &Counters) -> Self {
        let (outbound, inbound) = (&counters.outbound, &counters.inbound);
        Self([
            outbound.tunnelled,
            outbound.tunnelled_bytes,
            inbound.delivered + inbound.relayed,
            inbound.delivered_bytes + inbound.relayed_bytes,
            counters.drops.values().sum(),
        ])
    }
}

/// `None` where the data plane has started anew between the two.
fn since(before: (Instant, Totals), now: (Instant, Totals)) -> Option<ThroughputSample> {
    let Totals(earlier) = before.1;
    let Totals(mut passed) = now.1;
    for (number, earlier) in passed.iter_mut().zip(earlier) {
        *number = number.checked_sub(earlier)?;
    }
    let [outbound_packets, outbound_bytes, inbound_packets, inbound_bytes, dropped] = passed;
    Some(ThroughputSample {
        interval_ms: u64::try_from((now.0 - before.0).as_millis()).unwrap_or(u64::MAX),
        outbound_packets,
        outbound_bytes,
        inbound_packets,
        inbound_bytes,
        dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_of_the_data_plane_is_no_throughput() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let passed = since((start, Totals([1; 5])), (later, Totals([3, 4, 5, 6, 7]))).unwrap();
        assert_eq!((passed.outbound_packets, passed.dropped, passed.interval_ms), (2, 6, 10_000));
        assert_eq!(since((start, Totals([9; 5])), (later, Totals([10, 10, 10, 1, 10]))), None);
    }
}
