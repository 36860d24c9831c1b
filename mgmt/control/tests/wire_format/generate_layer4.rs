//! Every row of Layer 4 there can be.

use std::net::{IpAddr, SocketAddr};

use gridway_control::{
    ConnectorRow, ConnectorState, Refusals, ServiceRow, SessionRow, SessionSide, SessionState, Sessions,
};
use proptest::prelude::*;

use crate::generate::{optional, text};

fn refusals() -> impl Strategy<Value = Refusals> {
    proptest::collection::btree_map(text(), any::<u64>(), 0..3)
}

/// Without a flow label, which has no text form.
fn address() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
}

fn session() -> impl Strategy<Value = SessionRow> {
    let side = prop_oneof![Just(SessionSide::Connector), Just(SessionSide::Service)];
    let state =
        prop_oneof![Just(SessionState::Connecting), Just(SessionState::Open), Just(SessionState::Closing)];
    let ends = (address(), optional(address()));
    (optional(text()), text(), side, state, ends, any::<[u64; 5]>()).prop_map(
        |(connector, name, side, state, (client, target), [id, bytes_in, bytes_out, age_s, idle_s])| {
            SessionRow {
                id,
                connector,
                peer: name.clone(),
                service: name.clone(),
                client,
                bytes_in,
                bytes_out,
                age_s,
                protocol: name,
                side,
                target,
                state,
                idle_s,
            }
        },
    )
}

/// Any list of sessions.
pub(crate) fn sessions() -> impl Strategy<Value = Sessions> {
    (any::<u64>(), proptest::collection::vec(session(), 0..4))
        .prop_map(|(matched, rows)| Sessions { matched, rows })
}

/// Any connector.
pub(crate) fn connector() -> impl Strategy<Value = ConnectorRow> {
    let state = prop_oneof![Just(ConnectorState::Listening), Just(ConnectorState::Error)];
    (text(), address(), [optional(text()), optional(text())], state, refusals(), any::<[u64; 4]>()).prop_map(
        |(name, listen, [vnet, error], state, refused, [sessions, accepted, bytes_in, bytes_out])| {
            ConnectorRow {
                protocol: name.clone(),
                listen,
                peer: name.clone(),
                service: name.clone(),
                name,
                vnet,
                state,
                error,
                sessions,
                accepted,
                refused,
                lost: 0,
                bytes_in,
                bytes_out,
            }
        },
    )
}

/// Any service or range.
pub(crate) fn service() -> impl Strategy<Value = ServiceRow> {
    let peers = proptest::collection::vec(text(), 0..3);
    (optional(text()), text(), peers, refusals(), any::<[u64; 4]>()).prop_map(
        |(name, target, peers, refused, [sessions, opened, bytes_in, bytes_out])| ServiceRow {
            name,
            protocol: target.clone(),
            target,
            peers,
            sessions,
            opened,
            refused,
            lost: 0,
            bytes_in,
            bytes_out,
        },
    )
}
