//! From one peer to another:
//!
//! ```text
//!   10.200.2.0/24 behind gw-b ── [ gw-under-test ] ── 10.200.3.0/24 behind gw-c
//!                                        └─────────── 10.200.4.0/24 behind gw-c, else gw-d
//! ```

use std::time::Duration;

use gridway_forwarding::flow::{Side, State, Traits};
use gridway_forwarding::{DropReason, Inbound, PeerId, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::icmp::quoted;
use gridway_wire::packet::parse;
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;

use crate::pieces::{cut, cuttable, put_together};
use crate::support::{ALLOW_ALL, CORP_A, Node, address, answer, echo, judged, packet, tcp, udp};

const B: &str = "10.200.2.7";
const C: &str = "10.200.3.7";
const D: &str = "10.200.4.7";

/// [`CORP_A`] with more peers; without access rules.
fn vnet(relay: bool) -> String {
    let relay = format!("relay = {relay}\naddress =");
    let corp = CORP_A.replace("address =", &relay);
    format!(
        "{corp}
  [[vnet.route]]
  to = \"10.200.3.0/24\"
  via = \"gw-c\"
  [[vnet.route]]
  to = \"10.200.4.0/24\"
  via = \"gw-c\"
  metric = 10
  [[vnet.route]]
  to = \"10.200.4.0/24\"
  via = \"gw-d\"
  metric = 20
"
    )
}

fn node() -> Node {
    Node::new(&format!("{}{ALLOW_ALL}", vnet(true)))
}

/// Receives a packet that must go on to a peer.
fn relayed_bytes(node: &mut Node, from: &str, mut bytes: Vec<u8>) -> (PeerId, Vec<u8>) {
    match node.inbound(from, &mut bytes) {
        Inbound::Relay { to, len } => {
            bytes.truncate(len);
            (to.peer, bytes)
        }
        other => panic!("{other:?}"),
    }
}

fn relayed(node: &mut Node, from: &str, spec: &PacketSpec) -> (PeerId, Vec<u8>) {
    relayed_bytes(node, from, spec.to_bytes())
}

#[test]
fn a_packet_goes_on_as_it_is_one_hop_further_and_so_does_the_answer() {
    let mut node = node();
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    for spec in
        [udp(B, C), tcp(B, C, TcpFlags::SYN), echo(B, C, false), packet(B, C, Content::Other(Protocol::GRE))]
    {
        for _ in 0..2 {
            let (peer, bytes) = relayed(&mut node, "gw-b", &spec);
            assert_eq!(peer, gw_c);
            let after = judged(&bytes);
            assert_eq!((after.tuple, after.ttl), (spec.tuple(), 63));
            assert!(bytes.ends_with(&spec.payload));
            let (peer, bytes) = relayed(&mut node, "gw-c", &answer(&spec));
            assert_eq!(peer, gw_b);
            assert_eq!(judged(&bytes).tuple, spec.tuple().reversed());
        }
    }
    assert_eq!(node.flows.len(), 4, "both directions are one flow");
    assert_eq!(node.flows_created(), 4);
}

#[test]
fn both_directions_count_in_one_flow() {
    let mut node = node();
    relayed(&mut node, "gw-b", &tcp(B, C, TcpFlags::SYN));
    relayed(&mut node, "gw-c", &answer(&tcp(B, C, TcpFlags::SYN | TcpFlags::ACK)));
    relayed(&mut node, "gw-b", &tcp(B, C, TcpFlags::ACK));
    let flow = node.only_flow();
    assert!(flow.traits.has(Traits::RELAYED));
    assert_eq!(State::of(&flow), State::Established);
    assert_eq!(flow.traffic[Side::Overlay as usize].packets, 2);
    assert_eq!(flow.traffic[Side::Local as usize].packets, 1);
    assert_eq!(flow.overlay, tcp(B, C, TcpFlags::SYN).tuple());
    assert_eq!((flow.back, flow.peer), (node.peer("gw-b"), node.peer("gw-c")));
}

#[test]
fn a_node_that_does_not_relay_refuses() {
    let mut node = Node::new(&format!("{}{ALLOW_ALL}", vnet(false)));
    assert_eq!(node.inbound_refusal("gw-b", &udp(B, C)), Some(DropReason::TransitRefused));
    assert!(node.flows.is_empty());
}

#[test]
fn nothing_goes_back_to_the_peer_it_came_from() {
    let mut node = node();
    assert_eq!(node.inbound_refusal("gw-c", &udp(C, D)), Some(DropReason::TransitRefused));
    assert!(node.flows.is_empty());
}

#[test]
fn the_access_policy_and_the_source_check_come_first() {
    let mut node = Node::new(&vnet(true));
    assert_eq!(node.inbound_refusal("gw-b", &udp(B, C)), Some(DropReason::AclNoMatch));
    let mut node = self::node();
    assert_eq!(node.inbound_refusal("gw-d", &udp(B, C)), Some(DropReason::SourceCheck));
    // In the direction of the answers too.
    relayed(&mut node, "gw-b", &udp(B, C));
    assert_eq!(node.inbound_refusal("gw-d", &answer(&udp(B, C))), Some(DropReason::SourceCheck));
}

#[test]
fn the_last_hop_is_told_in_both_directions() {
    let mut node = node();
    relayed(&mut node, "gw-b", &udp(B, C));
    for (peer, mut spec) in [("gw-b", udp(B, C)), ("gw-c", answer(&udp(B, C)))] {
        spec.ttl = 1;
        assert_eq!(node.inbound_refusal(peer, &spec), Some(DropReason::TtlExceeded));
        let emitted = node.emitted();
        assert_eq!(emitted.len(), 1);
        let Target::Tunnel(to) = emitted[0].0 else { panic!("{emitted:?}") };
        assert_eq!(to.peer, node.peer(peer));
        let error = judged(&emitted[0].1);
        assert_eq!((error.tuple.source, error.tuple.destination), (address("10.200.1.254"), spec.source));
    }
}

#[test]
fn flows_move_when_their_peer_goes_and_when_it_comes_back() {
    let mut node = node();
    let (gw_c, gw_d) = (node.peer("gw-c"), node.peer("gw-d"));
    assert_eq!(relayed(&mut node, "gw-b", &udp(B, D)).0, gw_c);
    node.set_up("gw-c", false);
    assert_eq!(relayed(&mut node, "gw-b", &udp(B, D)).0, gw_d);
    assert_eq!(relayed(&mut node, "gw-d", &answer(&udp(B, D))).0, node.peer("gw-b"));
    node.set_up("gw-d", false);
    assert_eq!(node.inbound_refusal("gw-b", &udp(B, D)), Some(DropReason::PeerDown));
    node.set_up("gw-c", true);
    assert_eq!(relayed(&mut node, "gw-b", &udp(B, D)).0, gw_c);
    assert_eq!(node.flows_created(), 1);
}

#[test]
fn relaying_that_is_turned_off_ends_its_flows_in_both_directions() {
    for (peer, spec) in [("gw-b", udp(B, C)), ("gw-c", answer(&udp(B, C)))] {
        let mut node = node();
        relayed(&mut node, "gw-b", &udp(B, C));
        node.reload(&format!("{}{ALLOW_ALL}", vnet(false)));
        assert_eq!(node.inbound_refusal(peer, &spec), Some(DropReason::TransitRefused));
        node.reload(&format!("{}{ALLOW_ALL}", vnet(true)));
        relayed(&mut node, peer, &spec);
    }
}

#[test]
fn a_rule_that_forbids_ends_the_flow() {
    let drop_all = "\n[[vnet.acl]]\nline = 1\naction = \"drop\"\n";
    for (peer, spec) in [("gw-b", udp(B, C)), ("gw-c", answer(&udp(B, C)))] {
        let mut node = node();
        relayed(&mut node, "gw-b", &udp(B, C));
        node.reload(&format!("{}{drop_all}", vnet(true)));
        assert_eq!(node.inbound_refusal(peer, &spec), Some(DropReason::AclDeny));
        assert!(node.flows.is_empty());
    }
}

#[test]
fn only_what_was_begun_may_come_back() {
    // B may begin, C may only answer.
    let outward = "\n[[vnet.acl]]\nline = 1\naction = \"allow\"\nsource = \"10.200.2.0/24\"\n";
    let mut node = Node::new(&format!("{}{outward}", vnet(true)));
    let reply = answer(&udp(B, C));
    assert_eq!(node.inbound_refusal("gw-c", &reply), Some(DropReason::AclNoMatch));
    relayed(&mut node, "gw-b", &udp(B, C));
    relayed(&mut node, "gw-c", &reply);
    node.reload(&format!("{}{outward}", vnet(true)));
    relayed(&mut node, "gw-c", &reply);
}

#[test]
fn flows_that_two_workers_began_from_both_ends_do_not_collide() {
    // As if the other worker's flow was made between look-up and creation: kill and cross.
    let mut node = node();
    relayed(&mut node, "gw-b", &udp(B, C));
    relayed(&mut node, "gw-c", &answer(&udp(B, C)));
    crate::sharing::kill_all(&node);
    relayed(&mut node, "gw-c", &answer(&udp(B, C)));
    relayed(&mut node, "gw-b", &udp(B, C));
    assert_eq!(node.flows.len(), 1);
    let flow = node.only_flow();
    assert_eq!(flow.overlay, udp(B, C).tuple().reversed(), "C's packet was the first this time");
    node.wait(Duration::from_secs(301));
    node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now);
    assert!(node.flows.is_empty());
}

