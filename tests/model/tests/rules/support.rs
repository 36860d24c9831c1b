//! A node between local hosts and two peers, with one vnet in most tests:
//!
//! ```text
//!  10.1.0.0/28, fd01::/64            10.200.1.0/28, fd00:200:0:2::/64  behind gw-b, local 172.16.1.0/28
//!       [ node, data 10.1.0.1 ] ===  10.200.2.0/28                     behind gw-c, local 172.16.2.0/28
//!  in the vnet 10.200.0.0/28, fd00:200:0:1::/64
//! ```

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use gridway_config::Config;
use gridway_model::packet::build::{Segment, tcp};
use gridway_model::{Emitted, Fate, Model, ModelChooses, Observed, Packet, Step, To};

/// `[[vnet]]` with its addresses; options may follow.
pub(crate) const VNET: &str = "
[[vnet]]
name = \"one\"
cidr = [\"10.200.0.0/22\", \"fd00:200::/48\"]
address = [\"10.200.0.14\", \"fd00:200:0:1::fe\"]
";
/// Inside NAT.
pub(crate) const INSIDE: &str = "
[[vnet.inside_nat]]
local = \"10.1.0.0/28\"
virtual = \"10.200.0.0/28\"
[[vnet.inside_nat]]
local = \"fd01::/64\"
virtual = \"fd00:200:0:1::/64\"
";
/// Outside NAT 1:1.
pub(crate) const NETMAP: &str = "
[[vnet.outside_nat]]
virtual = \"10.200.1.0/28\"
local = \"172.16.1.0/28\"
[[vnet.outside_nat]]
virtual = \"10.200.2.0/28\"
local = \"172.16.2.0/28\"
[[vnet.outside_nat]]
virtual = \"fd00:200:0:2::/64\"
local = \"fd02:0:0:2::/64\"
";
/// Outside NAT of all remote hosts to one address.
pub(crate) const POOL_OF_ONE: &str = "
[[vnet.outside_nat]]
virtual = \"10.200.0.0/22\"
local = \"172.16.1.8/32\"
";
/// Routes.
pub(crate) const ROUTES: &str = "
[[vnet.route]]
to = \"10.200.1.0/28\"
via = \"gw-b\"
[[vnet.route]]
to = \"10.200.2.0/28\"
via = \"gw-c\"
[[vnet.route]]
to = \"fd00:200:0:2::/64\"
via = \"gw-b\"
";
/// Everything may pass.
pub(crate) const ALLOW: &str = "
[[vnet.acl]]
line = 1000
action = \"allow\"
";

/// The usual node: 1:1 NAT, everything may pass.
pub(crate) fn usual() -> String {
    [VNET, INSIDE, NETMAP, ROUTES, ALLOW].concat()
}

/// The usual node with a pool of one address.
pub(crate) fn pooled() -> String {
    [VNET, INSIDE, POOL_OF_ONE, ROUTES, ALLOW].concat()
}

pub(crate) fn config(rest: &str) -> Config {
    let text = format!(
        "[node]\nname = \"gw-a\"\ndomain = \"lab.example\"\nrole = \"gateway\"\n\
         [identity]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nprivate_key = \"node.key\"\n\
         [data]\ninterface = \"data0\"\n[management]\ninterface = \"wan0\"\n\
         [tunnel]\nlisten = \"192.0.2.1:8443\"\n\
         [[peer]]\nname = \"gw-b\"\n[[peer]]\nname = \"gw-c\"\n[[peer]]\nname = \"gw-d\"\n{rest}"
    );
    Config::parse(&text, Path::new("node.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// A model with all peers up, which makes its own choices.
pub(crate) struct Node(pub(crate) Model);

impl Node {
    pub(crate) fn new(rest: &str) -> Self {
        let mut model = Model::new(&config(rest), vec![ip("10.1.0.1"), ip("fd01::1")], 1500);
        for peer in ["gw-b", "gw-c", "gw-d"] {
            model.set_peer(peer, true, 1500);
        }
        Self(model)
    }

    pub(crate) fn reload(&mut self, rest: &str) {
        self.0.set_config(&config(rest));
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> Vec<&'static str> {
        self.0.advance(Duration::from_secs(seconds))
    }

    /// A packet from a local host.
    pub(crate) fn out(&mut self, packet: &Packet) -> Step {
        checked(
            self.0
                .outbound(&packet.to_bytes(), &mut ModelChooses)
                .expect("the model's own choices are legal"),
        )
    }

    /// A packet from `peer` in vnet `one`.
    pub(crate) fn from(&mut self, peer: &str, packet: &Packet) -> Step {
        checked(
            self.0
                .inbound(peer, "one", &packet.to_bytes(), &mut ModelChooses)
                .expect("the model's own choices are legal"),
        )
    }

    /// As [`Self::from`] `gw-b`, with the forwarder's choice of a mapping.
    pub(crate) fn mapped(
        &mut self,
        packet: &Packet,
        choice: (&str, u16),
    ) -> Result<Step, gridway_model::IllegalChoice> {
        let mut oracle = Observed { source: Some((ip(choice.0), choice.1)), peer: None };
        self.0.inbound("gw-b", "one", &packet.to_bytes(), &mut oracle)
    }

    /// A packet that must go to a peer: the peer and the packet.
    pub(crate) fn tunnelled(&mut self, packet: &Packet) -> (String, Packet) {
        match self.out(packet).fate {
            Fate::Tunnelled { peer, bytes, .. } => (peer, read(&bytes)),
            other => panic!("{other:?} for {packet:?}"),
        }
    }

    /// A packet from `peer` that must reach a local host.
    pub(crate) fn delivered(&mut self, peer: &str, packet: &Packet) -> Packet {
        match self.from(peer, packet).fate {
            Fate::Delivered { bytes, .. } => read(&bytes),
            other => panic!("{other:?} for {packet:?}"),
        }
    }

    pub(crate) fn refusal(&mut self, packet: &Packet) -> Option<&'static str> {
        self.out(packet).reason()
    }

    pub(crate) fn refusal_of(&mut self, peer: &str, packet: &Packet) -> Option<&'static str> {
        self.from(peer, packet).reason()
    }
}

/// etherparse finds every checksum right.
fn checked(step: Step) -> Step {
    let emitted = step.emitted.iter().map(|emitted| emitted.bytes.as_slice());
    for bytes in step.bytes().into_iter().chain(emitted) {
        check(bytes);
    }
    step
}

pub(crate) fn check(bytes: &[u8]) {
    let sliced = SlicedPacket::from_ip(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
    let fault = match (&sliced.net, &sliced.transport) {
        (Some(NetSlice::Ipv4(ip)), transport) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum(), "{bytes:02x?}");
            let (source, destination) = (header.source, header.destination);
            match transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    Some(tcp.checksum()) != tcp.calc_checksum_ipv4(source, destination).ok()
                }
                Some(TransportSlice::Udp(udp)) => {
                    let right = udp.to_header().calc_checksum_ipv4_raw(source, destination, udp.payload());
                    udp.checksum() != 0 && Some(udp.checksum()) != right.ok()
                }
                Some(TransportSlice::Icmpv4(icmp)) => {
                    icmp.checksum() != icmp.icmp_type().calc_checksum(icmp.payload())
                }
                _ => false,
            }
        }
        (Some(NetSlice::Ipv6(ip)), transport) => {
            let (source, destination) = (ip.header().source(), ip.header().destination());
            match transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    Some(tcp.checksum()) != tcp.calc_checksum_ipv6(source, destination).ok()
                }
                Some(TransportSlice::Udp(udp)) => {
                    let right = udp.to_header().calc_checksum_ipv6_raw(source, destination, udp.payload());
                    Some(udp.checksum()) != right.ok()
                }
                Some(TransportSlice::Icmpv6(icmp)) => !icmp.is_checksum_valid(source, destination),
                _ => false,
            }
        }
        _ => true,
    };
    assert!(!fault, "a checksum is wrong: {bytes:02x?}");
}

