//! Every packet has a fate, at this end and at the far one.

use std::time::Duration;

use gridway_control::Counters;

use crate::error::{LabError, Result};
use crate::gateway::node::Gateway;
use crate::wait::try_wait_until;

/// Insists that a node's books balance in both directions: received = tunnelled + to kernel + answered + held + drops
/// outbound, received = delivered + relayed + answered + held + drops inbound. Packets in flight have no fate yet, so the books get `limit` to settle.
///
/// # Errors
/// [`LabError::Books`] naming the direction that does not balance.
pub fn check_books(gateway: &Gateway, limit: Duration) -> Result<Counters> {
    let mut last = Counters::default();
    let settled = try_wait_until("balanced books", limit, || {
        last = gateway.counters()?;
        Ok(judge(gateway.config().name(), &last).is_ok().then_some(()))
    });
    match settled {
        Ok(()) => Ok(last),
        Err(LabError::Timeout { .. }) => judge(gateway.config().name(), &last).map(|()| last),
        Err(error) => Err(error),
    }
}

/// Insists that what one node put into its tunnels came out at the other, in both directions. Holds for two nodes
/// that have no other peer and whose tunnel did not break since both started.
///
/// # Errors
/// [`LabError::Books`] naming the direction.
pub fn check_mirror(a: &Gateway, b: &Gateway, limit: Duration) -> Result<()> {
    let mut last = [Counters::default(), Counters::default()];
    let names = [a.config().name(), b.config().name()];
    let settled = try_wait_until("mirrored books", limit, || {
        last = [a.counters()?, b.counters()?];
        Ok(mirror(names, &last).is_ok().then_some(()))
    });
    match settled {
        Err(LabError::Timeout { .. }) => mirror(names, &last),
        outcome => outcome,
    }
}

fn judge(node: &str, counters: &Counters) -> Result<()> {
    let (outbound, inbound) = (&counters.outbound, &counters.inbound);
    let directions = [
        ("outbound", outbound.rx_packets, outbound.unaccounted()),
        ("inbound", inbound.rx_packets, inbound.unaccounted()),
    ];
    directions.into_iter().filter(|(.., missing)| *missing != 0).try_for_each(
        |(direction, received, missing)| {
            Err(LabError::Books {
                side: format!("{node}, {direction}"),
                received,
                missing,
                entries: json(counters),
            })
        },
    )
}

fn mirror(names: [&str; 2], counters: &[Counters; 2]) -> Result<()> {
    for (from, to) in [(0, 1), (1, 0)] {
        // What a node answers, makes and relays is sent as well as what it forwards.
        let (outbound, inbound) = (&counters[from].outbound, &counters[from].inbound);
        let sent = outbound.tunnelled + outbound.originated + inbound.answered + inbound.relayed;
        let received = counters[to].inbound.rx_packets;
        if sent != received {
            return Err(LabError::Books {
                side: format!("the tunnel from {} to {}", names[from], names[to]),
                received: sent,
                missing: i128::from(sent) - i128::from(received),
                entries: format!("{}\n{}", json(&counters[0]), json(&counters[1])),
            });
        }
    }
    Ok(())
}

fn json(counters: &Counters) -> String {
    serde_json::to_string(counters).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Counters {
        let mut counters = Counters::default();
        counters.outbound.rx_packets = 10;
        counters.outbound.tunnelled = 7;
        counters.outbound.drops.insert("no_route".to_owned(), 3);
        counters.inbound.rx_packets = 4;
        counters.inbound.delivered = 4;
        counters
    }

    #[test]
    fn books_that_lack_a_packet_name_the_direction() {
        assert!(judge("gw-a", &counters()).is_ok());
        let mut wrong = counters();
        wrong.inbound.delivered = 3;
        let error = judge("gw-a", &wrong).unwrap_err();
        assert!(
            matches!(&error, LabError::Books { side, received: 4, missing: 1, .. } if side == "gw-a, inbound")
        );
    }

    #[test]
    fn a_packet_lost_in_the_tunnel_shows_in_the_mirror() {
        let (a, mut b) = (counters(), Counters::default());
        b.inbound.rx_packets = 7;
        b.outbound.tunnelled = 4;
        assert!(mirror(["gw-a", "gw-b"], &[a.clone(), b.clone()]).is_ok());
        b.inbound.rx_packets = 6;
        let error = mirror(["gw-a", "gw-b"], &[a, b]).unwrap_err();
        assert!(error.to_string().contains("from gw-a to gw-b"), "{error}");
    }
}
