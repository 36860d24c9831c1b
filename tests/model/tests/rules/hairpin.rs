use gridway_model::packet::Quote;
use gridway_model::{Fate, Packet};

use crate::support::{
    ALLOW, INSIDE, Node, ROUTES, VNET, ends, error, ip, only, ping, pong, read, to_peer, udp, with_ttl,
};

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
    assert_eq!(packet.ttl, 62, "each half is a hop");
    // The answer comes the same way.
    let (peer, packet) = back(&mut node, "gw-c", &udp("10.200.2.2", "10.200.0.8", (6000, 5000)));
    assert_eq!((peer.as_str(), ends(&packet).as_str()), ("gw-b", "10.200.0.8 6000 > 10.200.1.2 5000"));
}

#[test]
fn without_a_mapping_there_is_no_way() {
    let mut node = hairpinning();
    let packet = udp("10.200.1.2", "10.200.0.9", (5000, 6000));
    assert_eq!(node.refusal_of("gw-b", &packet), Some("pat_no_mapping"));
}

#[test]
fn nobody_is_told_of_a_hairpin_that_fails() {
    let mut node = hairpinning();
    node.delivered("gw-c", &udp("10.200.2.2", "10.200.0.2", (6000, 80)));
    node.0.set_peer("gw-c", false, 0);
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.0.8", (5000, 6000)));
    assert_eq!(step.reason(), Some("peer_down"));
    assert!(step.emitted.is_empty());
    assert_eq!(node.0.flows().len(), 2, "the first half began");
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
    assert_eq!((peer.as_str(), packet.ttl), ("gw-b", 62));
    let quote = Quote::read(&packet).unwrap().tuple;
    assert_eq!(ends(&packet), "10.200.0.8 0 > 10.200.1.2 0");
    assert_eq!((quote.source, quote.source_port), (packet.destination, 5000));
    assert_eq!((quote.destination.to_string().as_str(), quote.destination_port), ("10.200.0.8", 6000));
}

#[test]
fn fragments_take_the_hairpin_of_their_first_one() {
    let mut node = hairpinning();
    node.delivered("gw-c", &udp("10.200.2.2", "10.200.0.2", (6000, 80)));
    let whole = gridway_model::packet::build::udp(ip("10.200.1.2"), ip("10.200.0.8"), (5000, 6000), &[3; 60]);
    let pieces = whole.split(5, 24);
    assert_eq!(node.from("gw-b", &pieces[2]).fate, Fate::Held);
    let step = node.from("gw-b", &pieces[0]);
    assert!(matches!(&step.fate, Fate::Tunnelled { peer, .. } if peer == "gw-c"), "{step:?}");
    let (to, released) = only(&step.emitted);
    assert_eq!((to, released.piece.offset, released.ttl), (to_peer("gw-c"), 48, 62));
    assert_eq!(ends(&released), "10.200.0.8 0 > 10.200.2.2 0");
    let (peer, packet) = back(&mut node, "gw-b", &pieces[1]);
    assert_eq!((peer.as_str(), packet.ttl, packet.piece.offset), ("gw-c", 62, 24));
}

#[test]
fn a_hairpinned_query_shows_the_identifier_of_its_destination() {
    let mut node = hairpinning();
    node.delivered("gw-b", &ping("10.200.1.4", "10.200.0.2", 9));
    assert!(node.mapped(&ping("10.200.1.3", "10.200.0.2", 9), ("10.1.0.8", 7)).is_ok());
    // 10.200.1.2 becomes 10.1.0.9 identifier 7, and what comes out bears 9, that of 10.200.1.3: of the
    // choice only the address is to be seen, here as the vnet knows it.
    let step = node.mapped(&ping("10.200.1.2", "10.200.0.8", 7), ("10.200.0.9", 9)).unwrap();
    assert_eq!(ends(&read(step.bytes().unwrap())), "10.200.0.9 9 > 10.200.1.3 9");
    let (_, packet) = back(&mut node, "gw-b", &pong("10.200.1.3", "10.200.0.9", 9));
    assert_eq!(ends(&packet), "10.200.0.8 7 > 10.200.1.2 7");
}
