//! Steps of packets in words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use gridway_control::{PacketTrace, Side, Step};
use gridway_forwarding::flow;
use gridway_forwarding::next_hop::NextHop;
use gridway_forwarding::policy::{Choice, Policy};
use gridway_forwarding::steps::{FlowStep, NatStep, RouteStep, Step as Noted, Told};
use gridway_forwarding::{DropReason, PeerId, VnetId};
use gridway_wire::icmp::IcmpError;
use gridway_wire::packet::{Fragment, Packet, Transport};
use gridway_wire::tuple::FiveTuple;

use super::answers::peer_names;
use crate::flow_row::{flag_names, tuple};
use crate::node::Node;
use crate::watch::Seen;

/// Routes that are told one by one.
const ROUTES: usize = 8;

/// What numbers are called.
pub(super) struct Names {
    peers: BTreeMap<PeerId, String>,
    policy: Arc<Policy>,
}

impl Names {
    pub(super) fn of(node: &Node) -> Self {
        Self { peers: peer_names(node), policy: node.policy.load_full() }
    }

    /// Learns them anew if the policy is another one by now.
    pub(super) fn follow(&mut self, node: &Node) {
        if node.policy.load().generation != self.policy.generation {
            *self = Self::of(node);
        }
    }

    pub(super) fn peer(&self, id: PeerId) -> &str {
        self.peers.get(&id).map_or("a peer that is gone", String::as_str)
    }

    pub(super) fn vnet(&self, id: VnetId) -> &str {
        self.policy.vnet(id).map_or("a vnet that is gone", |vnet| &vnet.name)
    }

    /// The steps of a packet, and what its sender is told.
    pub(super) fn steps(&self, noted: &[Noted]) -> (Vec<Step>, Option<String>) {
        let answer = noted.iter().find_map(|step| match step {
            Noted::Told(told) => Some(told_in_words(*told)),
            _ => None,
        });
        (noted.iter().filter_map(|step| self.step(step)).collect(), answer)
    }

    /// A packet that was watched.
    pub(super) fn trace(&self, node: &Node, seen: &Seen) -> PacketTrace {
        let (mut steps, answer) = self.steps(&seen.steps);
        let to_host = seen.translated.filter(|_| seen.from == flow::Side::Overlay && seen.onward.is_none());
        steps.extend(to_host.map(|translated| neighbour(node, translated.destination).0));
        PacketTrace {
            at_us: node.clock.unix_us(seen.at),
            worker: seen.worker as u32,
            from: side(seen.from),
            length: seen.length as u32,
            tuple: seen.tuple.as_ref().map(tuple),
            translated: seen.translated.as_ref().map(tuple),
            steps,
            verdict: seen.verdict.name().to_owned(),
            reason: seen.verdict.reason().map(|reason| reason.name().to_owned()),
            answer,
        }
    }

    fn step(&self, noted: &Noted) -> Option<Step> {
        let (stage, passed, detail) = match noted {
            Noted::Parsed(packet) => ("parse", true, packet_in_words(packet)),
            Noted::Flow(flow) => self.flow(*flow),
            Noted::Vnet { destination, vnet: Some(vnet) } => {
                ("vnet", true, format!("{destination} is of vnet {}", self.vnet(*vnet)))
            }
            Noted::Vnet { destination, vnet: None } => (
                "vnet",
                false,
                format!("{destination} is of no vnet: no outside NAT, cidr or route contains it"),
            ),
            Noted::Source { source, peer, feasible } => {
                let peer = self.peer(*peer);
                let detail = match feasible {
                    true => format!("{source} may be behind {peer}"),
                    false => format!("{source} is not behind {peer}: its longest route leads elsewhere"),
                };
                ("source", *feasible, detail)
            }
            Noted::Own(address) => ("own_address", true, format!("{address} is this node itself")),
            Noted::Transit { destination, relayed } => {
                let detail = match relayed {
                    true => format!("{destination} is behind another peer, and the vnet relays"),
                    false => format!("{destination} is behind another peer, and the vnet does not relay"),
                };
                ("relay", *relayed, detail)
            }
            Noted::Nat(nat) => nat_in_words(nat),
            Noted::Acl { tuple, line: Some((line, action)) } => {
                let passed = *action == gridway_config::AclAction::Allow;
                ("acl", passed, format!("line {line} says {} of {}", action.as_str(), arrow(tuple)))
            }
            Noted::Acl { tuple, line: None } => ("acl", false, format!("no line matches {}", arrow(tuple))),
            Noted::Route(route) => self.route(route),
            Noted::TooBig { length, mtu, fragmented } => {
                let what = if *fragmented { "it is fragmented" } else { "it must not be fragmented" };
                ("size", *fragmented, format!("{length} bytes do not fit {mtu}: {what}"))
            }
            Noted::Fragment { follows } => {
                let detail = match follows {
                    true => "a later fragment: it follows the first",
                    false => "a later fragment whose first has not passed",
                };
                ("fragment", *follows, detail.to_owned())
            }
            Noted::Told(_) => return None,
        };
        Some(Step { stage: stage.to_owned(), passed, detail })
    }

    fn flow(&self, flow: FlowStep) -> (&'static str, bool, String) {
        let detail = match flow {
            FlowStep::Known { peer } => format!("of a flow that was allowed, with {}", self.peer(peer)),
            FlowStep::JudgedAgain => {
                "of a flow that is judged again: routes, tunnels or the policy have changed".to_owned()
            }
            FlowStep::BegunAnew => "its translation is another one today: the flow begins anew".to_owned(),
            FlowStep::Unknown => "of no flow yet".to_owned(),
            FlowStep::Made => "a flow is made".to_owned(),
        };
        ("flow", true, detail)
    }

