//! A node's Layer 3 without a NIC or a tunnel, and packets for it:
//!
//! ```text
//!   10.1.0.0/24  [ gw-a ]  10.200.1.0/24 === 10.200.2.0/24  [ gw-b ]  10.2.0.0/24
//!     sees the far hosts as 172.16.2.0/24      sees the far hosts as 172.16.1.0/24
//! ```

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gridway_config::Config;
use gridway_forwarding::flow::{FlowTable, FlowView};
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::monitor::Monitors;
use gridway_forwarding::next_hop::{NextHops, Via};
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{
    Counters, DropReason, Forwarder, Inbound, Outbound, PeerId, Peers, Registry, Shared, Target, VnetId,
};
use gridway_wire::generate::{Content, PacketSpec, judge};
use gridway_wire::packet::{Packet, parse};
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// MTU of the data NICs.
pub(crate) const DATA_MTU: u16 = 1500;
/// Addresses of the data NIC.
pub(crate) const DATA_ADDRESS: &str = "10.1.0.1";
pub(crate) const DATA_ADDRESS_V6: &str = "fd00:1::1";

/// A host of A as the data link, the vnet and B's data link know it.
pub(crate) const HOST_A: [&str; 3] = ["10.1.0.2", "10.200.1.2", "172.16.1.2"];
/// A host of B as its data link, the vnet and A's data link know it.
pub(crate) const HOST_B: [&str; 3] = ["10.2.0.7", "10.200.2.7", "172.16.2.7"];

/// An access rule for the vnet above it: everything may pass.
pub(crate) const ALLOW_ALL: &str = "
  [[vnet.acl]]
  line = 10
  action = \"allow\"
";

/// Vnet `corp` on A, without access rules.
pub(crate) const CORP_A: &str = r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "10.200.1.254"
  [[vnet.inside_nat]]
  local = "10.1.0.0/24"
  virtual = "10.200.1.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.2.0/24"
  local = "172.16.2.0/24"
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-b"
  metric = 10
"#;

/// Vnet `corp` on B, without access rules.
pub(crate) const CORP_B: &str = r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "10.200.2.254"
  [[vnet.inside_nat]]
  local = "10.2.0.0/24"
  virtual = "10.200.2.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.1.0/24"
  local = "172.16.1.0/24"
  [[vnet.route]]
  to = "10.200.1.0/24"
  via = "gw-a"
"#;

/// Vnet `plain`: no NAT, both families, B's networks behind `gw-b`.
pub(crate) const PLAIN_A: &str = r#"
[[vnet]]
name = "plain"
cidr = ["10.0.0.0/14", "fd00::/28"]
nat = false
  [[vnet.route]]
  to = "10.2.0.0/24"
  via = "gw-b"
  [[vnet.route]]
  to = "fd00:2::/64"
  via = "gw-b"
"#;

/// [`CORP_A`], on a node that relays.
pub(crate) fn corp_of_relay() -> String {
    CORP_A.replace("address =", "relay = true\naddress =")
}

