//! `gridway simulate`: what would become of a packet.

use std::net::IpAddr;

use etherparse::{IpNumber, PacketBuilder};
use gridway_control::{Failure, FailureKind, PacketTrace, Reply, Side, SimulatedPacket, Step, Tuple};
use gridway_forwarding::policy::Choice;
use gridway_forwarding::{DropReason, Inbound, PeerId, Simulation, VnetId};
use gridway_steer::Fate;
use gridway_wire::packet::parse;
use gridway_wire::tuple::FiveTuple;

use super::steps::{Names, neighbour};
use crate::flow_row::tuple;
use crate::node::Node;
use crate::watch::Verdict;

/// What the simulation came to.
struct Outcome {
    verdict: &'static str,
    reason: Option<&'static str>,
    translated: Option<FiveTuple>,
    steps: Vec<Step>,
    answer: Option<String>,
}

pub(super) fn simulate(node: &Node, packet: &SimulatedPacket) -> Reply {
    let fail = |kind, message: String| Reply::Error(Failure::new(kind, message));
    let Some(vnet) = node.vnet_named(&packet.vnet) else {
        return fail(FailureKind::NotFound, format!("there is no vnet {}", packet.vnet));
    };
    let mut bytes = match build(packet) {
        Ok(bytes) => bytes,
        Err(problem) => return fail(FailureKind::BadRequest, problem),
    };
    let outcome = match packet.from {
        Side::Local => outbound(node, packet, vnet, &mut bytes),
        Side::Overlay => match sender(node, packet, vnet) {
            Ok(peer) => inbound(node, peer, vnet, &mut bytes),
            Err(failure) => return Reply::Error(failure),
        },
    };
    Reply::Trace(Box::new(PacketTrace {
        at_us: node.clock.unix_us(node.clock.now()),
        worker: 0,
        from: packet.from,
        length: bytes.len() as u32,
        tuple: Some(packet.tuple),
        translated: outcome.translated.as_ref().map(tuple),
        steps: outcome.steps,
        verdict: outcome.verdict.to_owned(),
        reason: outcome.reason.map(str::to_owned),
        answer: outcome.answer,
    }))
}

fn simulation(node: &Node) -> Simulation {
    let (policy, hops) = (node.policy.load_full(), node.next_hops.load_full());
    Simulation::new(policy, hops, node.shared(), node.data_mtu(), rand::random())
}

/// The verdict in a word, and why a packet was dropped.
fn in_words(verdict: Verdict) -> (&'static str, Option<&'static str>) {
    (verdict.name(), verdict.reason().map(DropReason::name))
}

fn outbound(node: &Node, packet: &SimulatedPacket, vnet: VnetId, bytes: &mut [u8]) -> Outcome {
    let names = Names::of(node);
    if let Some(outcome) = steered_elsewhere(node, packet) {
        return outcome;
    }
    let (verdict, noted) = simulation(node).outbound(bytes, node.clock.now());
    let (mut steps, answer) = names.steps(&noted);
    let chosen = node.policy.load().select(packet.tuple.dst).map(|chosen| chosen.id);
    if chosen.is_some_and(|chosen| chosen != vnet) {
        let detail = format!("not vnet {}, which was asked for", packet.vnet);
        steps.push(Step { stage: "vnet".to_owned(), passed: false, detail });
    }
    let translated = parse(&bytes[..verdict.sent_len()]).ok().map(|packet| packet.tuple);
    let (verdict, reason) = in_words(verdict.into());
    Outcome { verdict, reason, translated, steps, answer }
}

fn inbound(node: &Node, peer: PeerId, vnet: VnetId, bytes: &mut [u8]) -> Outcome {
    let names = Names::of(node);
    let (verdict, noted) = simulation(node).inbound(peer, vnet, bytes, node.clock.now());
    let (mut steps, mut answer) = names.steps(&noted);
    let translated = parse(&bytes[..verdict.sent_len()]).ok().map(|packet| packet.tuple);
    let host = match verdict {
        Inbound::Deliver { destination, .. } => Some(destination),
        _ => None,
    };
    let (mut verdict, mut reason) = in_words(verdict.into());
    if let Some(host) = host {
        let (step, refused) = neighbour(node, host);
        if let Some(refused) = refused {
            (verdict, reason) = in_words(Verdict::Dropped(refused));
            let dark = node.policy.load().vnet(vnet).is_some_and(|vnet| vnet.dark);
            answer = (!dark).then(|| "ICMP host unreachable".to_owned());
        }
        steps.push(step);
    }
    Outcome { verdict, reason, translated, steps, answer }
}

