//! Ways of single packets, packets themselves and echo replies.

use gridway_control::{CapturedPacket, PacketTrace, Ping};

use super::unit::{ends, milliseconds, protocol, time_of_day};
use crate::table::printable;

/// What became of a packet that was dropped.
pub(crate) const DROPPED: &str = "dropped";

/// The way of a packet: what it was, a line for each decision, and what became of it.
pub(crate) fn trace(trace: &PacketTrace) -> String {
    let what = trace
        .tuple
        .as_ref()
        .map_or("could not be read".to_owned(), |tuple| format!("{} {}", protocol(tuple.proto), ends(tuple)));
    let when = if trace.at_us == 0 { String::new() } else { format!("{} ", time_of_day(trace.at_us)) };
    let mut text = format!("{when}from {}: {what}, {} bytes\n", trace.from.as_str(), trace.length);
    for step in &trace.steps {
        let sign = if step.passed { "ok" } else { "NO" };
        text.push_str(&format!("  {sign}  {:<12} {}\n", printable(&step.stage), printable(&step.detail)));
    }
    text.push_str(&format!("  => {}", printable(&trace.verdict)));
    if let Some(reason) = &trace.reason {
        text.push_str(&format!(": {}", printable(reason)));
    }
    if let Some(translated) = trace.translated.filter(|translated| Some(*translated) != trace.tuple) {
        text.push_str(&format!(" as {}", ends(&translated)));
    }
    text.push('\n');
    match &trace.answer {
        Some(answer) => text.push_str(&format!("     the sender is told: {}\n", printable(answer))),
        None if trace.verdict == DROPPED => text.push_str("     the sender is told nothing\n"),
        None => {}
    }
    text
}

/// A captured packet in one line.
pub(super) fn captured(packet: &CapturedPacket) -> String {
    let (time, from) = (time_of_day(packet.at_us), packet.from.as_str());
    format!("{time} from {from}, {} bytes: {}\n", packet.length, printable(&packet.comment))
}

/// An echo reply or its absence, in the manner of ping(8).
pub(crate) fn ping(ping: &Ping) -> String {
    let via = ping.peer.as_ref().map_or(String::new(), |peer| format!(" via {}", printable(peer)));
    match (ping.round_trip_us, &ping.error) {
        (Some(time), _) => format!("reply{via}: seq={} time={}\n", ping.sequence, milliseconds(time)),
        (None, Some(error)) => format!("no reply{via}: seq={}: {}\n", ping.sequence, printable(error)),
        (None, None) => format!("no reply{via}: seq={}\n", ping.sequence),
    }
}