#[test]
fn the_next_peer_says_what_fits() {
    let mut node = node();
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    node.peers.set_mtu(gw_b, 1300);
    node.peers.set_mtu(gw_c, 1400);
    for (peer, spec, mtu) in [("gw-b", udp(B, C), 1400), ("gw-c", answer(&udp(B, C)), 1300)] {
        let mut spec = spec;
        spec.payload = vec![0x5a; mtu - 28];
        relayed(&mut node, peer, &spec);
        spec.payload.push(0x5a);
        assert_eq!(node.inbound_refusal(peer, &spec), Some(DropReason::TooBig));
        let emitted = node.emitted();
        assert_eq!(emitted[0].1[20..22], [3, 4]);
        assert_eq!(emitted[0].1[26..28], (mtu as u16).to_be_bytes());
        // Where it may be cut it is.
        let (_, first) = relayed_bytes(&mut node, peer, cuttable(&spec));
        let mut pieces = vec![first];
        for (to, bytes) in node.emitted() {
            assert!(matches!(to, Target::Tunnel(_)), "{to:?}");
            pieces.push(bytes);
        }
        assert_eq!(pieces.len(), 2);
        assert!(pieces.iter().all(|piece| piece.len() <= mtu && judged(piece).ttl == 63));
        assert!(put_together(&pieces).ends_with(&spec.payload));
    }
}

