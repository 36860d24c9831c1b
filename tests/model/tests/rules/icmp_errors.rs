use gridway_model::packet::{Quote, SYN};
use gridway_model::{Fate, Packet};

use crate::support::{
    ALLOW, INSIDE, Node, ROUTES, VNET, check, ends, error, ip, ping, pooled, segment, udp, usual, with_ttl,
};

/// Source and destination of an error, and the packet that it quotes.
fn parts(error: &Packet) -> (String, String) {
    let tuple = Quote::read(error).expect("a quote with ports").tuple;
    let quote =
        format!("{} {} > {} {}", tuple.source, tuple.source_port, tuple.destination, tuple.destination_port);
    (format!("{} > {}", error.source, error.destination), quote)
}

#[test]
fn an_error_from_the_overlay_is_translated_inside_and_outside() {
    let mut node = Node::new(&usual());
    let sent = udp("10.1.0.2", "172.16.1.2", (1000, 53));
    let (_, there) = node.tunnelled(&sent);
    let step = node.from("gw-b", &error("10.200.1.9", &there, (3, 3)));
    let delivered = Packet::read(step.bytes().unwrap()).unwrap();
    assert_eq!(
        parts(&delivered),
        ("172.16.1.9 > 10.1.0.2".to_owned(), "10.1.0.2 1000 > 172.16.1.2 53".to_owned())
    );
    // The quote is what the host sent, but for the hop that it made: all its checksums are right.
    let quote = &delivered.payload[8..];
    check(quote);
    assert_eq!(Packet::read(quote).unwrap(), with_ttl(&sent, 63));
}

#[test]
fn an_error_to_the_overlay_is_translated_inside_and_outside() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &segment("10.200.1.3", "10.200.0.2", (5000, 80), SYN));
    let sent = segment("10.200.1.2", "10.200.0.2", (5000, 80), SYN);
    let here = node.mapped(&sent, ("172.16.1.8", 7000)).unwrap();
    let here = Packet::read(here.bytes().unwrap()).unwrap();
    let step = node.out(&error("10.1.0.2", &here, (3, 3)));
    let Fate::Tunnelled { peer, bytes, .. } = step.fate else { panic!("{step:?}") };
    let there = Packet::read(&bytes).unwrap();
    assert_eq!(peer, "gw-b");
    assert_eq!(
        parts(&there),
        ("10.200.0.2 > 10.200.1.2".to_owned(), "10.200.1.2 5000 > 10.200.0.2 80".to_owned())
    );
    check(&there.payload[8..]);
    assert_eq!(there.ttl, 63);
}

#[test]
fn a_quote_that_is_cut_off_is_translated_as_far_as_it_goes() {
    let mut node = Node::new(&usual());
    let (_, there) = node.tunnelled(&segment("10.1.0.2", "172.16.1.2", (999, 80), SYN));
    let mut quote = there.to_bytes();
    quote.truncate(28);
    let cut = gridway_model::packet::build::icmp(ip("10.200.1.9"), there.source, (11, 0), [0; 4], &quote);
    let delivered = node.delivered("gw-b", &cut);
    assert_eq!(parts(&delivered).1, "10.1.0.2 999 > 172.16.1.2 80");
    assert_eq!(delivered.payload.len(), 36);
}

#[test]
fn query_identifiers_in_quotes_are_translated() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &ping("10.200.1.3", "10.200.0.2", 7));
    let here = node.mapped(&ping("10.200.1.2", "10.200.0.2", 7), ("172.16.1.8", 40)).unwrap();
    let here = Packet::read(here.bytes().unwrap()).unwrap();
    let (_, there) = node.tunnelled(&error("10.1.0.2", &here, (3, 1)));
    assert_eq!(parts(&there).1, "10.200.1.2 7 > 10.200.0.2 7");
    check(&there.payload[8..]);
}

#[test]
fn without_a_flow_there_is_no_way() {
    let mut node = Node::new(&usual());
    let sent = udp("10.200.0.2", "10.200.1.2", (1000, 53));
    assert_eq!(node.refusal_of("gw-b", &error("10.200.1.9", &sent, (3, 3))), Some("icmp_no_flow"));
    let sent = udp("172.16.1.2", "10.1.0.2", (1000, 53));
    assert_eq!(node.refusal(&error("10.1.0.2", &sent, (3, 3))), Some("icmp_no_flow"));
    // To somebody else than the sender of the quoted packet.
    let (_, there) = node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1000, 53)));
    let mut astray = error("10.200.1.9", &there, (3, 3));
    astray.destination = ip("10.200.0.3");
    assert_eq!(node.refusal_of("gw-b", &astray), Some("icmp_no_flow"));
}

