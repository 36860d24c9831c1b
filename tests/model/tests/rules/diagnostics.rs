use gridway_model::packet::{ACK, Carries, RST, SYN};
use gridway_model::{Emitted, Origin, Packet, Step, To};

use crate::support::{
    ALLOW, INSIDE, NETMAP, Node, ROUTES, VNET, ip, only, ping, pooled, segment, to_peer, udp, usual, with_ttl,
};

/// ICMP type and code of the only thing said, and who says it.
fn said(step: &Step) -> ((u8, u8), String) {
    let (_, error) = only(&step.emitted);
    assert!(matches!(step.emitted[0].origin, Origin::Error { .. }));
    ((error.payload[0], error.payload[1]), error.source.to_string())
}

fn to_local(emitted: &[Emitted]) -> bool {
    emitted.iter().all(|emitted| emitted.to == To::Local(ip("10.1.0.2")))
}

#[test]
fn local_hosts_are_told_what_is_wrong() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"drop\"\nprotocol = \"udp\"\nports = \"1\"\n\
               [[vnet.acl]]\nline = 2\naction = \"reject\"\nprotocol = \"udp\"\nports = \"2\"\n\
               [[vnet.acl]]\nline = 3\naction = \"allow\"\nprotocol = \"udp\"\nports = \"3-9\"\n";
    let mut node = Node::new(&usual().replace(ALLOW, acl).replace("gw-c", "gw-d"));
    node.0.set_peer("gw-d", false, 0);
    let from = |destination: &str, port| udp("10.1.0.2", destination, (1000, port));
    let unrouted = "[[vnet.outside_nat]]\nvirtual = \"10.200.3.0/28\"\nlocal = \"172.16.3.0/28\"\n";
    for (packet, reason, code) in [
        (from("172.19.0.1", 3), "no_vnet", Some((3, 6))),
        (from("172.16.2.2", 3), "peer_down", Some((3, 1))),
        (from("172.16.1.2", 1), "acl_deny", None),
        (from("172.16.1.2", 2), "acl_reject", Some((3, 13))),
        (from("172.16.1.2", 10), "acl_no_match", Some((3, 13))),
        (with_ttl(&from("172.16.1.2", 3), 1), "ttl_exceeded", Some((11, 0))),
    ] {
        let step = node.out(&packet);
        assert_eq!(step.reason(), Some(reason));
        let expected: Vec<_> = code.map(|code| (code, "10.1.0.1".to_owned())).into_iter().collect();
        assert_eq!(step.emitted.iter().map(|_| said(&step)).collect::<Vec<_>>(), expected, "{reason}");
        assert!(to_local(&step.emitted));
    }
    node.reload(&[VNET, INSIDE, NETMAP, unrouted, ROUTES, ALLOW].concat());
    assert_eq!(said(&node.out(&from("172.16.3.2", 3))).0, (3, 0), "no_route");
    let stranger = udp("10.9.0.2", "172.16.1.2", (1, 3));
    assert_eq!(said(&node.out(&stranger)).0, (3, 6), "no_inside_nat");
}

#[test]
fn the_same_in_icmpv6() {
    let mut node = Node::new(&usual());
    let said_about = |node: &mut Node, packet: &Packet| said(&node.out(packet));
    let packet = udp("fd01::2", "fd02:0:0:2::7", (1, 2));
    assert_eq!(said_about(&mut node, &udp("fd01::2", "2001:db8::1", (1, 2))), ((1, 0), "fd01::1".into()));
    assert_eq!(said_about(&mut node, &with_ttl(&packet, 1)).0, (3, 0));
    node.0.set_peer("gw-b", false, 0);
    assert_eq!(said_about(&mut node, &packet).0, (1, 3));
    node.reload(&usual().replace(ALLOW, ""));
    assert_eq!(said_about(&mut node, &packet).0, (1, 1));
}

#[test]
fn the_overlay_is_told_from_the_vnets_address() {
    let mut node = Node::new(&usual());
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.3.1", (1, 2)));
    assert_eq!((step.reason(), said(&step)), (Some("no_inside_nat"), ((3, 7), "10.200.0.14".into())));
    assert_eq!(step.emitted[0].to, to_peer("gw-b"));
    let v6 = udp("fd00:200:0:2::7", "fd00:200:0:9::1", (1, 2));
    assert_eq!(said(&node.from("gw-b", &v6)), ((1, 3), "fd00:200:0:1::fe".into()));
    // Without an address of the family nothing is sent.
    let mut node = Node::new(&usual().replace("10.200.0.14\", \"", ""));
    let step = node.from("gw-b", &udp("10.200.1.2", "10.200.3.1", (1, 2)));
    assert!(step.emitted.is_empty());
    assert_eq!(said(&node.from("gw-b", &v6)).0, (1, 3));
}