pub(crate) fn read(bytes: &[u8]) -> Packet {
    Packet::read(bytes).expect("what comes out can be read")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn udp(source: &str, destination: &str, ports: (u16, u16)) -> Packet {
    gridway_model::packet::build::udp(ip(source), ip(destination), ports, b"hi")
}

pub(crate) fn segment(source: &str, destination: &str, ports: (u16, u16), flags: u8) -> Packet {
    let segment = Segment { flags, sequence: 1000, acknowledgement: 2000, ..Segment::default() };
    tcp(ip(source), ip(destination), ports, &segment, &[])
}

pub(crate) fn ping(source: &str, destination: &str, identifier: u16) -> Packet {
    gridway_model::packet::build::echo(ip(source), ip(destination), identifier, false, b"hello")
}

pub(crate) fn pong(source: &str, destination: &str, identifier: u16) -> Packet {
    gridway_model::packet::build::echo(ip(source), ip(destination), identifier, true, b"hello")
}

/// An ICMP error of this kind about `about`.
pub(crate) fn error(source: &str, about: &Packet, kind: (u8, u8)) -> Packet {
    gridway_model::packet::build::icmp(ip(source), about.source, kind, [0; 4], &about.to_bytes())
}

pub(crate) fn with_ttl(packet: &Packet, ttl: u8) -> Packet {
    Packet { ttl, ..packet.clone() }
}

/// Source, destination and ports as one text.
pub(crate) fn ends(packet: &Packet) -> String {
    let tuple = packet.tuple();
    format!("{} {} > {} {}", tuple.source, tuple.source_port, tuple.destination, tuple.destination_port)
}

/// The only packet that went out besides.
pub(crate) fn only(emitted: &[Emitted]) -> (To, Packet) {
    assert_eq!(emitted.len(), 1, "{emitted:?}");
    (emitted[0].to.clone(), read(&emitted[0].bytes))
}

pub(crate) fn to_peer(peer: &str) -> To {
    To::Peer { peer: peer.to_owned(), vnet: "one".to_owned() }
}
