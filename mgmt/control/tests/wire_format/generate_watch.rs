//! Every event and every connection of a tunnel there can be.

use gridway_control::{ConnectionRow, EventRow, Events, Reply, Request, RoundTrip, Severity, TcpInfo};
use proptest::prelude::*;

use crate::generate::{optional, text};

/// Any request of them.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Connections),
        any::<[u64; 2]>().prop_map(|[after, wait_ms]| Request::Events { after, wait_ms }),
    ]
}

fn connection() -> impl Strategy<Value = ConnectionRow> {
    let round_trip = any::<[u64; 6]>().prop_map(|[samples, last_us, p50_us, p90_us, p99_us, max_us]| {
        RoundTrip { samples, last_us, p50_us, p90_us, p99_us, max_us }
    });
    let tcp = (text(), any::<[u64; 6]>(), any::<[u64; 6]>()).prop_map(
        |(
            congestion,
            [rtt_us, rtt_var_us, min_rtt_us, congestion_window, mss, unacked],
            [lost, retransmitted, retransmitted_bytes, unsent_bytes, delivery_rate_bps, pacing_rate_bps],
        )| TcpInfo {
            congestion,
            rtt_us,
            rtt_var_us,
            min_rtt_us,
            congestion_window,
            mss,
            unacked,
            lost,
            retransmitted,
            retransmitted_bytes,
            unsent_bytes,
            delivery_rate_bps,
            pacing_rate_bps,
        },
    );
    ([text(), text()], any::<u32>(), any::<[u64; 3]>(), round_trip, optional(tcp)).prop_map(
        |([peer, carries], worker, [age_s, queued_records, queue_wait_us], round_trip, tcp)| ConnectionRow {
            peer,
            carries,
            worker,
            age_s,
            round_trip,
            queued_records,
            queue_wait_us,
            tcp,
        },
    )
}

fn event() -> impl Strategy<Value = EventRow> {
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Error)];
    (any::<[u64; 4]>(), severity, [text(), text(), text()]).prop_map(
        |([number, first_ms, last_ms, count], severity, [kind, subject, message])| EventRow {
            number,
            first_ms,
            last_ms,
            count,
            severity,
            kind,
            subject,
            message,
        },
    )
}

/// Any reply of them.
pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let events = (text(), any::<[u64; 2]>(), proptest::collection::vec(event(), 0..3))
        .prop_map(|(instance, [last, missed], rows)| Events { instance, last, missed, rows });
    prop_oneof![
        proptest::collection::vec(connection(), 0..3).prop_map(Reply::Connections),
        events.prop_map(Reply::Events),
    ]
}
