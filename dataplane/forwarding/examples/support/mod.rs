//! A node without a NIC or a tunnel, for the examples that measure.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use gridway_config::Config;
use gridway_forwarding::flow::FlowTable;
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{Forwarder, PeerId, Peers, Registry, Shared};
use gridway_wire::generate::{Content, PacketSpec};

const NODE: &str = r#"
[node]
name = "gw-a"
domain = "lab.example"
role = "gateway"
[identity]
ca = "ca.crt"
certificate = "node.crt"
private_key = "node.key"
[data]
interface = "data0"
[management]
interface = "wan0"
[tunnel]
listen = "192.0.2.1:8443"
[[peer]]
name = "gw-b"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
  [[vnet.inside_nat]]
  local = "10.1.0.0/24"
  virtual = "10.200.1.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.2.0/24"
  local = "172.16.2.0/24"
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-b"
  [[vnet.acl]]
  line = 1000000
  action = "allow"
"#;

/// Length of the packets, in bytes.
pub(crate) const LENGTH: usize = 64;
/// The only peer.
pub(crate) const PEER: PeerId = PeerId(0);

/// NAT on both sides, one route, one rule that allows everything.
pub(crate) fn config() -> Config {
    Config::parse(NODE, Path::new("node.toml")).expect("the text above is valid")
}

/// Room for `flows` flows.
pub(crate) fn table(flows: usize) -> Arc<FlowTable> {
    Arc::new(FlowTable::new(flows, [1, 2]))
}

/// A forwarder with these flows; its peer is up.
pub(crate) fn forwarder_with(config: Config, flows: Arc<FlowTable>) -> Forwarder {
    let mut registry = Registry::default();
    assert_eq!(registry.peer("gw-b"), Ok(PEER));
    let policy = Policy::compile(&Arc::new(config), &mut registry, None).expect("a few names");
    let peers = Arc::new(Peers::default());
    peers.set_up(PEER, true);
    let fragments = Arc::new(Fragments::new(1));
    let shared = Shared { flows, fragments, peers, monitors: Arc::default(), pings: Arc::default() };
    Forwarder::new(Arc::new(policy), Arc::default(), shared, Arc::default(), 1500, [0; 32])
}

/// A UDP packet.
pub(crate) fn packet(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> [u8; LENGTH] {
    let spec = PacketSpec {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        ttl: 64,
        class: 0,
        extras: 0,
        content: Content::Udp { ports, checksum: true },
        payload: vec![0x5a; LENGTH - 28],
    };
    spec.to_bytes().try_into().expect("IPv4 and UDP headers are 28 bytes")
}

/// The n-th flow: its packet from the local host, and the answer from the overlay.
pub(crate) fn packets(n: usize) -> ([u8; LENGTH], [u8; LENGTH]) {
    let host = (n % 250) as u8 + 1;
    let (port, peer) = ((n / 250 % 60_000) as u16, (n / 250 / 60_000) as u8 + 1);
    (
        packet([10, 1, 0, host], [172, 16, 2, peer], (port, 53)),
        packet([10, 200, 2, peer], [10, 200, 1, host], (53, port)),
    )
}
