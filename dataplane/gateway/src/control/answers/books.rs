//! Counters and the state of tables.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use gridway_control::{Counters, InboundCounters, LimitRow, OutboundCounters};
use gridway_forwarding::{Counter, Direction, DropReason};
use gridway_proxy::Refusal;
use gridway_steer::Kind;

use crate::node::Node;

/// One number over all workers.
fn over_workers(node: &Node, number: impl Fn(&gridway_forwarding::Counters) -> &Counter) -> u64 {
    node.workers.iter().map(|worker| number(&worker.counters).get()).sum()
}

fn drops(node: &Node, direction: fn(&gridway_forwarding::Counters) -> &Direction) -> BTreeMap<String, u64> {
    DropReason::all()
        .map(|reason| {
            let count = node.workers.iter().map(|worker| direction(&worker.counters).dropped(reason)).sum();
            (reason.name().to_owned(), count)
        })
        .collect()
}

/// Packets are counted where they are received last: what is on its way between two counters when
/// they are read shows up as held, never as lost.
pub(super) fn counters(node: &Node) -> Result<Counters, gridway_steer::SteerError> {
    let outbound_queued = over_workers(node, |counters| &counters.outbound.queued);
    let outbound_dequeued = over_workers(node, |counters| &counters.outbound.dequeued);
    let inbound_queued = over_workers(node, |counters| &counters.inbound.queued);
    let inbound_dequeued = over_workers(node, |counters| &counters.inbound.dequeued);
    let mut outbound = OutboundCounters {
        rx_bytes: over_workers(node, |counters| &counters.outbound.received_bytes),
        tunnelled: over_workers(node, |counters| &counters.outbound.forwarded),
        tunnelled_bytes: over_workers(node, |counters| &counters.outbound.forwarded_bytes),
        answered: over_workers(node, |counters| &counters.outbound.answered),
        held: outbound_queued.saturating_sub(outbound_dequeued),
        originated: over_workers(node, |counters| &counters.outbound.originated),
        unsent: over_workers(node, |counters| &counters.outbound.unsent),
        drops: drops(node, |counters| &counters.outbound),
        ..OutboundCounters::default()
    };
    if let Some(steer) = node.lock_steer() {
        let fates = steer.counters()?;
        let mut to_workers = 0;
        for (fate, frames) in fates.iter() {
            match fate.kind() {
                Kind::Kernel => outbound.to_kernel += frames,
                Kind::Worker => to_workers += frames,
                Kind::Drop => {
                    outbound.drops.insert(fate.name().to_owned(), frames);
                }
            }
        }
        outbound.rx_packets = fates.total();
        let received = over_workers(node, |counters| &counters.outbound.received);
        let mut lost_in_rings = 0;
        for (name, number) in [("rx_ring_full", true), ("rx_no_frame", false)] {
            let sum: u64 = node
                .workers
                .iter()
                .map(|worker| if number { &worker.port.ring_full } else { &worker.port.no_frame })
                .map(|counter| counter.load(Ordering::Relaxed))
                .sum();
            outbound.drops.insert(name.to_owned(), sum);
            lost_in_rings += sum;
        }
        outbound.held += to_workers.saturating_sub(received + lost_in_rings);
    }
    let inbound = InboundCounters {
        rx_packets: over_workers(node, |counters| &counters.inbound.received),
        rx_bytes: over_workers(node, |counters| &counters.inbound.received_bytes),
        delivered: over_workers(node, |counters| &counters.inbound.forwarded),
        delivered_bytes: over_workers(node, |counters| &counters.inbound.forwarded_bytes),
        answered: over_workers(node, |counters| &counters.inbound.answered),
        held: inbound_queued.saturating_sub(inbound_dequeued),
        relayed: over_workers(node, |counters| &counters.inbound.relayed),
        relayed_bytes: over_workers(node, |counters| &counters.inbound.relayed_bytes),
        consumed: over_workers(node, |counters| &counters.inbound.consumed),
        originated: over_workers(node, |counters| &counters.inbound.originated),
        unsent: over_workers(node, |counters| &counters.inbound.unsent),
        drops: drops(node, |counters| &counters.inbound),
    };
    Ok(Counters {
        unknown_frames: over_workers(node, |counters| &counters.unknown_frames),
        sleeps: over_workers(node, |counters| &counters.sleeps),
        icmp_errors_suppressed: over_workers(node, |counters| &counters.answers_suppressed),
        ecn_marked: over_workers(node, |counters| &counters.outbound.ecn_marked)
            + over_workers(node, |counters| &counters.inbound.ecn_marked),
        segments_coupled: over_workers(node, |counters| &counters.inbound.coupled),
        flows_created: over_workers(node, |counters| &counters.flows_created),
        flows_evicted: over_workers(node, |counters| &counters.flows_evicted),
        flow_log: node.flow_log.counters(node.flows.journal()),
        ..Counters::from_directions(outbound, inbound)
    })
}

/// How full the tables of a node are.
pub(crate) fn limits(node: &Node) -> Vec<LimitRow> {
    let row = |name: &str, used: usize, limit: usize, refused: u64| LimitRow {
        name: name.to_owned(),
        used: used as u64,
        limit: limit as u64,
        refused,
    };
    let refused = |reason: DropReason| -> u64 {
        node.workers
            .iter()
            .map(|worker| worker.counters.outbound.dropped(reason) + worker.counters.inbound.dropped(reason))
            .sum()
    };
    let config = node.config.load();
    let (records, record_limit) = node.pools.records_used();
    let held: u64 = node.workers.iter().map(|worker| worker.port.held.load(Ordering::Relaxed)).sum();
    let evicted = over_workers(node, |counters| &counters.flows_evicted);
    let not_kept = refused(DropReason::FlowTableFull) + evicted;
    let (sessions, session_limit) = node.sessions.used();
    let journal = node.flows.journal();
    let sessions_refused = node.sessions.refused(Refusal::TooManySessions);
    vec![
        row("flows", node.flows.len(), node.flows.limit(), not_kept),
        row("records", records, record_limit, refused(DropReason::QueueFull)),
        row(
            "held_packets",
            held as usize,
            config.limits.held_packets as usize,
            refused(DropReason::HeldFull),
        ),
        row(
            "fragments",
            node.fragments.len(),
            config.limits.fragments as usize,
            refused(DropReason::FragmentLimit),
        ),
        row(
            "handshakes",
            node.handshakes.running.load(Ordering::Relaxed) as usize,
            config.limits.handshakes as usize,
            node.handshakes.refused.load(Ordering::Relaxed),
        ),
        row("sessions", sessions as usize, session_limit as usize, sessions_refused),
        row("flow_log", journal.len(), journal.limit(), journal.dropped()),
    ]
}
