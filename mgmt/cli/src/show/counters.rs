//! `gridway counters`.

use gridway_control::{Counters, Drops};

use super::page::Page;
use crate::table::Table;

pub(super) fn counters(counters: &Counters) -> Page {
    let mut page = Page::default();
    let (outbound, inbound) = (&counters.outbound, &counters.inbound);
    let mut table = Table::new(["PACKETS", "LOCAL TO OVERLAY+", "OVERLAY TO LOCAL+"]);
    let mut row =
        |name: &str, outbound: String, inbound: String| table.row([name.to_owned(), outbound, inbound]);
    row("received", outbound.rx_packets.to_string(), inbound.rx_packets.to_string());
    row("forwarded", outbound.tunnelled.to_string(), inbound.delivered.to_string());
    row("to kernel", outbound.to_kernel.to_string(), String::new());
    row("relayed", String::new(), inbound.relayed.to_string());
    row("answered", outbound.answered.to_string(), inbound.answered.to_string());
    row("consumed", String::new(), inbound.consumed.to_string());
    row("held", outbound.held.to_string(), inbound.held.to_string());
    let sum = |drops: &Drops| drops.values().map(|count| u128::from(*count)).sum::<u128>().to_string();
    row("dropped", sum(&outbound.drops), sum(&inbound.drops));
    row("unaccounted", outbound.unaccounted().to_string(), inbound.unaccounted().to_string());
    row("originated", outbound.originated.to_string(), inbound.originated.to_string());
    row("unsent", outbound.unsent.to_string(), inbound.unsent.to_string());
    row("received bytes", outbound.rx_bytes.to_string(), inbound.rx_bytes.to_string());
    row("forwarded bytes", outbound.tunnelled_bytes.to_string(), inbound.delivered_bytes.to_string());
    row("relayed bytes", String::new(), inbound.relayed_bytes.to_string());
    page.push(table);

    let mut table = Table::new(["NODE", "COUNT+"]);
    for (name, count) in [
        ("flows created", counters.flows_created),
        ("flows evicted", counters.flows_evicted),
        ("flow log: records", counters.flow_log.records),
        ("flow log: dropped", counters.flow_log.dropped),
        ("flow log: IPFIX lost", counters.flow_log.ipfix_lost),
        ("flow log: JSON lost", counters.flow_log.json_lost),
        ("ECN marked", counters.ecn_marked),
        ("segments coupled", counters.segments_coupled),
        ("ICMP errors suppressed", counters.icmp_errors_suppressed),
        ("unknown frames", counters.unknown_frames),
        ("sleeps of workers", counters.sleeps),
    ] {
        table.row([name.to_owned(), count.to_string()]);
    }
    page.push(table);

    let mut reasons: Vec<&String> = outbound.drops.keys().chain(inbound.drops.keys()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let count = |drops: &Drops, reason: &String| drops.get(reason).copied().unwrap_or(0);
    let mut table = Table::new(["DROPPED", "LOCAL TO OVERLAY+", "OVERLAY TO LOCAL+"]);
    for reason in reasons {
        let (outbound, inbound) = (count(&outbound.drops, reason), count(&inbound.drops, reason));
        if outbound > 0 || inbound > 0 {
            table.row([reason.clone(), outbound.to_string(), inbound.to_string()]);
        }
    }
    if !table.is_empty() {
        page.push(table);
    }
    page
}
