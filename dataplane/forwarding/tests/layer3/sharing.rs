//! Remote hosts that share one local address:
//!
//! ```text
//!   10.1.0.0/24  [ gw-a ]  10.200.1.0/24 === 10.200.2.0/24  behind gw-b
//!     sees all far hosts as 172.16.2.1       10.200.3.0/24  behind gw-c
//! ```

use gridway_forwarding::flow::EndReason;
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

use crate::support::{ALLOW_ALL, HOST_A, Node, answer, judged, packet};

/// What stands for every remote host.
pub(crate) const SHARED: &str = "172.16.2.1";
/// Two remote hosts of one peer, and one of another.
pub(crate) const REMOTE: [&str; 3] = ["10.200.2.7", "10.200.2.8", "10.200.3.7"];

/// The vnet with this pool, without access rules.
pub(crate) fn pat(pool: &str) -> String {
    format!(
        r#"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
address = "10.200.1.254"
  [[vnet.inside_nat]]
  local = "10.1.0.0/24"
  virtual = "10.200.1.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.2.0/23"
  local = "{pool}"
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-b"
  [[vnet.route]]
  to = "10.200.3.0/24"
  via = "gw-c"
"#
    )
}

/// A node with one shared address.
pub(crate) fn node() -> Node {
    Node::new(&format!("{}{ALLOW_ALL}", pat("172.16.2.1/32")))
}

pub(crate) fn udp_from(source: &str, ports: (u16, u16)) -> PacketSpec {
    packet(source, HOST_A[1], Content::Udp { ports, checksum: true })
}

pub(crate) fn tcp_from(source: &str, ports: (u16, u16), flags: TcpFlags) -> PacketSpec {
    packet(source, HOST_A[1], Content::Tcp { ports, flags: flags.0, option_words: 0 })
}

pub(crate) fn echo_from(source: &str, identifier: u16) -> PacketSpec {
    packet(source, HOST_A[1], Content::Echo { identifier, sequence: 7, reply: false })
}

pub(crate) fn gre_from(source: &str) -> PacketSpec {
    packet(source, HOST_A[1], Content::Other(Protocol::GRE))
}

/// The peer that a remote host is behind.
pub(crate) fn peer_of(spec: &PacketSpec) -> &'static str {
    if spec.source.to_string().starts_with("10.200.3.") { "gw-c" } else { "gw-b" }
}

/// Receives a packet that must pass; gives its tuple as the local host sees it.
pub(crate) fn arrive(node: &mut Node, spec: &PacketSpec) -> FiveTuple {
    judged(&node.receive(peer_of(spec), spec)).tuple
}

/// A packet with this tuple and the content of `like`.
pub(crate) fn with_tuple(like: &PacketSpec, tuple: &FiveTuple) -> PacketSpec {
    let mut spec = PacketSpec { source: tuple.source, destination: tuple.destination, ..like.clone() };
    match &mut spec.content {
        Content::Tcp { ports, .. } | Content::Udp { ports, .. } => {
            *ports = (tuple.source_port, tuple.destination_port);
        }
        Content::Echo { identifier, .. } => *identifier = tuple.source_port,
        Content::Error { .. } | Content::Other(_) => {}
    }
    spec
}

/// What the local host answers to `spec`, which it sees with `tuple`.
pub(crate) fn local_answer(spec: &PacketSpec, tuple: &FiveTuple) -> PacketSpec {
    answer(&with_tuple(spec, tuple))
}

/// Ends all flows, as an operator may.
pub(crate) fn kill_all(node: &Node) -> usize {
    let mut ids = Vec::new();
    node.flows.for_each(|id, _| {
        ids.push(id);
        true
    });
    ids.iter().for_each(|id| node.flows.remove(*id, EndReason::Killed));
    ids.len()
}