/// A configuration with four peers and the tables in `rest`.
pub(crate) fn config(rest: &str) -> Config {
    let peers = ["gw-a", "gw-b", "gw-c", "gw-d"].map(|name| format!("[[peer]]\nname = \"{name}\"\n"));
    let text = format!(
        "[node]\nname = \"gw-under-test\"\ndomain = \"lab.example\"\nrole = \"gateway\"\n\
         [identity]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nprivate_key = \"node.key\"\n\
         [data]\ninterface = \"data0\"\n[management]\ninterface = \"wan0\"\n\
         [tunnel]\nlisten = \"192.0.2.1:8443\"\n{}{rest}",
        peers.concat()
    );
    Config::parse(&text, Path::new("node.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// One node.
pub(crate) struct Node {
    registry: Registry,
    pub(crate) policy: Arc<Policy>,
    pub(crate) flows: Arc<FlowTable>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) fragments: Arc<Fragments>,
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) forwarder: Forwarder,
    pub(crate) now: Nanos,
}

impl Node {
    /// A node with the vnets in `rest`; all peers are up.
    pub(crate) fn new(rest: &str) -> Self {
        Self::with_flows(rest, 65_536)
    }

    /// As [`Self::new`], with room for `limit` flows.
    pub(crate) fn with_flows(rest: &str, limit: usize) -> Self {
        let mut registry = Registry::default();
        let peers = Arc::new(Peers::default());
        for peer in ["gw-a", "gw-b", "gw-c", "gw-d"] {
            peers.set_up(registry.peer(peer).expect("four names"), true);
        }
        let now = Nanos(1_000_000_000);
        let policy = Policy::compile(&Arc::new(config(rest)), &mut registry, None).expect("a few names");
        let policy = Arc::new(policy);
        let (fragments, monitors) = (Arc::new(Fragments::new(64)), Arc::<Monitors>::default());
        monitors.configure(&policy, &peers, &mut StdRng::seed_from_u64(9), now);
        let flows = Arc::new(FlowTable::new(limit, [17, 4]));
        let counters = Arc::new(Counters::default());
        let shared = Shared {
            flows: flows.clone(),
            fragments: fragments.clone(),
            peers: peers.clone(),
            monitors: monitors.clone(),
            pings: Arc::default(),
        };
        let hops = Arc::new(data_link());
        let forwarder = Forwarder::new(policy.clone(), hops, shared, counters, DATA_MTU, [5; 32]);
        Self { registry, policy, flows, peers, fragments, monitors, forwarder, now }
    }

    /// A new configuration, as a worker meets it at the start of its next burst.
    pub(crate) fn reload(&mut self, rest: &str) {
        let policy = Policy::compile(&Arc::new(config(rest)), &mut self.registry, Some(&self.policy));
        self.policy = Arc::new(policy.expect("a few names"));
        let random = &mut StdRng::seed_from_u64(10);
        self.monitors.configure(&self.policy, &self.peers, random, self.now);
        self.peers.start_epoch();
        self.forwarder.begin_turn(|| &self.policy);
    }

    /// A peer comes up or goes down.
    pub(crate) fn set_up(&mut self, peer: &str, up: bool) {
        let peer = self.peer(peer);
        self.peers.set_up(peer, up);
        self.forwarder.begin_turn(|| &self.policy);
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn peer(&mut self, name: &str) -> PeerId {
        self.registry.peer(name).expect("a few names")
    }

    pub(crate) fn vnet(&self, name: &str) -> VnetId {
        self.policy.vnet_named(name).expect("the vnet is configured").id
    }

    pub(crate) fn outbound(&mut self, bytes: &mut [u8]) -> Outbound {
        self.forwarder.outbound(bytes, self.now)
    }

    /// A packet from `peer` in vnet `corp`.
    pub(crate) fn inbound(&mut self, peer: &str, bytes: &mut [u8]) -> Inbound {
        self.inbound_in(peer, "corp", bytes)
    }

    pub(crate) fn inbound_in(&mut self, peer: &str, vnet: &str, bytes: &mut [u8]) -> Inbound {
        let (peer, vnet) = (self.peer(peer), self.vnet(vnet));
        self.forwarder.inbound(peer, vnet, bytes, self.now)
    }

    /// Sends a local packet that must pass; gives the peer it went to and the packet as it left.
    pub(crate) fn send(&mut self, spec: &PacketSpec) -> (PeerId, Vec<u8>) {
        let mut bytes = spec.to_bytes();
        match self.outbound(&mut bytes) {
            Outbound::Tunnel { to, len } => {
                bytes.truncate(len);
                (to.peer, bytes)
            }
            other => panic!("{other:?} for {spec:?}"),
        }
    }

    /// Receives an overlay packet that must pass; gives the packet as the local host sees it.
    pub(crate) fn receive(&mut self, peer: &str, spec: &PacketSpec) -> Vec<u8> {
        let mut bytes = spec.to_bytes();
        match self.inbound(peer, &mut bytes) {
            Inbound::Deliver { len, .. } => {
                bytes.truncate(len);
                bytes
            }
            other => panic!("{other:?} for {spec:?}"),
        }
    }

    /// Receives an overlay packet that must go on to a peer; gives the peer.
    pub(crate) fn pass_on(&mut self, peer: &str, spec: &PacketSpec) -> PeerId {
        match self.inbound(peer, &mut spec.to_bytes()) {
            Inbound::Relay { to, .. } => to.peer,
            other => panic!("{other:?} for {spec:?}"),
        }
    }

    /// Why a local packet is dropped.
    pub(crate) fn refusal(&mut self, spec: &PacketSpec) -> Option<DropReason> {
        match self.outbound(&mut spec.to_bytes()) {
            Outbound::Drop(reason) => Some(reason),
            _ => None,
        }
    }

    /// Why an overlay packet is dropped.
    pub(crate) fn inbound_refusal(&mut self, peer: &str, spec: &PacketSpec) -> Option<DropReason> {
        match self.inbound(peer, &mut spec.to_bytes()) {
            Inbound::Drop(reason) => Some(reason),
            _ => None,
        }
    }

    /// What the forwarder has to send besides the packets it was given.
    pub(crate) fn emitted(&mut self) -> Vec<(Target, Vec<u8>)> {
        let emissions = &mut self.forwarder.emissions;
        std::iter::from_fn(|| emissions.pop().map(|emission| (emission.to, emission.bytes))).collect()
    }

    pub(crate) fn flows_created(&self) -> u64 {
        self.forwarder.counters().flows_created.get()
    }

    /// The only flow in the table.
    pub(crate) fn only_flow(&self) -> FlowView {
        let mut found = Vec::new();
        self.flows.for_each(|_, flow| {
            found.push(*flow);
            true
        });
        assert_eq!(found.len(), 1, "{found:?}");
        found[0]
    }
}

/// The data link of the node under test.
pub(crate) fn data_link() -> NextHops {
    let on_link = |prefix: &str| (prefix.parse().expect("a prefix"), 0, Via::OnLink);
    NextHops::new(
        [on_link("10.1.0.0/24"), on_link("fd00:1::/64")],
        [],
        vec![address(DATA_ADDRESS), address(DATA_ADDRESS_V6)],
    )
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A packet with this content, TTL 64.
pub(crate) fn packet(source: &str, destination: &str, content: Content) -> PacketSpec {
    PacketSpec {
        source: address(source),
        destination: address(destination),
        ttl: 64,
        class: 0,
        extras: 0,
        content,
        payload: b"the quick brown fox".to_vec(),
    }
}

pub(crate) fn udp(source: &str, destination: &str) -> PacketSpec {
    packet(source, destination, Content::Udp { ports: (40_000, 53), checksum: true })
}

pub(crate) fn tcp(source: &str, destination: &str, flags: TcpFlags) -> PacketSpec {
    packet(source, destination, Content::Tcp { ports: (40_000, 443), flags: flags.0, option_words: 0 })
}

pub(crate) fn echo(source: &str, destination: &str, reply: bool) -> PacketSpec {
    packet(source, destination, Content::Echo { identifier: 0x1234, sequence: 7, reply })
}

/// The packet that answers `spec`: addresses and ports exchanged, an echo request becomes a reply.
pub(crate) fn answer(spec: &PacketSpec) -> PacketSpec {
    let mut answer = PacketSpec { source: spec.destination, destination: spec.source, ..spec.clone() };
    match &mut answer.content {
        Content::Tcp { ports, .. } | Content::Udp { ports, .. } => *ports = (ports.1, ports.0),
        Content::Echo { reply, .. } => *reply = true,
        Content::Error { .. } | Content::Other(_) => {}
    }
    answer
}

/// Reads a packet that came out of the forwarder; every checksum must be right.
pub(crate) fn judged(bytes: &[u8]) -> Packet {
    judge(bytes).unwrap_or_else(|fault| panic!("{fault}: {bytes:02x?}"));
    parse(bytes).unwrap_or_else(|malformed| panic!("{malformed}: {bytes:02x?}"))
}

/// Asserts the addresses of a packet.
pub(crate) fn assert_addresses(packet: &Packet, source: &str, destination: &str) {
    assert_eq!((packet.tuple.source, packet.tuple.destination), (address(source), address(destination)));
}