    fn route(&self, step: &RouteStep) -> (&'static str, bool, String) {
        let RouteStep { destination, routes, choice } = step;
        let mut shown: Vec<String> = routes
            .iter()
            .take(ROUTES)
            .map(|(prefix, route, available)| {
                let state = if *available { "" } else { ", down" };
                format!("{prefix} via {} metric {}{state}", self.peer(route.peer), route.metric)
            })
            .collect();
        if routes.len() > ROUTES {
            shown.push(format!("{} more", routes.len() - ROUTES));
        }
        let shown = shown.join("; ");
        match choice {
            Choice::Peer(peer) => {
                ("route", true, format!("{destination} to {} (of {shown})", self.peer(*peer)))
            }
            Choice::AllDown => ("route", false, format!("no route to {destination} is available: {shown}")),
            Choice::NoRoute => ("route", false, format!("no route contains {destination}")),
        }
    }
}

pub(super) fn side(side: flow::Side) -> Side {
    match side {
        flow::Side::Local => Side::Local,
        flow::Side::Overlay => Side::Overlay,
    }
}

fn arrow(tuple: &FiveTuple) -> String {
    let protocol = match tuple.protocol.0 {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        number => format!("protocol {number}"),
    };
    let ends = (tuple.source, tuple.destination);
    match (tuple.protocol.is_icmp(), tuple.source_port, tuple.destination_port) {
        (true, ..) | (_, 0, 0) => format!("{protocol} {} > {}", ends.0, ends.1),
        (false, from, to) => format!(
            "{protocol} {} > {}",
            std::net::SocketAddr::new(ends.0, from),
            std::net::SocketAddr::new(ends.1, to)
        ),
    }
}

fn packet_in_words(packet: &Packet) -> String {
    let kind = match packet.transport {
        Transport::Tcp { flags } => format!(" [{}]", flag_names(flags)),
        Transport::IcmpQuery => " (query)".to_owned(),
        Transport::IcmpReply => " (reply)".to_owned(),
        Transport::IcmpError { .. } => " (error)".to_owned(),
        _ => String::new(),
    };
    let fragment = match packet.fragment {
        Fragment::None => "",
        Fragment::First => ", first fragment",
        Fragment::Later => ", later fragment",
    };
    let hops = if packet.tuple.source.is_ipv4() { "TTL" } else { "hop limit" };
    format!("{}{kind}, {} bytes, {hops} {}{fragment}", arrow(&packet.tuple), packet.total_len, packet.ttl)
}

fn nat_in_words(nat: &NatStep) -> (&'static str, bool, String) {
    let NatStep { inside, from, to, mapping, rule } = nat;
    let stage = if *inside { "inside_nat" } else { "outside_nat" };
    let by = rule.map(|(local, remote)| format!("by local {local} = virtual {remote}"));
    let detail = match (to, &by, mapping) {
        (Some(to), Some(by), Some((theirs, ours))) => {
            let pair =
                format!("{} = {}", socket(ours.address, ours.port), socket(theirs.address, theirs.port));
            format!("{from} becomes {to}, mapping {pair}, {by}")
        }
        (Some(to), Some(by), None) => format!("{from} becomes {to} {by}"),
        (Some(to), None, _) if to == from => format!("{from} stays as it is"),
        (Some(to), None, _) => format!("{from} becomes {to}"),
        (None, Some(by), _) => format!("{from} has no port mapping, or none is free, {by}"),
        (None, None, _) => format!("no rule is about {from}"),
    };
    (stage, to.is_some(), detail)
}

fn socket(address: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn told_in_words(told: Told) -> String {
    match told {
        Told::Reset => "TCP reset".to_owned(),
        Told::Suppressed => "nothing: too many were told something lately".to_owned(),
        Told::Error(error) => match error {
            IcmpError::TimeExceeded => "ICMP time exceeded".to_owned(),
            IcmpError::NetUnreachable => "ICMP net unreachable".to_owned(),
            IcmpError::HostUnreachable => "ICMP host unreachable".to_owned(),
            IcmpError::NetUnknown => "ICMP net unknown".to_owned(),
            IcmpError::HostUnknown => "ICMP host unknown".to_owned(),
            IcmpError::AdminProhibited => "ICMP administratively prohibited".to_owned(),
            IcmpError::PortUnreachable => "ICMP port unreachable".to_owned(),
            IcmpError::FragmentationNeeded { mtu } => format!("ICMP fragmentation needed, MTU {mtu}"),
        },
    }
}

/// Where on the data link a packet for `host` would go, and why it would not.
pub(super) fn neighbour(node: &Node, host: IpAddr) -> (Step, Option<DropReason>) {
    let (detail, refused) = match node.next_hops.load().resolve(host) {
        NextHop::Mac(mac) => (format!("{host} is at {mac}"), None),
        NextHop::Unresolved(neighbour) => {
            (format!("{neighbour} has to be resolved first (ARP or neighbour discovery)"), None)
        }
        NextHop::Own => (
            format!("{host} is this node's own: echo is answered, nothing else"),
            Some(DropReason::ToOwnAddress),
        ),
        NextHop::NoRoute => (
            format!("no route of the kernel leads to {host} through the data NIC"),
            Some(DropReason::NoLocalRoute),
        ),
    };
    (Step { stage: "neighbour".to_owned(), passed: refused.is_none(), detail }, refused)
}
