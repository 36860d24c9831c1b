//! Moves packets of flows that exist, to be measured from outside:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example fast_path
//! fast_path FLOWS PACKETS outbound|inbound
//! valgrind --tool=callgrind fast_path FLOWS PACKETS outbound|inbound
//! ```
//!
//! Instructions a packet are the difference of two runs with other numbers of PACKETS. They include the
//! copy of the packet's 64 bytes into the buffer where it is rewritten. Flows are met in an order far from
//! that of their creation. Time a packet is printed.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use gridway_config::Config;
use gridway_forwarding::flow::FlowTable;
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{Forwarder, Inbound, Outbound, PeerId, Peers, Registry, Shared, VnetId};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::time::Nanos;

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
  line = 10
  action = "allow"
"#;

const LENGTH: usize = 64;
const PEER: PeerId = PeerId(0);
const VNET: VnetId = VnetId(0);
/// Coprime to every number of flows that has no factor this large: the order visits all.
const STEP: usize = 7_368_787;

fn packet(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> [u8; LENGTH] {
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
fn packets(n: usize) -> ([u8; LENGTH], [u8; LENGTH]) {
    let host = (n % 250) as u8 + 1;
    let (port, peer) = ((n / 250 % 60_000) as u16, (n / 250 / 60_000) as u8 + 1);
    (
        packet([10, 1, 0, host], [172, 16, 2, peer], (port, 53)),
        packet([10, 200, 2, peer], [10, 200, 1, host], (53, port)),
    )
}

fn forwarder() -> Forwarder {
    let config = Config::parse(NODE, Path::new("node.toml")).expect("the text above is valid");
    let mut registry = Registry::default();
    assert_eq!(registry.peer("gw-b"), Ok(PEER));
    let policy = Policy::compile(&Arc::new(config), &mut registry, None).expect("one name");
    let peers = Arc::new(Peers::default());
    peers.set_up(PEER, true);
    let flows = Arc::new(FlowTable::new(1 << 21, [1, 2]));
    let fragments = Arc::new(Fragments::new(1));
    let shared = Shared { flows, fragments, peers, monitors: Arc::default() };
    Forwarder::new(Arc::new(policy), Arc::default(), shared, Arc::default(), 1500, [0; 32])
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flows, count, direction] = arguments.as_slice() else {
        eprintln!("usage: fast_path FLOWS PACKETS outbound|inbound");
        return ExitCode::from(2);
    };
    let (Ok(flows), Ok(count), true) = (
        flows.parse::<usize>(),
        count.parse::<usize>(),
        ["outbound", "inbound"].contains(&direction.as_str()),
    ) else {
        eprintln!("usage: fast_path FLOWS PACKETS outbound|inbound");
        return ExitCode::from(2);
    };
    let now = Nanos(1_000_000_000);
    let mut forwarder = forwarder();
    let mut traffic = Vec::with_capacity(flows);
    let outbound = direction == "outbound";
    for n in 0..flows {
        let (mut local, overlay) = packets(n);
        traffic.push(if outbound { local } else { overlay });
        let verdict = forwarder.outbound(&mut local, now);
        assert!(matches!(verdict, Outbound::Tunnel { .. }), "{verdict:?}");
    }

    let mut buffer = [0; LENGTH];
    let mut passed = 0;
    let mut at = 0;
    let start = Instant::now();
    for _ in 0..count {
        buffer = traffic[at];
        at = (at + STEP) % flows;
        let passes = if outbound {
            matches!(forwarder.outbound(&mut buffer, now), Outbound::Tunnel { .. })
        } else {
            matches!(forwarder.inbound(PEER, VNET, &mut buffer, now), Inbound::Deliver { .. })
        };
        passed += usize::from(passes);
    }
    let elapsed = start.elapsed();
    std::hint::black_box(buffer);
    println!(
        "{direction}: {flows} flows, {passed} of {count} packets passed, {:.1} ns a packet",
        elapsed.as_secs_f64() * 1e9 / count.max(1) as f64
    );
    if passed == count { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
