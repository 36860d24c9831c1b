use gridway_model::packet::build::udp;
use gridway_model::{Fate, Origin, Packet, To};

use crate::support::{INSIDE, NETMAP, Node, ROUTES, VNET, ip, pooled, read, to_peer, usual};

/// A datagram of 8 + 80 bytes in fragments of 32, 32 and 24.
fn pieces(source: &str, destination: &str, identification: u32) -> Vec<Packet> {
    let pieces = udp(ip(source), ip(destination), (1000, 53), &[7; 80]).split(identification, 32);
    assert_eq!(pieces.iter().map(|piece| piece.payload.len()).collect::<Vec<_>>(), [32, 32, 24]);
    pieces
}

fn out(identification: u32) -> Vec<Packet> {
    pieces("10.1.0.2", "172.16.1.2", identification)
}

/// Source, destination and offset of a packet that went out.
fn place(bytes: &[u8]) -> (String, String, usize) {
    let packet = read(bytes);
    (packet.source.to_string(), packet.destination.to_string(), packet.piece.offset)
}

fn virtually(offset: usize) -> (String, String, usize) {
    ("10.200.0.2".to_owned(), "10.200.1.2".to_owned(), offset)
}

#[test]
fn fragments_follow_their_first_one() {
    let mut node = Node::new(&usual());
    for (piece, offset) in out(9).iter().zip([0, 32, 64]) {
        let step = node.out(piece);
        assert_eq!(place(step.bytes().unwrap()), virtually(offset));
    }
    assert_eq!(node.0.flows().len(), 1);
}

#[test]
fn the_fragments_together_are_the_translated_datagram() {
    let mut node = Node::new(&usual());
    let whole = udp(ip("10.1.0.2"), ip("172.16.1.2"), (1000, 53), &[7; 80]);
    let sent: Vec<u8> = out(9).iter().flat_map(|piece| node.tunnelled(piece).1.payload).collect();
    assert_eq!(sent, Node::new(&usual()).tunnelled(&whole).1.payload);
}

#[test]
fn early_ones_wait_and_are_released_in_order_of_arrival() {
    let mut node = Node::new(&usual());
    let pieces = out(9);
    assert_eq!(node.out(&pieces[2]).fate, Fate::Held);
    assert_eq!(node.out(&pieces[1]).fate, Fate::Held);
    let step = node.out(&pieces[0]);
    assert_eq!(place(step.bytes().unwrap()), virtually(0));
    let released: Vec<_> = step.emitted.iter().map(|emitted| place(&emitted.bytes)).collect();
    assert_eq!(released, [virtually(64), virtually(32)]);
    assert!(step.emitted.iter().all(|e| e.to == to_peer("gw-b") && e.origin == Origin::Forwarded));
}

#[test]
fn datagrams_are_told_apart() {
    let mut node = Node::new(&usual());
    node.tunnelled(&out(9)[0]);
    assert_eq!(node.out(&out(10)[1]).fate, Fate::Held, "another identification");
    assert_eq!(node.out(&pieces("10.1.0.3", "172.16.1.2", 9)[1]).fate, Fate::Held, "another source");
    // The same addresses in the overlay are other ones.
    assert_eq!(node.from("gw-b", &pieces("10.200.1.2", "10.200.0.2", 9)[1]).fate, Fate::Held);
    assert_eq!(node.out(&out(9)[1]).reason(), None);
}

#[test]
fn all_share_the_fate_of_a_first_one_that_is_dropped() {
    let mut node = Node::new(&[VNET, INSIDE, NETMAP, ROUTES].concat());
    let pieces = out(9);
    assert_eq!(node.out(&pieces[1]).fate, Fate::Held);
    let step = node.out(&pieces[0]);
    assert_eq!(step.fate, Fate::Dropped("acl_no_match"));
    assert_eq!(step.dropped, ["acl_no_match"]);
    assert_eq!(step.emitted.len(), 1, "one error, about the first");
    let step = node.out(&pieces[2]);
    assert_eq!(step.fate, Fate::Dropped("acl_no_match"));
    assert!(step.emitted.is_empty(), "none about the others");
}

#[test]
fn waiting_ends_after_fifteen_seconds() {
    let mut node = Node::new(&usual());
    let pieces = out(9);
    node.out(&pieces[1]);
    node.wait(10);
    node.out(&pieces[2]);
    assert!(node.wait(4).is_empty());
    assert_eq!(node.wait(1), ["fragment_expired", "fragment_expired"]);
    // A datagram that passed is forgotten likewise.
    node.tunnelled(&pieces[0]);
    node.wait(15);
    assert_eq!(node.out(&pieces[1]).fate, Fate::Held);
}

#[test]
fn sixteen_may_wait() {
    let mut node = Node::new(&usual());
    let pieces = out(9);
    for _ in 0..16 {
        assert_eq!(node.out(&pieces[1]).fate, Fate::Held);
    }
    assert_eq!(node.out(&pieces[2]).fate, Fate::Dropped("fragment_limit"));
    assert_eq!(node.out(&pieces[0]).emitted.len(), 16);
}

#[test]
fn every_fragment_from_a_peer_passes_the_source_check() {
    let mut node = Node::new(&usual());
    let pieces = pieces("10.200.1.2", "10.200.0.2", 9);
    assert_eq!(node.from("gw-c", &pieces[1]).reason(), Some("source_check"));
    assert_eq!(node.from("gw-c", &pieces[0]).reason(), Some("source_check"));
    assert_eq!(node.from("gw-b", &pieces[1]).fate, Fate::Held, "the impostor's left no trace");
    let step = node.from("gw-b", &pieces[0]);
    assert_eq!(step.emitted[0].to, To::Local(ip("10.1.0.2")));
    assert_eq!(node.from("gw-c", &pieces[2]).reason(), Some("source_check"));
}

#[test]
fn fragments_of_translated_ports_follow_too() {
    let mut node = Node::new(&pooled());
    let pieces = pieces("10.200.1.2", "10.200.0.2", 9);
    for piece in &pieces {
        let packet = node.delivered("gw-b", piece);
        assert_eq!((packet.source, packet.destination), (ip("172.16.1.8"), ip("10.1.0.2")));
    }
}

#[test]
fn ipv6_fragments_are_named_by_32_bits() {
    let mut node = Node::new(&usual());
    let first = pieces("fd01::2", "fd02:0:0:2::7", 0x0001_0009);
    let other = pieces("fd01::2", "fd02:0:0:2::7", 0x0002_0009);
    assert_eq!(read(&first[1].to_bytes()), first[1]);
    node.tunnelled(&first[0]);
    assert_eq!(node.out(&other[1]).fate, Fate::Held);
    assert_eq!(node.tunnelled(&first[2]).1.destination, ip("fd00:200:0:2:fe01::7"));
}
