use gridway_model::packet::{ACK, SYN};
use gridway_model::{Fate, Packet, TcpState};

use crate::support::{ALLOW, Node, check, ends, error, ip, only, pong, read, segment, to_peer, udp, usual};

const V4_ROUTES: &str = "
[[vnet.route]]
to = \"10.200.1.0/28\"
via = \"gw-b\"
[[vnet.route]]
to = \"10.200.2.0/28\"
via = \"gw-c\"
";

fn relaying() -> String {
    usual().replace("name = \"one\"", "name = \"one\"\nrelay = true")
}

/// A packet that must go on to another peer: the peer and the packet.
fn relayed(node: &mut Node, from: &str, packet: &Packet) -> (String, Packet) {
    match node.from(from, packet).fate {
        Fate::Relayed { peer, bytes, .. } => (peer, read(&bytes)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn transit_is_refused_by_default() {
    let mut node = Node::new(&usual());
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.2.2", (1, 2)));
    assert_eq!(step.fate, Fate::Dropped("transit_refused"));
    assert!(step.emitted.is_empty());
}

#[test]
fn a_relay_passes_packets_on_without_nat() {
    let mut node = Node::new(&relaying());
    let sent = udp("10.200.1.2", "10.200.2.2", (1, 2));
    let (peer, packet) = relayed(&mut node, "gw-b", &sent);
    assert_eq!((peer.as_str(), packet), ("gw-c", Packet { ttl: 63, ..sent }));
}

#[test]
fn both_directions_of_a_relayed_flow_pass() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nsource = \"10.200.1.0/28\"\n";
    let mut node = Node::new(&relaying().replace(ALLOW, acl));
    let answer = segment("10.200.2.2", "10.200.1.2", (80, 999), SYN | ACK);
    let other = segment("10.200.2.2", "10.200.1.2", (80, 999), SYN);
    assert_eq!(node.refusal_of("gw-c", &other), Some("acl_no_match"));
    relayed(&mut node, "gw-b", &segment("10.200.1.2", "10.200.2.2", (999, 80), SYN));
    assert_eq!(relayed(&mut node, "gw-c", &answer).0, "gw-b");
    assert_eq!(node.refusal_of("gw-c", &pong("10.200.2.2", "10.200.1.2", 3)), Some("no_flow"));
}

#[test]
fn never_back_to_the_sending_peer() {
    let mut node = Node::new(&relaying());
    let packet = udp("10.200.1.2", "10.200.1.3", (1, 2));
    assert_eq!(node.refusal_of("gw-b", &packet), Some("transit_refused"));
}

#[test]
fn a_relay_that_is_turned_off_stops_its_flows() {
    let mut node = Node::new(&relaying());
    let packet = udp("10.200.1.2", "10.200.2.2", (1, 2));
    relayed(&mut node, "gw-b", &packet);
    node.reload(&usual());
    assert_eq!(node.refusal_of("gw-b", &packet), Some("transit_refused"));
    assert!(node.0.flows().is_empty());
}

#[test]
fn errors_about_relayed_packets_are_relayed() {
    let mut node = Node::new(&relaying());
    let (_, there) = relayed(&mut node, "gw-b", &udp("10.200.1.2", "10.200.2.2", (1, 2)));
    let about = error("10.200.2.9", &there, (3, 3));
    let (peer, packet) = relayed(&mut node, "gw-c", &about);
    assert_eq!((peer.as_str(), &packet), ("gw-b", &Packet { ttl: 63, ..about }));
    check(&packet.to_bytes());
    assert_eq!(ends(&packet), "10.200.2.9 0 > 10.200.1.2 0");
}

#[test]
fn a_relay_without_a_live_peer_says_so() {
    let mut node = Node::new(&relaying());
    node.0.set_peer("gw-c", false, 0);
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.2.2", (1, 2)));
    assert_eq!(step.reason(), Some("peer_down"));
    assert_eq!(step.emitted.len(), 1);
}

#[test]
fn the_state_of_a_relayed_connection_follows_both_sides() {
    let mut node = Node::new(&relaying());
    let there = |flags| segment("10.200.1.2", "10.200.2.2", (999, 80), flags);
    let back = |flags| segment("10.200.2.2", "10.200.1.2", (80, 999), flags);
    relayed(&mut node, "gw-b", &there(SYN));
    relayed(&mut node, "gw-c", &back(SYN | ACK));
    assert_eq!(node.0.flows()[0].tcp_state(), TcpState::Opening);
    relayed(&mut node, "gw-b", &there(ACK));
    assert_eq!(node.0.flows()[0].tcp_state(), TcpState::Established);
    assert_eq!(node.0.flows()[0].flags, [SYN | ACK, SYN | ACK]);
    assert_eq!(node.0.flows().len(), 1);
}

#[test]
fn fragments_of_relayed_datagrams_follow() {
    let mut node = Node::new(&relaying());
    let whole = gridway_model::packet::build::udp(ip("10.200.1.2"), ip("10.200.2.2"), (1, 2), &[3; 60]);
    let pieces = whole.split(5, 24);
    assert_eq!(node.from("gw-b", &pieces[1]).fate, Fate::Held);
    let step = node.from("gw-b", &pieces[0]);
    assert!(matches!(&step.fate, Fate::Relayed { peer, .. } if peer == "gw-c"));
    assert_eq!(only(&step.emitted), (to_peer("gw-c"), Packet { ttl: 63, ..pieces[1].clone() }));
}

#[test]
fn a_local_host_cannot_join_a_relayed_flow() {
    let plain = "[[vnet]]\nname = \"one\"\ncidr = \"10.200.0.0/22\"\nnat = false\nrelay = true\n";
    let mut node = Node::new(&[plain, V4_ROUTES, ALLOW].concat());
    relayed(&mut node, "gw-b", &udp("10.200.1.2", "10.200.2.2", (1, 2)));
    assert_eq!(node.refusal(&udp("10.200.2.2", "10.200.1.2", (2, 1))), Some("spoofed_local"));
}
