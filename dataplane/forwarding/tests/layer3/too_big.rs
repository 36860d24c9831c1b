//! Packets larger than the next link: refused with what fits, or cut; and segments that fit from the start.

use gridway_forwarding::{DropReason, Inbound, Outbound, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::tcp::TcpFlags;

use crate::pieces::{cuttable, put_together};
use crate::support::{
    ALLOW_ALL, CORP_A, DATA_ADDRESS, DATA_ADDRESS_V6, DATA_MTU, HOST_A, HOST_B, Node, PLAIN_A, address,
    assert_addresses, judged, packet, udp,
};

/// A node whose path to `gw-b` takes packets of 1,400 bytes.
fn node() -> Node {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let peer = node.peer("gw-b");
    node.peers.set_mtu(peer, 1400);
    node
}

fn sized(mut spec: PacketSpec, length: usize) -> PacketSpec {
    let headers = spec.to_bytes().len() - spec.payload.len();
    spec.payload = (0..length - headers).map(|n| n as u8).collect();
    spec
}

/// The MTU that an ICMP error tells: of IPv4 type 3 code 4, of IPv6 type 2.
fn told_mtu(error: &[u8]) -> u32 {
    judged(error);
    let icmp = if error[0] >> 4 == 4 { &error[20..] } else { &error[40..] };
    let expected = if error[0] >> 4 == 4 { [3, 4] } else { [2, 0] };
    assert_eq!(icmp[..2], expected);
    u32::from_be_bytes([icmp[4], icmp[5], icmp[6], icmp[7]])
}

#[test]
fn a_local_host_is_told_what_fits() {
    let mut node = node();
    let spec = sized(udp(HOST_A[0], HOST_B[2]), 1401);
    let mut bytes = spec.to_bytes();
    assert_eq!(node.outbound(&mut bytes), Outbound::Drop(DropReason::TooBig));
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].0, Target::Local(spec.source));
    assert_addresses(&judged(&emitted[0].1), DATA_ADDRESS, HOST_A[0]);
    assert_eq!(told_mtu(&emitted[0].1), 1400);
    assert_eq!(emitted[0].1[28..], spec.to_bytes()[..emitted[0].1.len() - 28], "it quotes what was sent");
    // On the flow that is there now too.
    assert_eq!(node.refusal(&spec), Some(DropReason::TooBig));
}

#[test]
fn ipv6_is_never_cut() {
    let mut node = Node::new(&format!("{PLAIN_A}{ALLOW_ALL}"));
    let peer = node.peer("gw-b");
    node.peers.set_mtu(peer, 1400);
    let spec = sized(udp("fd00:1::2", "fd00:2::7"), 1401);
    assert_eq!(node.refusal(&spec), Some(DropReason::TooBig));
    let emitted = node.emitted();
    assert_addresses(&judged(&emitted[0].1), DATA_ADDRESS_V6, "fd00:1::2");
    assert_eq!(told_mtu(&emitted[0].1), 1400);
    assert!(emitted[0].1.len() <= 1280);
}

#[test]
fn a_remote_host_is_told_what_fits_the_data_link() {
    let mut node = node();
    let spec = sized(udp(HOST_B[1], HOST_A[1]), usize::from(DATA_MTU) + 1);
    assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::TooBig));
    let emitted = node.emitted();
    let Target::Tunnel(to) = emitted[0].0 else { panic!("{emitted:?}") };
    assert_eq!(to.peer, node.peer("gw-b"));
    assert_addresses(&judged(&emitted[0].1), "10.200.1.254", HOST_B[1]);
    assert_eq!(told_mtu(&emitted[0].1), u32::from(DATA_MTU));
}

#[test]
fn what_may_be_cut_is_cut_in_both_directions() {
    for length in [1401, 1500, 2800, 9000] {
        let mut node = node();
        let spec = sized(udp(HOST_A[0], HOST_B[2]), length);
        let mut bytes = cuttable(&spec);
        let Outbound::Tunnel { to, len } = node.outbound(&mut bytes) else { panic!("{length}") };
        bytes.truncate(len);
        let mut pieces = vec![bytes];
        for (target, bytes) in node.emitted() {
            assert_eq!(target, Target::Tunnel(to));
            pieces.push(bytes);
        }
        for piece in &pieces {
            assert!(piece.len() <= 1400);
            let after = judged(piece);
            assert_addresses(&after, HOST_A[1], HOST_B[1]);
            assert_eq!(after.ttl, 63);
        }
        assert!(put_together(&pieces).ends_with(&spec.payload));
        // The datagram put together has the right checksum.
        let mut whole = pieces[0][..20].to_vec();
        whole.extend(put_together(&pieces));
        whole[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        whole[6..8].fill(0);
        crate::pieces::fix_header(&mut whole);
        judged(&whole);
    }
    let mut node = node();
    let spec = sized(udp(HOST_B[1], HOST_A[1]), 1600);
    let mut bytes = cuttable(&spec);
    let Inbound::Deliver { destination, len } = node.inbound("gw-b", &mut bytes) else { panic!("it is cut") };
    assert_eq!(destination, address(HOST_A[0]));
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].0, Target::Local(destination));
    let pieces = [bytes[..len].to_vec(), emitted[0].1.clone()];
    assert!(pieces.iter().all(|piece| piece.len() <= usize::from(DATA_MTU)));
    pieces.iter().for_each(|piece| assert_addresses(&judged(piece), HOST_B[2], HOST_A[0]));
    assert!(put_together(&pieces).ends_with(&spec.payload));
}

