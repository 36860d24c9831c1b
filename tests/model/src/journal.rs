//! From generated events to inputs: what depends on earlier output is filled in here, so that the same
//! inputs can be given to the model and to the real forwarder.

use std::net::IpAddr;
use std::time::Duration;

use gridway_config::Config;
use ipnet::IpNet;

use crate::generate::{Event, Order, Piece, Scenario};
use crate::packet::build::{Segment, echo, icmp, tcp, udp};
use crate::packet::{ACK, Carries, Packet, SYN};
use crate::step::{Fate, Step, Whence};

/// Something that happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// A packet from a local host.
    Outbound(Vec<u8>),
    /// A packet from a peer.
    Inbound {
        /// Name of the peer.
        peer: String,
        /// Name of the vnet.
        vnet: String,
        /// IP bytes.
        bytes: Vec<u8>,
    },
    /// Time passes.
    Advance(Duration),
    /// A tunnel comes up or goes down.
    Peer {
        /// Name of the peer.
        name: String,
        /// It is up.
        up: bool,
        /// Its data MTU, from its hello.
        mtu: u16,
    },
    /// A route's monitor changes its mind.
    Monitor {
        /// Name of the vnet.
        vnet: String,
        /// Prefix of the route.
        to: IpNet,
        /// Peer of the route.
        via: String,
        /// It passes.
        passing: bool,
    },
    /// A new configuration.
    Config(Box<Config>),
}

/// A packet that came out, and where an answer to it would come in.
#[derive(Clone, Debug)]
struct Seen {
    whence: Whence,
    packet: Packet,
}

/// What came out so far, and fragments that are still to be sent.
#[derive(Clone, Debug)]
pub struct Journal {
    scenario: Scenario,
    config: Config,
    seen: Vec<Seen>,
    pieces: Vec<(Whence, Packet)>,
}

/// Bytes in a fragment of an error: the first has the ports of the quoted packet.
const ERROR_PIECE: usize = 96;
/// Answers are for one of that many packets that came out last.
const REMEMBERED: usize = 32;

impl Journal {
    /// A journal of a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self { scenario: scenario.clone(), config: scenario.config(0), seen: Vec::new(), pieces: Vec::new() }
    }

    /// The inputs that an event stands for; none where it refers to output that there is not.
    pub fn resolve(&mut self, event: &Event) -> Vec<Input> {
        match event {
            Event::Fresh(plan) => {
                let (whence, packet) = plan.packet(&self.config);
                vec![input(&whence, &packet)]
            }
            Event::Reply { of, flags, data, ttl } => {
                let Some(seen) = self.seen(*of) else { return Vec::new() };
                let reply = reply(&seen.packet, *flags, *data, *ttl);
                reply.map(|reply| input(&seen.whence, &reply)).into_iter().collect()
            }
            Event::Error { of, from_host, kind, kept, split } => {
                let Some(Seen { whence, packet }) = self.seen(*of).cloned() else { return Vec::new() };
                match (error(&packet, *from_host, *kind, *kept), split) {
                    (None, _) => Vec::new(),
                    (Some(error), None) => vec![input(&whence, &error)],
                    (Some(error), Some((identification, order))) => {
                        self.send_split(&whence, error.split(*identification, ERROR_PIECE), order)
                    }
                }
            }
            Event::Split { plan, identification, size, order } => {
                let (whence, packet) = plan.packet(&self.config);
                self.send_split(&whence, packet.split(*identification, *size), order)
            }
            Event::Piece(Piece { which, keep }) => {
                let Some(place) = which.checked_rem(self.pieces.len()) else { return Vec::new() };
                let piece = self.pieces[place].clone();
                if !keep {
                    self.pieces.remove(place);
                }
                vec![input(&piece.0, &piece.1)]
            }
            Event::Wait(time) => vec![Input::Advance(*time)],
            Event::Peer { name, up, mtu } => {
                vec![Input::Peer { name: (*name).to_owned(), up: *up, mtu: *mtu }]
            }
            Event::Monitor { which, passing } => self.monitor(*which, *passing).into_iter().collect(),
            Event::Policy(which) => {
                self.config = self.scenario.config(*which);
                vec![Input::Config(Box::new(self.config.clone()))]
            }
        }
    }

    /// Some fragments now, the others when [`Event::Piece`] says so.
    fn send_split(&mut self, whence: &Whence, mut pieces: Vec<Packet>, order: &Order) -> Vec<Input> {
        order.shuffle(&mut pieces);
        let later = pieces.split_off(pieces.len().min(order.now));
        self.pieces.extend(later.into_iter().map(|piece| (whence.clone(), piece)));
        pieces.iter().map(|piece| input(whence, piece)).collect()
    }

    /// Remembers what came out, for later events to answer.
    pub fn record(&mut self, input: &Input, step: &Step) {
        let whence = match (&step.fate, input) {
            (Fate::Tunnelled { peer, vnet, .. } | Fate::Relayed { peer, vnet, .. }, _) => {
                Whence::Overlay { peer: peer.clone(), vnet: vnet.clone() }
            }
            (Fate::Delivered { .. }, _) => Whence::Local,
            _ => return,
        };
        if let Some(packet) = step.bytes().and_then(Packet::read) {
            self.seen.push(Seen { whence, packet });
        }
    }

    /// Counted from the last one that came out.
    fn seen(&self, of: usize) -> Option<&Seen> {
        let count = self.seen.len().min(REMEMBERED);
        self.seen.iter().rev().nth(of.checked_rem(count)?)
    }

    fn monitor(&self, which: usize, passing: bool) -> Option<Input> {
        let monitored: Vec<_> = self
            .config
            .vnets
            .iter()
            .flat_map(|vnet| vnet.routes.iter().map(move |route| (vnet, route)))
            .filter(|(_, route)| route.monitor.is_some())
            .collect();
        let (vnet, route) = monitored.get(which.checked_rem(monitored.len())?)?;
        let (vnet, via) = (vnet.name.as_str().to_owned(), route.via.as_str().to_owned());
        Some(Input::Monitor { vnet, to: route.to, via, passing })
    }
}

