//! A record of the journal in the words of either log.

use gridway_control::{FlowEndReason, FlowEvent, FlowLogLine};
use gridway_forwarding::flow::{EndReason, Event, Record, Side, Traffic};

use crate::clock::Clock;
use crate::flow_row::flow_row;

/// The record as a JSON line of the node called `node`.
pub(super) fn line(record: &Record, node: &str, vnet: &str, peer: &str, clock: &Clock) -> FlowLogLine {
    let Record { event, flow } = record;
    let (event, end_reason) = match event {
        Event::Start => (FlowEvent::Start, None),
        Event::End(reason) => (FlowEvent::End, Some(named(*reason))),
    };
    FlowLogLine {
        event,
        end_reason,
        start_ms: clock.unix_ms(flow.created),
        end_ms: end_reason.map(|_| clock.unix_ms(flow.last_seen())),
        node: node.to_owned(),
        flow: flow_row(flow, vnet.to_owned(), peer.to_owned(), clock.now()),
    }
}

fn named(reason: EndReason) -> FlowEndReason {
    match reason {
        EndReason::Idle => FlowEndReason::Idle,
        EndReason::Closed => FlowEndReason::Closed,
        EndReason::Evicted => FlowEndReason::Evicted,
        EndReason::Killed => FlowEndReason::Killed,
        EndReason::Policy => FlowEndReason::Policy,
        EndReason::Replaced => FlowEndReason::Replaced,
        EndReason::Stopped => FlowEndReason::Stopped,
    }
}

/// The record as it is exported.
pub(super) fn exported<'a>(
    record: &Record,
    vnet: &'a str,
    peer: &'a str,
    clock: &Clock,
) -> gridway_ipfix::Flow<'a> {
    let Record { event, flow } = record;
    let [local, overlay] = flow.traffic.map(counted);
    let (tuple, translated, forward, reverse) = match flow.started_by {
        Side::Local => (flow.local, flow.overlay.reversed(), local, overlay),
        Side::Overlay => (flow.overlay, flow.local.reversed(), overlay, local),
    };
    gridway_ipfix::Flow {
        event: match event {
            Event::Start => gridway_ipfix::Event::Start,
            Event::End(reason) => gridway_ipfix::Event::End(numbered(*reason)),
        },
        tuple,
        translated,
        forward,
        reverse,
        start_ms: clock.unix_ms(flow.created),
        end_ms: clock.unix_ms(flow.last_seen()),
        vnet,
        peer,
    }
}

fn counted(traffic: Traffic) -> gridway_ipfix::Traffic {
    let Traffic { packets, bytes, tcp_flags, .. } = traffic;
    gridway_ipfix::Traffic { packets, bytes, tcp_flags }
}

fn numbered(reason: EndReason) -> gridway_ipfix::EndReason {
    match reason {
        EndReason::Idle => gridway_ipfix::EndReason::IdleTimeout,
        EndReason::Closed => gridway_ipfix::EndReason::EndOfFlow,
        EndReason::Evicted => gridway_ipfix::EndReason::LackOfResources,
        EndReason::Killed | EndReason::Policy | EndReason::Replaced | EndReason::Stopped => {
            gridway_ipfix::EndReason::ForcedEnd
        }
    }
}