#[test]
fn a_packet_counts_once_however_it_is_cut() {
    let mut node = node();
    let mut bytes = cuttable(&sized(udp(HOST_A[0], HOST_B[2]), 3000));
    node.outbound(&mut bytes);
    let flow = node.only_flow();
    assert_eq!((flow.traffic[0].packets, flow.traffic[0].bytes), (1, 3000));
}

/// A peer that says its data link takes nothing must not make a storm of fragments out of every packet.
#[test]
fn no_peer_can_ask_for_less_than_every_host_takes() {
    for told in [0, 1, 28, 68, 575] {
        let mut node = node();
        let peer = node.peer("gw-b");
        node.peers.set_mtu(peer, told);
        let mut bytes = cuttable(&sized(udp(HOST_A[0], HOST_B[2]), 1500));
        let Outbound::Tunnel { len, .. } = node.outbound(&mut bytes) else { panic!("{told}") };
        assert!((500..=576).contains(&len), "{len}");
        assert_eq!(node.emitted().len(), 2);
        let mut syn = syn(HOST_A[0], HOST_B[2], TcpFlags::SYN, 1460);
        node.outbound(&mut syn);
        assert_eq!(mss(&syn), 536);
    }
}

/// A SYN with this maximum segment size.
fn syn(source: &str, destination: &str, flags: TcpFlags, mss: u16) -> Vec<u8> {
    let spec =
        packet(source, destination, Content::Tcp { ports: (4000, 443), flags: flags.0, option_words: 1 });
    let mut bytes = spec.to_bytes();
    let l4 = spec.ip_header_len();
    let [high, low] = mss.to_be_bytes();
    bytes[l4 + 20..l4 + 24].copy_from_slice(&[2, 4, high, low]);
    let mut difference = gridway_wire::checksum::Difference::ZERO;
    difference.replace_u32(0x0101_0101, 0x0204_0000 | u32::from(mss));
    let sum = difference.apply(u16::from_be_bytes([bytes[l4 + 16], bytes[l4 + 17]]));
    bytes[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
    judged(&bytes);
    bytes
}

fn mss(bytes: &[u8]) -> u16 {
    let l4 = judged(bytes).l4_offset;
    assert_eq!(bytes[l4 + 20..l4 + 22], [2, 4]);
    u16::from_be_bytes([bytes[l4 + 22], bytes[l4 + 23]])
}

#[test]
fn segments_are_clamped_on_the_way_out_and_in() {
    for flags in [TcpFlags::SYN, TcpFlags::SYN | TcpFlags::ACK] {
        for (announced, expected) in [(1460, 1360), (1361, 1360), (1360, 1360), (536, 536), (0, 0)] {
            let mut node = node();
            let mut bytes = syn(HOST_A[0], HOST_B[2], flags, announced);
            assert!(matches!(node.outbound(&mut bytes), Outbound::Tunnel { .. }));
            assert_eq!(mss(&bytes), expected);
            let mut bytes = syn(HOST_B[1], HOST_A[1], flags, announced);
            assert!(matches!(node.inbound("gw-b", &mut bytes), Inbound::Deliver { .. }));
            assert_eq!(mss(&bytes), expected);
        }
    }
}

#[test]
fn segments_of_ipv6_are_clamped_by_its_larger_header() {
    let mut node = Node::new(&format!("{PLAIN_A}{ALLOW_ALL}"));
    let peer = node.peer("gw-b");
    node.peers.set_mtu(peer, 1400);
    let mut bytes = syn("fd00:1::2", "fd00:2::7", TcpFlags::SYN, 1440);
    node.outbound(&mut bytes);
    assert_eq!(mss(&bytes), 1340);
    let mut bytes = syn("fd00:2::8", "fd00:1::2", TcpFlags::SYN, 1440);
    node.inbound_in("gw-b", "plain", &mut bytes);
    assert_eq!(mss(&bytes), 1340);
}

/// An ICMP error is a packet like any other.
#[test]
fn an_icmp_error_is_held_to_the_path_too() {
    for (df, fits) in [(false, true), (true, false)] {
        let mut node = node();
        let received = node.receive("gw-b", &udp(HOST_B[1], HOST_A[1]));
        let mut error = packet(HOST_A[0], HOST_B[2], Content::Error { kind: 3, code: 3 });
        error.payload = received;
        error.payload.resize(1450, 0);
        let mut bytes = if df { error.to_bytes() } else { cuttable(&error) };
        match node.outbound(&mut bytes) {
            Outbound::Tunnel { len, .. } => assert!(fits && len <= 1400),
            other => assert!(!fits && other == Outbound::Drop(DropReason::TooBig), "{other:?}"),
        }
        assert_eq!(node.emitted().len(), usize::from(fits), "the rest of it, and no error about an error");
    }
}
