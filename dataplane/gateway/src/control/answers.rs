//! Live state, as the control protocol shows it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use gridway_config::{Detail, Role};
use gridway_control::{
    AclRow, ConfigText, Counters, DataStatus, Failure, FailureKind, FlowFilter, FlowRow, Flows,
    InboundCounters, LimitRow, NatDirection, NatRow, OutboundCounters, PeerRow, PeerState, Reply, Request,
    RouteRow, Status, Traffic, Tuple, WorkerStatus,
};
use gridway_forwarding::flow::{FlowView, State};
use gridway_forwarding::policy::{Candidate, Hits, NatRule, Vnet};
use gridway_forwarding::{Counter, Direction, DropReason, PeerId};
use gridway_steer::Kind;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

use crate::book::Entry;
use crate::node::Node;

/// The answer to one request.
pub(crate) fn answer(node: &Node, request: &Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(status(node))),
        Request::Peers => Reply::Peers(peers(node)),
        Request::Routes => Reply::Routes(routes(node)),
        Request::Flows { filter, limit } => Reply::Flows(flows(node, filter, *limit as usize)),
        Request::Counters => match counters(node) {
            Ok(counters) => Reply::Counters(Box::new(counters)),
            Err(error) => Reply::Error(Failure::new(FailureKind::Internal, error.to_string())),
        },
        Request::Nat => Reply::Nat(nat(node)),
        Request::Acl => Reply::Acl(acl(node)),
        Request::Config { defaults } => {
            let detail = if *defaults { Detail::All } else { Detail::Changed };
            Reply::Config(ConfigText { toml: node.config.load().to_toml(detail) })
        }
        Request::Limits => Reply::Limits(limits(node)),
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
            attach_mode: data.attach_mode.clone(),
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
        tx_packets: sum(tx_packets, |traffic| &traffic.tx_packets),
        tx_bytes: sum(tx_bytes, |traffic| &traffic.tx_bytes),
        rx_packets: sum(rx_packets, |traffic| &traffic.rx_packets),
        rx_bytes: sum(rx_bytes, |traffic| &traffic.rx_bytes),
        instance: entry.instance.filter(|_| up).map(hex),
        version: up.then(|| gridway_wire::frame::PROTOCOL_VERSION.to_string()),
        address: entry.address.clone().filter(|_| up),
        since_s: node.clock.now().since(entry.since).as_secs(),
        ..empty_row(name)
    }
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn peer_names(node: &Node) -> BTreeMap<PeerId, String> {
    node.book.entries().into_iter().map(|(name, entry)| (entry.id, name)).collect()
}

fn routes(node: &Node) -> Vec<RouteRow> {
    let (policy, names) = (node.policy.load(), peer_names(node));
    let available = |candidate: &Candidate| node.peers.is_up(candidate.peer);
    let of_vnet = |vnet: &Vnet| -> Vec<RouteRow> {
        let row = |(to, candidate): (_, Candidate)| RouteRow {
            vnet: vnet.name.clone(),
            to: format!("{to}"),
            via: names.get(&candidate.peer).cloned().unwrap_or_default(),
            metric: candidate.metric,
            available: available(&candidate),
            chosen: vnet.routes.is_chosen(to, candidate, available),
        };
        vnet.routes.iter().map(row).collect()
    };
    policy.vnets().flat_map(of_vnet).collect()
}

fn hits(node: &Node, hits: &Hits) -> (u64, Option<u64>, Option<u64>) {
    let (count, times) = hits.read();
    let unix = times.map(|(first, last)| (node.clock.unix(first), node.clock.unix(last)));
    (count, unix.map(|(first, _)| first), unix.map(|(_, last)| last))
}

fn nat(node: &Node) -> Vec<NatRow> {
    let row = |vnet: &Vnet, direction, rule: &NatRule| {
        let (count, first, last) = hits(node, &rule.hits);
        NatRow {
            vnet: vnet.name.clone(),
            direction,
            local: rule.local.to_string(),
            virtual_prefix: rule.virtual_prefix.to_string(),
            hits: count,
            first,
            last,
        }
    };
    let of_vnet = |vnet: &Vnet| -> Vec<NatRow> {
        let inside = vnet.nat.inside.rules().iter().map(|rule| row(vnet, NatDirection::Inside, rule));
        let outside = vnet.nat.outside.rules().iter().map(|rule| row(vnet, NatDirection::Outside, rule));
        inside.chain(outside).collect()
    };
    node.policy.load().vnets().flat_map(of_vnet).collect()
}

