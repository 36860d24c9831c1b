//! Remote hosts that meet at an address they share: the packet goes back to the overlay.
//!
//! ```text
//!   10.200.2.0/24 behind gw-b ─┐                         10.1.0.200 is 10.200.1.200 in the vnet,
//!                              ├─ [ gw-a ] 10.1.0.0/24   and stands for all remote hosts
//!   10.200.3.0/24 behind gw-c ─┘
//! ```

use gridway_forwarding::{DropReason, Inbound};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::packet::Fragment;
use gridway_wire::tcp::TcpFlags;

use crate::pieces::{cut, cuttable, put_together};
use crate::sharing::{REMOTE, arrive, kill_all, pat, udp_from};
use crate::support::{ALLOW_ALL, HOST_A, Node, address, judged, packet, tcp, udp};

/// The shared address as the vnet knows it.
const MEETING: &str = "10.200.1.200";
const B: &str = REMOTE[0];
const C: &str = REMOTE[2];

/// C has a mapping under port 5000.
fn node() -> Node {
    let mut node = Node::new(&format!("{}{ALLOW_ALL}", pat("10.1.0.200/32")));
    assert_eq!(arrive(&mut node, &udp_from(C, (5000, 53))).source_port, 5000);
    node
}

fn to_meeting(source: &str, ports: (u16, u16)) -> PacketSpec {
    packet(source, MEETING, Content::Udp { ports, checksum: true })
}