/// The MSS says what its sender can receive: that comes by way of the other peer.
#[test]
fn segments_fit_both_ways_whoever_has_the_smaller_mtu() {
    for (mtu_b, mtu_c, least) in [(1300, 1400, 1300), (1400, 1300, 1300), (1400, 1400, 1400)] {
        let mut node = node();
        let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
        node.peers.set_mtu(gw_b, mtu_b);
        node.peers.set_mtu(gw_c, mtu_c);
        let syn = |source: &str, destination: &str, ports, flags: TcpFlags| {
            let content = Content::Tcp { ports, flags: flags.0, option_words: 1 };
            let mut bytes = packet(source, destination, content).to_bytes();
            // Four "no operation" (0x0101 twice) become MSS 1460.
            let sum = u16::from_be_bytes([bytes[36], bytes[37]]);
            bytes[40..44].copy_from_slice(&[2, 4, 0x05, 0xb4]);
            let mut difference = gridway_wire::checksum::Difference::ZERO;
            difference.replace_u32(0x0101_0101, 0x0204_05b4);
            bytes[36..38].copy_from_slice(&difference.apply(sum).to_be_bytes());
            judged(&bytes);
            bytes
        };
        let there = syn(B, C, (40_000, 443), TcpFlags::SYN);
        let back = syn(C, B, (443, 40_000), TcpFlags::SYN | TcpFlags::ACK);
        for (peer, bytes) in [("gw-b", there), ("gw-c", back)] {
            let (_, bytes) = relayed_bytes(&mut node, peer, bytes);
            judged(&bytes);
            assert_eq!(bytes[42..44], (least - 40_u16).to_be_bytes(), "{mtu_b} {mtu_c} from {peer}");
        }
    }
}

