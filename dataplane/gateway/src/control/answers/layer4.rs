//! Connectors, services and their sessions.

use std::sync::Arc;

use gridway_config::{Config, ServiceRange};
use gridway_control::{
    ConnectorRow, ConnectorState, ServiceRow, SessionRow, SessionSide, SessionState, Sessions,
};
use gridway_proxy::{RANGES, SessionInfo, Side, Tally};

use crate::node::{Control, Node};

pub(super) fn sessions(node: &Node, limit: usize) -> Sessions {
    let sessions = node.sessions.sessions();
    let rows = sessions.iter().take(limit).map(|session| row(node, session)).collect();
    Sessions { matched: sessions.len() as u64, rows }
}

fn row(node: &Node, session: &SessionInfo) -> SessionRow {
    let now = node.clock.now();
    let [bytes_in, bytes_out] = session.bytes();
    SessionRow {
        id: session.id,
        connector: session.connector.as_deref().map(str::to_owned),
        peer: session.peer.to_string(),
        service: session.service.to_string(),
        client: session.client,
        bytes_in,
        bytes_out,
        age_s: now.since(session.began).as_secs(),
        protocol: session.protocol.to_string(),
        side: match session.side {
            Side::Connector => SessionSide::Connector,
            Side::Service => SessionSide::Service,
        },
        target: session.target(),
        state: match session.state() {
            gridway_proxy::SessionState::Connecting => SessionState::Connecting,
            gridway_proxy::SessionState::Open => SessionState::Open,
            gridway_proxy::SessionState::Closing => SessionState::Closing,
        },
        idle_s: now.since(session.last()).as_secs(),
    }
}

/// Ends sessions; gives how many of them there were.
pub(super) fn kill(node: &Node, ids: &[u64]) -> u64 {
    let found: Vec<_> = ids.iter().filter_map(|id| node.sessions.find(*id)).collect();
    for (index, worker) in node.workers.iter().enumerate() {
        let of_worker = found.iter().filter(|session| session.worker == index).map(|session| session.id);
        let of_worker: Vec<u64> = of_worker.collect();
        if !of_worker.is_empty() {
            worker.tell(Control::EndSessions(of_worker));
        }
    }
    found.len() as u64
}

/// Bytes of all sessions, ended ones and those of `live` that `is_of` names.
fn bytes(live: &[Arc<SessionInfo>], tally: &Tally, is_of: impl Fn(&SessionInfo) -> bool) -> [u64; 2] {
    live.iter().filter(|session| is_of(session)).fold(tally.bytes(), |sum, session| {
        let [bytes_in, bytes_out] = session.bytes();
        [sum[0] + bytes_in, sum[1] + bytes_out]
    })
}

fn refusals(tally: &Tally) -> std::collections::BTreeMap<String, u64> {
    tally.refused().into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect()
}

pub(super) fn connectors(node: &Node) -> Vec<ConnectorRow> {
    let (config, live) = (node.config.load(), node.sessions.sessions());
    let rows = config.listeners().map(|(vnet, connector)| {
        let name = connector.name.as_str();
        let tally = node.sessions.tally(Side::Connector, name);
        let [bytes_in, bytes_out] =
            bytes(&live, &tally, |session| session.connector.as_deref() == Some(name));
        let error = tally.error();
        ConnectorRow {
            name: name.to_owned(),
            protocol: connector.protocol.to_string(),
            listen: connector.listen,
            peer: connector.peer.to_string(),
            service: connector.service.to_string(),
            vnet: vnet.map(ToString::to_string),
            state: if error.is_none() { ConnectorState::Listening } else { ConnectorState::Error },
            error,
            sessions: tally.live(),
            accepted: tally.begun(),
            refused: refusals(&tally),
            lost: tally.lost(),
            bytes_in,
            bytes_out,
        }
    });
    rows.collect()
}

pub(super) fn services(node: &Node) -> Vec<ServiceRow> {
    let (config, live) = (node.config.load(), node.sessions.sessions());
    let of_service =
        |session: &SessionInfo, name: &str| session.side == Side::Service && &*session.service == name;
    let services = config.services.iter().map(|service| {
        let name = service.name.as_str();
        let tally = node.sessions.tally(Side::Service, name);
        ServiceRow {
            name: Some(name.to_owned()),
            protocol: service.protocol.to_string(),
            target: service.target.to_string(),
            peers: service.peers.iter().map(ToString::to_string).collect(),
            ..counted(&tally, bytes(&live, &tally, |session| of_service(session, name)))
        }
    });
    services.chain(ranges(node, &config, &live)).collect()
}

/// One row for all ranges: what peers name themselves is counted together, and so are names of no service.
fn ranges(node: &Node, config: &Config, live: &[Arc<SessionInfo>]) -> Option<ServiceRow> {
    let tally = node.sessions.tally(Side::Service, RANGES);
    if config.service_ranges.is_empty() && tally.begun() == 0 && tally.refused().is_empty() {
        return None;
    }
    let mut peers: Vec<String> =
        config.service_ranges.iter().flat_map(|range| &range.peers).map(ToString::to_string).collect();
    peers.sort();
    peers.dedup();
    Some(ServiceRow {
        name: None,
        protocol: "any".to_owned(),
        target: config.service_ranges.iter().map(shown).collect::<Vec<_>>().join(", "),
        peers,
        ..counted(&tally, bytes(live, &tally, SessionInfo::is_by_range))
    })
}

fn shown(range: &ServiceRange) -> String {
    let prefixes = range.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("{prefixes} ports {}-{}", range.ports.start(), range.ports.end())
}

fn counted(tally: &Tally, [bytes_in, bytes_out]: [u64; 2]) -> ServiceRow {
    ServiceRow {
        name: None,
        protocol: String::new(),
        target: String::new(),
        peers: Vec::new(),
        sessions: tally.live(),
        opened: tally.opened(),
        refused: refusals(tally),
        lost: tally.lost(),
        bytes_in,
        bytes_out,
    }
}