/// Receives a packet that must go back to the overlay.
fn relayed(node: &mut Node, peer: &str, bytes: &mut Vec<u8>) -> gridway_forwarding::PeerId {
    match node.inbound(peer, bytes) {
        Inbound::Relay { to, len } => {
            bytes.truncate(len);
            to.peer
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_remote_hosts_talk_through_their_mappings() {
    let mut node = node();
    let mut bytes = to_meeting(B, (4000, 5000)).to_bytes();
    let peer = relayed(&mut node, "gw-b", &mut bytes);
    assert_eq!(peer, node.peer("gw-c"));
    let tuple = judged(&bytes).tuple;
    assert_eq!((tuple.source, tuple.source_port), (address(MEETING), 4000));
    assert_eq!((tuple.destination, tuple.destination_port), (address(C), 5000));

    for _ in 0..2 {
        let mut bytes = to_meeting(C, (5000, 4000)).to_bytes();
        let peer = relayed(&mut node, "gw-c", &mut bytes);
        assert_eq!(peer, node.peer("gw-b"));
        let tuple = judged(&bytes).tuple;
        assert_eq!((tuple.source, tuple.source_port), (address(MEETING), 5000));
        assert_eq!((tuple.destination, tuple.destination_port), (address(B), 4000));
    }
    assert_eq!(node.flows.mappings().len(), 2);
    kill_all(&node);
    assert!(node.flows.mappings().is_empty());
}

#[test]
fn a_connection_through_the_meeting_point_is_established() {
    let mut node = Node::new(&format!("{}{ALLOW_ALL}", pat("10.1.0.200/32")));
    let mut knock = tcp(C, HOST_A[1], TcpFlags::SYN);
    knock.content = Content::Tcp { ports: (5000, 443), flags: TcpFlags::SYN.0, option_words: 0 };
    node.receive("gw-c", &knock);
    let segment = |source: &str, ports, flags: TcpFlags| {
        packet(source, MEETING, Content::Tcp { ports, flags: flags.0, option_words: 0 }).to_bytes()
    };
    for (peer, mut bytes) in [
        ("gw-b", segment(B, (4000, 5000), TcpFlags::SYN)),
        ("gw-c", segment(C, (5000, 4000), TcpFlags::SYN | TcpFlags::ACK)),
        ("gw-b", segment(B, (4000, 5000), TcpFlags::ACK)),
    ] {
        relayed(&mut node, peer, &mut bytes);
        judged(&bytes);
    }
}

#[test]
fn without_a_mapping_the_packet_is_dropped_and_nobody_is_told() {
    let mut node = node();
    let refused = node.inbound_refusal("gw-b", &to_meeting(B, (4000, 5001)));
    assert_eq!(refused, Some(DropReason::PatNoMapping));
    assert!(node.emitted().is_empty());
}

#[test]
fn the_access_policy_judges_both_halves() {
    let rules = format!(
        "[[vnet.acl]]\nline = 5\naction = \"drop\"\nsource = \"{MEETING}/32\"\ndestination = \"{C}/32\"\n{ALLOW_ALL}"
    );
    let mut node = Node::new(&format!("{}{rules}", pat("10.1.0.200/32")));
    arrive(&mut node, &udp_from(C, (5000, 53)));
    let refused = node.inbound_refusal("gw-b", &to_meeting(B, (4000, 5000)));
    assert_eq!(refused, Some(DropReason::AclDeny));
}

#[test]
fn an_icmp_error_finds_its_way_back_through_both_translations() {
    let mut node = node();
    let sent = to_meeting(B, (4000, 5000));
    let mut bytes = sent.to_bytes();
    relayed(&mut node, "gw-b", &mut bytes);
    // C refuses what it received.
    let mut error = packet(C, MEETING, Content::Error { kind: 3, code: 3 });
    error.payload = bytes.clone();
    let mut bytes = error.to_bytes();
    let peer = relayed(&mut node, "gw-c", &mut bytes);
    assert_eq!(peer, node.peer("gw-b"));
    let outer = judged(&bytes);
    assert_eq!((outer.tuple.source, outer.tuple.destination), (address(MEETING), address(B)));
    let quote = gridway_wire::icmp::quoted(&bytes, &outer).expect("it quotes");
    assert_eq!(quote.tuple, sent.tuple());
}

#[test]
fn fragments_meet_too_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut node = node();
        let mut spec = to_meeting(B, (4000, 5000));
        spec.payload = vec![0x5a; 1400];
        let pieces = cut(&spec, 600, 9);
        assert_eq!(pieces.len(), 3);
        let mut passed = Vec::new();
        for index in order {
            let mut bytes = pieces[index].clone();
            match node.inbound("gw-b", &mut bytes) {
                Inbound::Relay { len, .. } => passed.push(bytes[..len].to_vec()),
                Inbound::Held => {}
                other => panic!("{order:?}: {other:?}"),
            }
            passed.extend(node.emitted().into_iter().map(|(_, bytes)| bytes));
        }
        assert_eq!(passed.len(), 3, "{order:?}");
        assert!(put_together(&passed).ends_with(&spec.payload));
        for bytes in passed {
            let fragment = judged(&bytes);
            assert_ne!(fragment.fragment, Fragment::None);
            assert_eq!((fragment.tuple.source, fragment.tuple.destination), (address(MEETING), address(C)));
        }
    }
}

#[test]
fn a_packet_too_big_for_the_data_link_still_meets() {
    let mut node = node();
    let mut spec = to_meeting(B, (4000, 5000));
    spec.payload = vec![0x5a; 1600];
    // It never crosses the data link. Towards the peer it is cut.
    let mut bytes = cuttable(&spec);
    let peer = relayed(&mut node, "gw-b", &mut bytes);
    assert_eq!(peer, node.peer("gw-c"));
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1);
    for piece in [&bytes, &emitted[0].1] {
        let tuple = judged(piece).tuple;
        assert_eq!((tuple.source, tuple.destination), (address(MEETING), address(C)));
    }
}

#[test]
fn a_local_address_that_becomes_shared_sends_its_flows_back() {
    let own = pat("172.16.2.1/32");
    let mut node = Node::new(&format!("{own}{ALLOW_ALL}"));
    // 10.1.0.200 is a local host like any other at first.
    let spec = udp(B, MEETING);
    node.receive("gw-b", &spec);
    let more = own.replacen(
        "  [[vnet.route]]",
        "  [[vnet.outside_nat]]\n  virtual = \"10.200.4.0/24\"\n  local = \"10.1.0.200/32\"\n  [[vnet.route]]",
        1,
    );
    node.reload(&format!("{more}{ALLOW_ALL}"));
    // And what stands for B on the data link has no place in the vnet.
    assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::NoInsideNat));
}
