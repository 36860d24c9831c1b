//! Addresses, checksums and TTL on the way out and back.

use gridway_forwarding::{Inbound, Outbound};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;

use crate::support::{
    ALLOW_ALL, CORP_A, HOST_A, HOST_B, Node, PLAIN_A, address, answer, assert_addresses, echo, judged,
    packet, tcp, udp,
};

fn one_of_each(source: &str, destination: &str) -> Vec<PacketSpec> {
    vec![
        udp(source, destination),
        tcp(source, destination, TcpFlags::SYN),
        echo(source, destination, false),
        packet(source, destination, Content::Other(Protocol::GRE)),
    ]
}

#[test]
fn outbound_rewrites_both_addresses_and_leaves_right_checksums() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let gw_b = node.peer("gw-b");
    for spec in one_of_each(HOST_A[0], HOST_B[2]) {
        let (peer, bytes) = node.send(&spec);
        assert_eq!(peer, gw_b);
        let after = judged(&bytes);
        assert_addresses(&after, HOST_A[1], HOST_B[1]);
        let before = spec.tuple();
        assert_eq!(
            (after.tuple.source_port, after.tuple.destination_port),
            (before.source_port, before.destination_port)
        );
        assert!(bytes.ends_with(&spec.payload));
    }
}

#[test]
fn the_reply_comes_back_under_the_addresses_that_the_host_used() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    for spec in one_of_each(HOST_A[0], HOST_B[2]) {
        node.send(&spec);
        let overlay =
            PacketSpec { source: address(HOST_A[1]), destination: address(HOST_B[1]), ..spec.clone() };
        let bytes = node.receive("gw-b", &answer(&overlay));
        let expected = answer(&spec).to_bytes();
        let after = judged(&bytes);
        assert_eq!(bytes[12..20], expected[12..20], "addresses");
        assert_eq!(after.tuple, answer(&spec).tuple());
    }
    assert_eq!(node.flows_created(), 4, "replies belong to the flows of the requests");
}

#[test]
fn each_direction_takes_one_from_the_ttl() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let mut spec = udp(HOST_A[0], HOST_B[2]);
    spec.ttl = 17;
    // The first packet of a flow and the ones that find it.
    for _ in 0..2 {
        assert_eq!(judged(&node.send(&spec).1).ttl, 16);
    }
    let mut reply = answer(&udp(HOST_A[1], HOST_B[1]));
    reply.ttl = 2;
    assert_eq!(judged(&node.receive("gw-b", &reply)).ttl, 1);
}

#[test]
fn an_overlay_packet_begins_a_flow_that_local_replies_find() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let request = tcp(HOST_B[1], HOST_A[1], TcpFlags::SYN);
    let mut bytes = request.to_bytes();
    let verdict = node.inbound("gw-b", &mut bytes);
    assert_eq!(verdict, Inbound::Deliver { destination: address(HOST_A[0]), len: bytes.len() });
    assert_addresses(&judged(&bytes), HOST_B[2], HOST_A[0]);
    let reply = answer(&tcp(HOST_B[2], HOST_A[0], TcpFlags::SYN | TcpFlags::ACK));
    assert_addresses(&judged(&node.send(&reply).1), HOST_A[1], HOST_B[1]);
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn padding_behind_the_packet_is_not_sent() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let mut bytes = udp(HOST_A[0], HOST_B[2]).to_bytes();
    let length = bytes.len();
    bytes.extend([0xee; 7]);
    let Outbound::Tunnel { len, .. } = node.outbound(&mut bytes) else { panic!("it must pass") };
    assert_eq!(len, length);
    judged(&bytes[..len]);
}

#[test]
fn dscp_and_ecn_are_kept() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let mut spec = udp(HOST_A[0], HOST_B[2]);
    spec.class = 0xb9;
    let after = node.send(&spec).1;
    judged(&after);
    assert_eq!(after[1], 0xb9);
}

#[test]
fn a_udp_packet_without_checksum_stays_without() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let spec = packet(HOST_A[0], HOST_B[2], Content::Udp { ports: (40_000, 53), checksum: false });
    let after = node.send(&spec).1;
    judged(&after);
    assert_eq!(after[26..28], [0, 0]);
}

#[test]
fn without_nat_only_the_hop_limit_of_an_ipv6_packet_changes() {
    let mut node = Node::new(&format!("{PLAIN_A}{ALLOW_ALL}"));
    for spec in [
        udp("fd00:1::2", "fd00:2::7"),
        tcp("fd00:1::2", "fd00:2::7", TcpFlags::SYN),
        echo("fd00:1::2", "fd00:2::7", false),
    ] {
        let mut expected = spec.to_bytes();
        expected[7] -= 1;
        assert_eq!(node.send(&spec).1, expected);
        let mut bytes = answer(&spec).to_bytes();
        let mut expected = bytes.clone();
        expected[7] -= 1;
        let verdict = node.inbound_in("gw-b", "plain", &mut bytes);
        assert_eq!(verdict, Inbound::Deliver { destination: address("fd00:1::2"), len: bytes.len() });
        assert_eq!(bytes, expected);
    }
    assert_eq!(node.flows_created(), 3);
}