/// What the steering program would not give to a worker.
fn steered_elsewhere(node: &Node, packet: &SimulatedPacket) -> Option<Outcome> {
    let config = node.config.load();
    let denied = config.data.as_ref().and_then(|data| {
        data.deny.iter().find(|prefix| prefix.contains(&packet.tuple.src)).map(ToString::to_string)
    });
    let own = node.next_hops.load().own().contains(&packet.tuple.dst);
    let (verdict, reason, detail) = if let Some(prefix) = denied {
        ("dropped", Some(Fate::DropDenied.name()), format!("data.deny has {prefix}"))
    } else if own {
        (
            "to_kernel",
            None,
            format!("{} is an address of the data NIC: it goes to the kernel", packet.tuple.dst),
        )
    } else {
        return None;
    };
    let step = Step { stage: "steer".to_owned(), passed: reason.is_none(), detail };
    Some(Outcome { verdict, reason, translated: None, steps: vec![step], answer: None })
}

/// The peer that an overlay packet would come from.
fn sender(node: &Node, packet: &SimulatedPacket, vnet: VnetId) -> Result<PeerId, Failure> {
    if let Some(name) = &packet.peer {
        let found = node.book.find(name).map(|(peer, _)| peer);
        return found.ok_or_else(|| Failure::new(FailureKind::NotFound, format!("there is no peer {name}")));
    }
    let policy = node.policy.load();
    let tuple = wire_tuple(&packet.tuple).reversed();
    let choice = policy
        .vnet(vnet)
        .map(|vnet| vnet.routes.choose(&tuple, None, |route| node.peers.is_available(route)));
    match choice {
        Some(Choice::Peer(peer)) => Ok(peer),
        _ => {
            let message =
                format!("no available route leads to {}; say which peer sends it", packet.tuple.src);
            Err(Failure::new(FailureKind::BadRequest, message))
        }
    }
}

fn wire_tuple(tuple: &Tuple) -> FiveTuple {
    FiveTuple {
        source: tuple.src,
        destination: tuple.dst,
        protocol: gridway_wire::protocol::Protocol(tuple.proto),
        source_port: tuple.sport,
        destination_port: tuple.dport,
    }
}

/// The bytes of the packet.
fn build(packet: &SimulatedPacket) -> Result<Vec<u8>, String> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    let Tuple { src, dst, proto, sport, dport } = packet.tuple;
    let (builder, header) = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header =
                etherparse::Ipv4Header::new(0, packet.ttl, IpNumber(proto), src.octets(), dst.octets())
                    .map_err(|error| error.to_string())?;
            header.dont_fragment = packet.dont_fragment;
            (PacketBuilder::ip(etherparse::IpHeaders::Ipv4(header, Default::default())), 20)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            (PacketBuilder::ipv6(src.octets(), dst.octets(), packet.ttl), 40)
        }
        _ => return Err("source and destination are of different families".to_owned()),
    };
    let header = header
        + match proto {
            TCP => 20,
            UDP | ICMP | ICMPV6 => 8,
            _ => 0,
        };
    let length = packet.length.map_or(header, usize::from);
    let payload = length.checked_sub(header).ok_or_else(|| {
        format!("a packet of this protocol has {header} bytes at least, and {length} were asked for")
    })?;
    let (payload, mut bytes) = (vec![0; payload], Vec::new());
    let written = match proto {
        TCP => {
            let mut tcp = etherparse::TcpHeader::new(sport, dport, 1, u16::MAX);
            set_flags(&mut tcp, packet.tcp_flags.as_deref().unwrap_or("SYN"))?;
            builder.tcp_header(tcp).write(&mut bytes, &payload)
        }
        UDP => builder.udp(sport, dport).write(&mut bytes, &payload),
        ICMP if src.is_ipv4() => builder.icmpv4_echo_request(sport, 1).write(&mut bytes, &payload),
        ICMPV6 | ICMP => builder.icmpv6_echo_request(sport, 1).write(&mut bytes, &payload),
        other => builder.write(&mut bytes, IpNumber(other), &payload),
    };
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn set_flags(tcp: &mut etherparse::TcpHeader, flags: &str) -> Result<(), String> {
    for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
        match flag {
            "SYN" => tcp.syn = true,
            "ACK" => tcp.ack = true,
            "FIN" => tcp.fin = true,
            "RST" => tcp.rst = true,
            "PSH" => tcp.psh = true,
            "URG" => tcp.urg = true,
            "ECE" => tcp.ece = true,
            "CWR" => tcp.cwr = true,
            other => {
                return Err(format!(
                    "{other} is no TCP flag; there are SYN, ACK, FIN, RST, PSH, URG, ECE, CWR"
                ));
            }
        }
    }
    Ok(())
}