#[test]
fn fragments_are_relayed_in_any_order_both_ways() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut node = node();
        for (identification, (peer, mut spec)) in
            [("gw-b", udp(B, C)), ("gw-c", answer(&udp(B, C)))].into_iter().enumerate()
        {
            spec.payload = (0..1400).map(|n| n as u8).collect();
            let pieces = cut(&spec, 600, identification as u16);
            let mut passed = Vec::new();
            for index in order {
                let mut bytes = pieces[index].clone();
                match node.inbound(peer, &mut bytes) {
                    Inbound::Relay { len, .. } => passed.push(bytes[..len].to_vec()),
                    Inbound::Held => {}
                    other => panic!("{other:?}"),
                }
                passed.extend(node.emitted().into_iter().map(|(_, bytes)| bytes));
            }
            assert!(put_together(&passed).ends_with(&spec.payload));
            assert!(passed.iter().all(|piece| judged(piece).ttl == 63));
        }
        assert_eq!(node.flows.len(), 1);
    }
}

/// An ICMP error from `source` about `sent`, to its sender.
fn error_about(source: &str, sent: &[u8]) -> PacketSpec {
    let tuple = parse(sent).expect("it was sent").tuple;
    let mut error = packet(source, "10.200.9.9", Content::Error { kind: 3, code: 3 });
    error.destination = tuple.source;
    error.payload = sent.to_vec();
    error
}

#[test]
fn an_icmp_error_goes_back_to_whom_it_is_about() {
    let mut node = node();
    let (gw_b, gw_c) = (node.peer("gw-b"), node.peer("gw-c"));
    let (_, there) = relayed(&mut node, "gw-b", &udp(B, C));
    let (_, back) = relayed(&mut node, "gw-c", &answer(&udp(B, C)));
    for (from, source, sent, to) in
        [("gw-c", C, &there, gw_b), ("gw-c", "10.200.3.1", &there, gw_b), ("gw-b", B, &back, gw_c)]
    {
        let error = error_about(source, sent);
        let (peer, bytes) = relayed(&mut node, from, &error);
        assert_eq!(peer, to);
        let after = judged(&bytes);
        assert_eq!((after.tuple, after.ttl), (error.tuple(), 63));
        assert_eq!(quoted(&bytes, &after).expect("it quotes").tuple, parse(sent).expect("it was sent").tuple);
    }
}

#[test]
fn an_icmp_error_to_somebody_else_is_about_no_flow() {
    let mut node = node();
    let (_, there) = relayed(&mut node, "gw-b", &udp(B, C));
    for elsewhere in ["10.200.4.9", "10.200.1.2", "10.200.2.9"] {
        let mut error = error_about(C, &there);
        error.destination = address(elsewhere);
        assert_eq!(node.inbound_refusal("gw-c", &error), Some(DropReason::IcmpNoFlow), "{elsewhere}");
    }
    assert!(node.emitted().is_empty(), "no error about an error");
}

#[test]
fn an_address_that_turns_from_local_to_remote_and_back_takes_its_flows_along() {
    let local = format!("{}{ALLOW_ALL}", vnet(true));
    // A longer prefix than the local one is behind gw-c.
    let remote = format!(
        "{}
  [[vnet.route]]
  to = \"10.200.1.66/32\"
  via = \"gw-c\"
{ALLOW_ALL}",
        vnet(true)
    );
    let mut node = Node::new(&local);
    let spec = udp(B, "10.200.1.66");
    node.receive("gw-b", &spec);
    node.reload(&remote);
    // Flows begin anew where the address is now; the packet that finds out may be lost.
    node.inbound("gw-b", &mut spec.to_bytes());
    assert_eq!(relayed(&mut node, "gw-b", &spec).0, node.peer("gw-c"));
    node.reload(&local);
    node.inbound("gw-b", &mut spec.to_bytes());
    node.receive("gw-b", &spec);
    assert_eq!(node.flows.len(), 1);
}