fn acl(node: &Node) -> Vec<AclRow> {
    let of_vnet = |vnet: &Vnet| -> Vec<AclRow> {
        vnet.acl
            .rules()
            .map(|(rule, rule_hits)| {
                let (count, first, last) = hits(node, rule_hits);
                AclRow {
                    vnet: vnet.name.clone(),
                    line: rule.line,
                    action: rule.action.as_str().to_owned(),
                    protocol: rule.protocol_text(),
                    source: rule.source.to_string(),
                    destination: rule.destination.to_string(),
                    ports: rule.ports_text(),
                    hits: count,
                    first,
                    last,
                }
            })
            .collect()
    };
    node.policy.load().vnets().flat_map(of_vnet).collect()
}

fn flows(node: &Node, filter: &FlowFilter, limit: usize) -> Flows {
    let (policy, names) = (node.policy.load(), peer_names(node));
    let mut result = Flows { matched: 0, rows: Vec::new() };
    node.flows.for_each(|view| {
        let vnet = policy.vnet(view.vnet).map_or_else(String::new, |vnet| vnet.name.clone());
        let row = flow(node, view, vnet, names.get(&view.peer).cloned().unwrap_or_default());
        if filter.matches(&row) {
            result.matched += 1;
            if result.rows.len() < limit {
                result.rows.push(row);
            }
        }
        true
    });
    result
}

fn flow(node: &Node, view: &FlowView, vnet: String, peer: String) -> FlowRow {
    let [local, overlay] = view.traffic;
    let traffic = |traffic: gridway_forwarding::flow::Traffic| Traffic {
        packets: traffic.packets,
        bytes: traffic.bytes,
    };
    FlowRow {
        vnet,
        peer,
        local: tuple(&view.local),
        virtual_tuple: tuple(&view.overlay.reversed()),
        state: State::of(view).name().to_owned(),
        packets: local.packets + overlay.packets,
        bytes: local.bytes + overlay.bytes,
        outbound: traffic(local),
        inbound: traffic(overlay),
        idle_s: node.clock.now().since(view.last_seen()).as_secs(),
        tcp_flags: flag_names(TcpFlags(local.tcp_flags.0 | overlay.tcp_flags.0)),
    }
}

fn tuple(tuple: &FiveTuple) -> Tuple {
    Tuple {
        src: tuple.source,
        dst: tuple.destination,
        proto: tuple.protocol.0,
        sport: tuple.source_port,
        dport: tuple.destination_port,
    }
}

fn flag_names(flags: TcpFlags) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::URG, "URG"),
        (TcpFlags::ECE, "ECE"),
        (TcpFlags::CWR, "CWR"),
    ];
    let seen: Vec<_> =
        names.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    seen.join(",")
}

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
fn counters(node: &Node) -> Result<Counters, gridway_steer::SteerError> {
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
        drops: drops(node, |counters| &counters.inbound),
    };
    Ok(Counters::from_directions(outbound, inbound))
}

fn limits(node: &Node) -> Vec<LimitRow> {
    let row = |name: &str, used: usize, limit: usize, refused: u64| LimitRow {
        name: name.to_owned(),
        used: used as u64,
        limit: limit as u64,
        refused,
    };
    let refused = |reason: DropReason| {
        node.workers
            .iter()
            .map(|worker| worker.counters.outbound.dropped(reason) + worker.counters.inbound.dropped(reason))
            .sum()
    };
    let config = node.config.load();
    let (records, record_limit) = node.pools.records_used();
    let held = over_workers(node, |counters| &counters.inbound.queued)
        .saturating_sub(over_workers(node, |counters| &counters.inbound.dequeued));
    vec![
        row("flows", node.flows.len(), node.flows.limit(), refused(DropReason::FlowTableFull)),
        row("records", records, record_limit, refused(DropReason::QueueFull)),
        row(
            "held_packets",
            held as usize,
            config.limits.held_packets as usize,
            refused(DropReason::HeldFull),
        ),
        row(
            "handshakes",
            node.handshakes.running.load(Ordering::Relaxed) as usize,
            config.limits.handshakes as usize,
            node.handshakes.refused.load(Ordering::Relaxed),
        ),
    ]
}
