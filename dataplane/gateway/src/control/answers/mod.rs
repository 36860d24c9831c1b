//! Live state, as the control protocol shows it.

mod books;
mod connections;
mod flows;
mod layer4;
mod policy;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use gridway_config::{Detail, Role};
use gridway_control::{
    ConfigText, DataStatus, Failure, FailureKind, InForce, Killed, PeerRow, PeerState, Reply, Request,
    Status, WorkerStatus,
};
use gridway_forwarding::{Counter, PeerId};
use gridway_steer::AttachedMode;

use crate::book::Entry;
use crate::hex::hex;
use crate::node::Node;
pub(crate) use books::limits;

/// The answer to one request.
pub(crate) fn answer(node: &Node, request: &Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(status(node))),
        Request::Peers => Reply::Peers(peers(node)),
        Request::Routes => Reply::Routes(policy::routes(node)),
        Request::Flows { filter, limit } => Reply::Flows(flows::flows(node, filter, *limit as usize)),
        Request::KillFlows { filter } => Reply::Killed(Killed::Flows(flows::kill(node, filter))),
        Request::Sessions { limit } => Reply::Sessions(layer4::sessions(node, *limit as usize)),
        Request::KillSessions { ids } => Reply::Killed(Killed::Sessions(layer4::kill(node, ids))),
        Request::Connectors => Reply::Connectors(layer4::connectors(node)),
        Request::Services => Reply::Services(layer4::services(node)),
        Request::Counters => match books::counters(node) {
            Ok(counters) => Reply::Counters(Box::new(counters)),
            Err(error) => Reply::Error(Failure::new(FailureKind::Internal, error.to_string())),
        },
        Request::Nat => Reply::Nat(policy::nat(node)),
        Request::Acl => Reply::Acl(policy::acl(node)),
        Request::Config { defaults } => {
            let detail = if *defaults { Detail::All } else { Detail::Changed };
            Reply::Config(ConfigText { toml: node.config.load().to_toml(detail) })
        }
        Request::Limits => Reply::Limits(limits(node)),
        Request::ConfigState => Reply::ConfigState(node.in_force.load().state(node)),
        Request::InForce => {
            let in_force = node.in_force.load();
            Reply::InForce(InForce { toml: in_force.version.toml.clone(), state: in_force.state(node) })
        }
        Request::Simulate(packet) => super::simulate::simulate(node, packet),
        Request::Connections => connections::connections(node).map_or_else(Reply::Error, Reply::Connections),
        Request::Events { after, wait_ms } => Reply::Events(node.events.after(*after, *wait_ms)),
        Request::History | Request::Version { .. } => {
            let elsewhere = "the management process keeps versions: ask gridway-mgmt";
            Reply::Error(Failure::new(FailureKind::NotFound, elsewhere))
        }
        Request::Apply(_)
        | Request::Confirm { .. }
        | Request::Rollback { .. }
        | Request::Judge { .. }
        | Request::Trace { .. }
        | Request::Capture { .. }
        | Request::Ping { .. } => unreachable!("whoever attends to the client sees to these"),
    }
}

fn status(node: &Node) -> Status {
    let config = node.config.load();
    let policy = node.policy.load();
    let entries = node.book.entries();
    let roles = |queues: bool, tunnels: bool| {
        let named = [(queues, "data"), (tunnels, "tunnel")];
        named.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
    };
    Status {
        node: config.node.name.to_string(),
        domain: config.node.domain.to_string(),
        role: match config.node.role {
            Role::Gateway => "gateway".to_owned(),
            Role::Edge => "edge".to_owned(),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: node.clock.now().as_secs(),
        data: node.data.as_ref().map(|data| DataStatus {
            interface: data.interface.clone(),
            attach_mode: node.attach_mode().map_or("none", AttachedMode::name).to_owned(),
            ring_mode: data.ring_mode.clone(),
            pages: data.pages.clone(),
            mtu: u32::from(data.mtu),
            queues: data.queues,
        }),
        management: config.management.interface.to_string(),
        listen: config.tunnel.listen.map(|listen| listen.to_string()),
        workers: node
            .workers
            .iter()
            .map(|worker| WorkerStatus {
                cpu: worker.cpu as u32,
                roles: roles(worker.has_queues, worker.has_tunnels),
                load_permille: worker.load_permille.load(Ordering::Relaxed),
            })
            .collect(),
        policy_generation: policy.generation,
        flows: node.flows.len() as u64,
        flows_limit: node.flows.limit() as u64,
        peers: entries.len() as u32,
        peers_up: entries.iter().filter(|(_, entry)| node.peers.is_up(entry.id)).count() as u32,
        vnets: policy.vnets().count() as u32,
        last_reload_error: node
            .last_reload_error
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone(),
        config: node.in_force.load().state(node),
    }
}

fn peers(node: &Node) -> Vec<PeerRow> {
    let now = node.clock.now();
    let mut rows: Vec<_> =
        node.book.entries().into_iter().map(|(name, entry)| peer(node, name, &entry)).collect();
    rows.extend(node.book.refusals().into_iter().map(|refusal| PeerRow {
        state: PeerState::Down,
        reason: Some(format!("refused {} times, not configured: {}", refusal.count, refusal.reason)),
        since_s: now.since(refusal.at).as_secs(),
        ..empty_row(refusal.name)
    }));
    rows
}

fn empty_row(name: String) -> PeerRow {
    PeerRow {
        name,
        state: PeerState::Down,
        reason: None,
        rtt_us: None,
        connections: 0,
        stream_connections: 0,
        tx_bytes: 0,
        rx_bytes: 0,
        tx_packets: 0,
        rx_packets: 0,
        instance: None,
        version: None,
        address: None,
        since_s: 0,
    }
}

fn peer(node: &Node, name: String, entry: &Entry) -> PeerRow {
    let links = node.book.links(entry.id);
    let sum = |past: u64, counter: fn(&crate::link::LinkTraffic) -> &Counter| {
        past + links.iter().map(|link| counter(&link.traffic).get()).sum::<u64>()
    };
    let [tx_packets, tx_bytes, rx_packets, rx_bytes] = entry.past;
    let up = !links.is_empty();
    PeerRow {
        state: match (up, entry.connecting) {
            (true, _) => PeerState::Up,
            (false, 0) => PeerState::Down,
            (false, _) => PeerState::Connecting,
        },
        reason: entry.reason.clone(),
        rtt_us: entry.round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        connections: links.len() as u32,
        stream_connections: node.book.stream_connections(&name) as u32,
        tx_packets: sum(tx_packets, |traffic| &traffic.tx_packets),
        tx_bytes: sum(tx_bytes, |traffic| &traffic.tx_bytes),
        rx_packets: sum(rx_packets, |traffic| &traffic.rx_packets),
        rx_bytes: sum(rx_bytes, |traffic| &traffic.rx_bytes),
        instance: entry.instance.filter(|_| up).map(|instance| hex(&instance)),
        version: up.then(|| gridway_wire::frame::PROTOCOL_VERSION.to_string()),
        address: entry.address.clone().filter(|_| up),
        since_s: node.clock.now().since(entry.since).as_secs(),
        ..empty_row(name)
    }
}

/// The names of the configured peers.
pub(crate) fn peer_names(node: &Node) -> BTreeMap<PeerId, String> {
    node.book.entries().into_iter().map(|(name, entry)| (entry.id, name)).collect()
}