#[test]
fn an_error_is_not_judged_and_keeps_nothing_alive() {
    // Only UDP may pass.
    let acl = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nprotocol = \"udp\"\n";
    let mut node = Node::new(&usual().replace(ALLOW, acl));
    let (_, there) = node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1000, 53)));
    node.wait(200);
    let about = error("10.200.1.9", &there, (3, 3));
    assert_eq!(node.refusal_of("gw-b", &about), None);
    assert_eq!(node.refusal_of("gw-c", &about), Some("source_check"), "but its source is checked");
    node.wait(100);
    assert_eq!(node.refusal_of("gw-b", &about), Some("icmp_no_flow"));
}

#[test]
fn a_source_without_translation_is_stood_in_for() {
    // Behind a pool only the flow's own host has an address.
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    let (_, answer) = node.tunnelled(&udp("10.1.0.2", "172.16.1.8", (80, 5000)));
    let from_router = node.delivered("gw-b", &error("10.200.1.9", &answer, (11, 0)));
    assert_eq!(parts(&from_router).0, "10.1.0.1 > 10.1.0.2");
    let from_host = node.delivered("gw-b", &error("10.200.1.2", &answer, (3, 3)));
    assert_eq!(parts(&from_host).0, "172.16.1.8 > 10.1.0.2");

    // A local router that takes no part: the vnet's address.
    let here = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    let (_, there) = node.tunnelled(&error("192.168.1.1", &here, (11, 0)));
    assert_eq!(parts(&there).0, "10.200.0.14 > 10.200.1.2");

    let mut node = Node::new(&pooled().replace("10.200.0.14\", \"", ""));
    let here = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    assert_eq!(node.refusal(&error("192.168.1.1", &here, (11, 0))), Some("no_inside_nat"));
}

#[test]
fn icmpv6_errors_too() {
    let mut node = Node::new(&usual());
    let sent = udp("fd01::2", "fd02:0:0:2::7", (1000, 53));
    let (_, there) = node.tunnelled(&sent);
    let about = error("fd00:200:0:2:fe01::7", &there, (1, 4));
    let step = node.from("gw-b", &about);
    let delivered = Packet::read(step.bytes().unwrap()).unwrap();
    assert_eq!(parts(&delivered).0, "fd02:0:0:2::7 > fd01::2");
    assert_eq!(Packet::read(&delivered.payload[8..]).unwrap(), with_ttl(&sent, 63));
}

#[test]
fn other_messages_are_not_forwarded() {
    let mut node = Node::new(&usual());
    let redirect = error("10.1.0.2", &udp("172.16.1.2", "10.1.0.2", (1, 2)), (5, 1));
    let step = node.out(&Packet { destination: ip("172.16.1.2"), ..redirect });
    assert_eq!(step.fate, Fate::Dropped("icmp_unsupported"));
    assert!(step.emitted.is_empty());
}

#[test]
fn an_error_goes_where_the_flow_goes() {
    let second = "[[vnet.route]]\nto = \"10.200.1.0/28\"\nvia = \"gw-d\"\nmetric = 200\n";
    let mut node = Node::new(&[VNET, INSIDE, crate::support::NETMAP, ROUTES, second, ALLOW].concat());
    let here = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    node.0.set_peer("gw-b", false, 0);
    let step = node.out(&error("10.1.0.2", &here, (3, 3)));
    assert!(matches!(step.fate, Fate::Tunnelled { ref peer, .. } if peer == "gw-d"), "{step:?}");
    node.0.set_peer("gw-d", false, 0);
    let step = node.out(&error("10.1.0.2", &here, (3, 3)));
    assert_eq!(step.reason(), Some("peer_down"));
    assert!(step.emitted.is_empty(), "nothing is said about errors");
    assert_eq!(ends(&here), "172.16.1.2 5000 > 10.1.0.2 80");
}

#[test]
fn local_errors_go_to_the_sender_of_the_quoted_packet_and_whatever_their_source() {
    let mut node = Node::new(&usual());
    let here = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    let mut astray = error("10.1.0.2", &here, (3, 3));
    astray.destination = ip("172.16.1.3");
    assert_eq!(node.refusal(&astray), Some("icmp_no_flow"));
    // 10.1.0.9 is 10.200.0.9, which a longer route gives to gw-d.
    let route = "[[vnet.route]]\nto = \"10.200.0.9/32\"\nvia = \"gw-d\"\n";
    node.reload(&[&usual(), route].concat());
    let (_, there) = node.tunnelled(&error("10.1.0.9", &here, (3, 3)));
    assert_eq!(parts(&there).0, "10.200.0.14 > 10.200.1.2");
    assert_eq!(node.refusal(&error("10.1.0.3", &here, (3, 3))), None);
}