#[test]
fn exhaustion_is_answered() {
    let mut node = Node::new(&pooled());
    let gre =
        |source: &str| gridway_model::packet::build::packet(ip(source), ip("10.200.0.2"), 47, vec![0; 8]);
    node.delivered("gw-b", &gre("10.200.1.2"));
    let step = node.from("gw-b", &gre("10.200.1.3"));
    assert_eq!((step.reason(), said(&step).0), (Some("pat_exhausted"), (3, 13)));
}

#[test]
fn spoofers_and_stragglers_are_told_nothing() {
    let mut node = Node::new(&pooled());
    for packet in [udp("10.1.0.2", "172.16.1.8", (1, 2)), crate::support::pong("10.1.0.2", "172.16.1.8", 1)] {
        assert!(node.out(&packet).emitted.is_empty());
    }
    for (peer, packet) in [
        ("gw-c", udp("10.200.1.2", "10.200.0.2", (1, 2))),
        ("gw-b", crate::support::pong("10.200.1.2", "10.200.0.2", 1)),
        ("gw-b", udp("10.200.1.2", "10.200.2.2", (1, 2))),
    ] {
        let step = node.from(peer, &packet);
        assert!(step.reason().is_some() && step.emitted.is_empty(), "{step:?}");
    }
}

#[test]
fn rejected_tcp_is_reset() {
    let acl = "[[vnet.acl]]\nline = 1\naction = \"reject\"\n";
    let mut node = Node::new(&usual().replace(ALLOW, acl));
    // A SYN with sequence number 1000: the reset acknowledges 1001.
    let step = node.out(&segment("10.1.0.2", "172.16.1.2", (999, 80), SYN));
    let (to, reset) = only(&step.emitted);
    assert_eq!(to, To::Local(ip("10.1.0.2")));
    assert_eq!(step.emitted[0].origin, Origin::Reset);
    assert_eq!(crate::support::ends(&reset), "172.16.1.2 80 > 10.1.0.2 999");
    assert_eq!(reset.carries(), Carries::Tcp(RST | ACK));
    assert_eq!(reset.payload[4..12], [[0; 4], 1001u32.to_be_bytes()].concat());
    // With an acknowledgement of 2000 the reset takes that as its sequence number.
    let step = node.from("gw-b", &segment("10.200.1.2", "10.200.0.2", (999, 80), ACK));
    let (to, reset) = only(&step.emitted);
    assert_eq!(to, to_peer("gw-b"));
    assert_eq!(crate::support::ends(&reset), "10.200.0.2 80 > 10.200.1.2 999");
    assert_eq!(reset.carries(), Carries::Tcp(RST));
    assert_eq!(reset.payload[4..8], 2000u32.to_be_bytes());
    let step = node.out(&segment("10.1.0.2", "172.16.1.2", (999, 80), RST));
    assert_eq!(step.reason(), Some("acl_reject"));
    assert!(step.emitted.is_empty(), "never in answer to a reset");
    assert_eq!(said(&node.out(&ping("10.1.0.2", "172.16.1.2", 1))).0, (3, 13));
}

#[test]
fn a_dark_vnet_says_nothing() {
    let dark = usual().replace("name = \"one\"", "name = \"one\"\ndark = true");
    let acl = "[[vnet.acl]]\nline = 1\naction = \"reject\"\n";
    let mut node = Node::new(&dark.replace(ALLOW, acl));
    assert!(node.out(&segment("10.1.0.2", "172.16.1.2", (999, 80), SYN)).emitted.is_empty());
    assert!(node.out(&udp("10.1.0.2", "172.16.1.2", (999, 80))).emitted.is_empty());
    assert!(node.out(&udp("10.1.0.2", "172.19.0.1", (1, 2))).emitted.is_empty(), "all vnets are dark");
    let two = "[[vnet]]\nname = \"two\"\ncidr = \"10.220.0.0/22\"\n";
    node.reload(&[&dark, two].concat());
    assert_eq!(said(&node.out(&udp("10.1.0.2", "172.19.0.1", (1, 2)))).0, (3, 6));
}

#[test]
fn an_error_quotes_the_packet_as_it_was_sent() {
    let mut node = Node::new(&usual());
    let packet = with_ttl(&udp("10.1.0.2", "172.16.1.2", (1000, 53)), 1);
    let (_, error) = only(&node.out(&packet).emitted);
    assert_eq!(error.payload[8..], packet.to_bytes());
    assert_eq!(error.destination, ip("10.1.0.2"));
    let big = gridway_model::packet::build::udp(ip("10.1.0.2"), ip("172.19.1.2"), (1, 2), &[0; 1000]);
    let (_, error) = only(&node.out(&big).emitted);
    assert_eq!(error.len(), 576);
}
