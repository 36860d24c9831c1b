//! What a packet costs in memory: nothing. What a flow costs: little.

use allocation_counter::measure;
use gridway_config::FlowTimeouts;
use gridway_forwarding::flow::FlowTable;
use gridway_forwarding::{Inbound, Outbound};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;

use crate::flow_table::{NOW, new_flow};
use crate::support::{ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, answer, packet};

const FLOWS: u16 = 1_000;
const PACKETS: usize = 1_000_000;

fn segment(source: &str, destination: &str, flow: u16, flags: TcpFlags) -> PacketSpec {
    packet(source, destination, Content::Tcp { ports: (10_000 + flow, 443), flags: flags.0, option_words: 0 })
}

#[test]
fn packets_of_flows_that_exist_allocate_nothing() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let out: Vec<_> =
        (0..FLOWS).map(|n| segment(HOST_A[0], HOST_B[2], n, TcpFlags::ACK).to_bytes()).collect();
    let back: Vec<_> =
        (0..FLOWS).map(|n| answer(&segment(HOST_A[1], HOST_B[1], n, TcpFlags::ACK)).to_bytes()).collect();
    for flow in 0..FLOWS {
        node.send(&segment(HOST_A[0], HOST_B[2], flow, TcpFlags::SYN));
    }
    let (gw_b, corp) = (node.peer("gw-b"), node.vnet("corp"));
    let mut buffer = [0; 256];
    let info = measure(|| {
        for (out, back) in out.iter().zip(&back).cycle().take(PACKETS) {
            let room = &mut buffer[..out.len()];
            room.copy_from_slice(out);
            assert!(matches!(node.forwarder.outbound(room, NOW), Outbound::Tunnel { .. }));
            let room = &mut buffer[..back.len()];
            room.copy_from_slice(back);
            assert!(matches!(node.forwarder.inbound(gw_b, corp, room, NOW), Inbound::Deliver { .. }));
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
    assert_eq!(node.flows_created(), u64::from(FLOWS));
    let mut packets = [0; 2];
    node.flows.for_each(|_, flow| {
        packets = [0, 1].map(|side| packets[side] + flow.traffic[side].packets);
        true
    });
    assert_eq!(packets, [PACKETS as u64 + u64::from(FLOWS), PACKETS as u64]);
}

#[test]
fn measuring_allocations_sees_them() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);
}

#[test]
fn a_flow_takes_at_most_256_bytes_of_a_full_table() {
    for limit in [1 << 16, 100_000, 1 << 18] {
        let mut table = None;
        let info = measure(|| {
            let table = table.insert(FlowTable::new(limit, [1, 2]));
            // Twice as many as fit: half-open ones give way, and every place gets its memory.
            for n in 0..2 * limit as u32 {
                let _refused = table.create(&new_flow(n, Protocol::TCP), &FlowTimeouts::default(), NOW);
            }
        });
        let table = table.expect("it was made");
        assert_eq!(table.len(), limit);
        let per_flow = info.bytes_max / limit as u64;
        assert!(per_flow <= 256, "{per_flow} bytes a flow of {limit}");
    }
}

#[test]
fn an_empty_table_claims_memory_for_its_index_only() {
    let limit = 1 << 20;
    let mut table = None;
    let info = measure(|| table = Some(FlowTable::new(limit, [1, 2])));
    assert!(info.bytes_current <= 40 * limit as i64, "{info:?}");
}