fn input(whence: &Whence, packet: &Packet) -> Input {
    let bytes = packet.to_bytes();
    match whence.clone() {
        Whence::Local => Input::Outbound(bytes),
        Whence::Overlay { peer, vnet } => Input::Inbound { peer, vnet, bytes },
    }
}

/// The answer to a packet. `flags` are those of a TCP answer; a SYN is answered by a SYN-ACK.
fn reply(packet: &Packet, flags: u8, data: usize, ttl: u8) -> Option<Packet> {
    let tuple = packet.tuple().reversed();
    let (source, destination) = (tuple.source, tuple.destination);
    let ports = (tuple.source_port, tuple.destination_port);
    let data = vec![0x5a; data];
    let reply = match packet.carries() {
        Carries::Tcp(_) => {
            let flags = if packet.begins_connection() { SYN | ACK | flags } else { flags };
            let options = if flags & SYN != 0 { vec![2, 4, 0x05, 0xb4] } else { Vec::new() };
            let segment = Segment { flags, sequence: 7, acknowledgement: 9, window: 1024, options };
            tcp(source, destination, ports, &segment, &data)
        }
        Carries::Udp => udp(source, destination, ports, &data),
        Carries::Query => echo(source, destination, ports.0, true, &data),
        Carries::Reply => echo(source, destination, ports.0, false, &data),
        Carries::Other => crate::packet::build::packet(source, destination, packet.protocol, data),
        Carries::IcmpError | Carries::IcmpOther | Carries::LaterFragment => return None,
    };
    Some(Packet { ttl, ..reply })
}

/// An ICMP error about a packet, from its destination or from a neighbour of that.
fn error(packet: &Packet, from_host: bool, kind: u8, kept: usize) -> Option<Packet> {
    if matches!(packet.carries(), Carries::IcmpError | Carries::IcmpOther | Carries::LaterFragment) {
        return None;
    }
    let neighbour = match packet.destination {
        IpAddr::V4(v4) => IpAddr::from((u32::from(v4) ^ 1).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) ^ 1).to_be_bytes()),
    };
    let source = if from_host { packet.destination } else { neighbour };
    let mut quote = packet.to_bytes();
    quote.truncate(packet.header_len() + 8 + kept);
    let (kind, word) = match (source.is_ipv4(), kind % 3) {
        (true, 0) => ((3, 3), [0; 4]),
        (true, 1) => ((11, 0), [0; 4]),
        (true, _) => ((3, 4), [0, 0, 0x05, 0x00]),
        (false, 0) => ((1, 4), [0; 4]),
        (false, 1) => ((3, 0), [0; 4]),
        (false, _) => ((2, 0), [0, 0, 0x05, 0x00]),
    };
    Some(icmp(source, packet.source, kind, word, &quote))
}
