//! What tests of translation share.

use gridway_wire::rewrite::Rewrite;
use gridway_wire::tuple::FiveTuple;

/// `tuple` after `change`: ICMP has one identifier in both places, other protocols than TCP, UDP and ICMP queries
/// (whose generated tuples have ports) have none.
pub(crate) fn tuple_after(tuple: FiveTuple, change: &Rewrite) -> FiveTuple {
    use gridway_wire::protocol::Protocol;
    let mut after = FiveTuple {
        source: change.source.unwrap_or(tuple.source),
        destination: change.destination.unwrap_or(tuple.destination),
        ..tuple
    };
    match tuple.protocol {
        Protocol::TCP | Protocol::UDP => {
            after.source_port = change.source_port.unwrap_or(tuple.source_port);
            after.destination_port = change.destination_port.unwrap_or(tuple.destination_port);
        }
        Protocol::ICMP | Protocol::ICMPV6 => {
            let changed =
                change.source_port.filter(|id| *id != tuple.source_port).or(change.destination_port);
            after.source_port = changed.unwrap_or(tuple.source_port);
            after.destination_port = after.source_port;
        }
        _ => {}
    }
    after
}

/// The change that undoes `change` in a packet that had `tuple` before.
pub(crate) fn inverse(tuple: &FiveTuple, change: &Rewrite) -> Rewrite {
    Rewrite {
        source: change.source.map(|_| tuple.source),
        destination: change.destination.map(|_| tuple.destination),
        source_port: change.source_port.map(|_| tuple.source_port),
        destination_port: change.destination_port.map(|_| tuple.destination_port),
        decrement_ttl: false,
    }
}
