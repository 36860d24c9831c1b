use gridway_model::packet::Quote;
use gridway_model::{Fate, Packet};

use crate::support::{ALLOW, INSIDE, Node, ROUTES, VNET, ends, error, read, udp, with_ttl};

/// The pool lies within the local side of the inside NAT: 10.1.0.8 and 10.1.0.9 are 10.200.0.8 and
/// 10.200.0.9 in the vnet.
fn hairpinning() -> Node {
    let pool = "[[vnet.outside_nat]]\nvirtual = \"10.200.0.0/22\"\nlocal = \"10.1.0.8/31\"\n";
    Node::new(&[VNET, INSIDE, pool, ROUTES, ALLOW].concat())
}

fn back(node: &mut Node, from: &str, packet: &Packet) -> (String, Packet) {
    match node.from(from, packet).fate {
        Fate::Tunnelled { peer, bytes, .. } => (peer, read(&bytes)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_remote_hosts_meet_at_their_mappings() {
    let mut node = hairpinning();
    // 10.200.2.2 is 10.1.0.8 port 6000, because it has spoken to a local host.
    let packet = node.delivered("gw-c", &udp("10.200.2.2", "10.200.0.2", (6000, 80)));
    assert_eq!(ends(&packet), "10.1.0.8 6000 > 10.1.0.2 80");
    // 10.200.1.2 writes to it there, and is mapped itself: to 10.1.0.8 port 5000, in the vnet 10.200.0.8.
    let (peer, packet) = back(&mut node, "gw-b", &udp("10.200.1.2", "10.200.0.8", (5000, 6000)));
    assert_eq!((peer.as_str(), ends(&packet).as_str()), ("gw-c", "10.200.0.8 5000 > 10.200.2.2 6000"));
    assert_eq!(packet.ttl, 63, "one node, one hop");
    // The answer comes the same way.
    let (peer, packet) = back(&mut node, "gw-c", &udp("10.200.2.2", "10.200.0.8", (6000, 5000)));
    assert_eq!((peer.as_str(), ends(&packet).as_str()), ("gw-b", "10.200.0.8 6000 > 10.200.1.2 5000"));
}

#[test]
fn without_a_mapping_the_packet_is_a_local_hosts() {
    let mut node = hairpinning();
    let packet = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.9", (5000, 6000)));
    assert_eq!(ends(&packet), "10.1.0.8 5000 > 10.1.0.9 6000");
}

#[test]
fn a_hairpin_that_fails_leaves_nothing_behind_and_is_answered() {
    let mut node = hairpinning();
    node.delivered("gw-c", &udp("10.200.2.2", "10.200.0.2", (6000, 80)));
    node.0.set_peer("gw-c", false, 0);
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.0.8", (5000, 6000)));
    assert_eq!(step.reason(), Some("peer_down"));
    assert_eq!(step.emitted.len(), 1);
    assert_eq!(node.0.flows().len(), 1);
    node.0.set_peer("gw-c", true, 1500);
    let packet = with_ttl(&udp("10.200.1.2", "10.200.0.8", (5000, 6000)), 1);
    assert_eq!(node.refusal_of("gw-b", &packet), Some("ttl_exceeded"));
}

#[test]
fn errors_come_back_by_the_hairpin() {
    let mut node = hairpinning();
    node.delivered("gw-c", &udp("10.200.2.2", "10.200.0.2", (6000, 80)));
    let (_, there) = back(&mut node, "gw-b", &udp("10.200.1.2", "10.200.0.8", (5000, 6000)));
    let (peer, packet) = back(&mut node, "gw-c", &error("10.200.2.2", &there, (3, 3)));
    assert_eq!(peer, "gw-b");
    let quote = Quote::read(&packet).unwrap().tuple;
    assert_eq!(ends(&packet), "10.200.0.8 0 > 10.200.1.2 0");
    assert_eq!((quote.source, quote.source_port), (packet.destination, 5000));
    assert_eq!((quote.destination.to_string().as_str(), quote.destination_port), ("10.200.0.8", 6000));
}
