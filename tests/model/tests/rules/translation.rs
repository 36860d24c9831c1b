use gridway_model::packet::Header;
use gridway_model::{Fate, Packet};

use crate::support::{ALLOW, Node, ROUTES, VNET, check, ends, ip, segment, udp, usual};

#[test]
fn a_local_packet_goes_out_in_virtual_addresses() {
    let mut node = Node::new(&usual());
    let step = node.out(&udp("10.1.0.2", "172.16.1.2", (1000, 53)));
    // 10.1.0.2 is 10.200.0.2, 172.16.1.2 is 10.200.1.2. TTL 63. Header: 4500+001e+4000+3f11+0ac8+0002+
    // 0ac8+0102 = dac3, complement 253c. UDP: pseudo-header 16af, 03e8+0035+000a+6869 = 6c90, sum 833f,
    // complement 7cc0.
    let bytes = vec![
        0x45, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x40, 0x00, 0x3f, 0x11, 0x25, 0x3c, 10, 200, 0, 2, 10, 200, 1, 2,
        0x03, 0xe8, 0x00, 0x35, 0x00, 0x0a, 0x7c, 0xc0, b'h', b'i',
    ];
    let (peer, vnet) = ("gw-b".to_owned(), "one".to_owned());
    assert_eq!(step.fate, Fate::Tunnelled { peer, vnet, bytes });
    assert!(step.emitted.is_empty() && step.dropped.is_empty());
}

#[test]
fn an_overlay_packet_is_delivered_in_local_addresses() {
    let mut node = Node::new(&usual());
    let packet = node.delivered("gw-c", &udp("10.200.2.5", "10.200.0.3", (7, 8)));
    assert_eq!(ends(&packet), "172.16.2.5 7 > 10.1.0.3 8");
    assert_eq!(packet.ttl, 63);
}

#[test]
fn ipv6_prefixes_keep_the_sum() {
    let mut node = Node::new(&usual());
    let sent = udp("fd01::2", "fd02:0:0:2::7", (1000, 53));
    let (peer, packet) = node.tunnelled(&sent);
    assert_eq!(peer, "gw-b");
    // Source: fd01 - (fd00+0200+0001) = -0200 = fdff in word 4. Destination: fd02+0002 - (fd00+0200+0002)
    // = -01fe = fe01.
    assert_eq!(ends(&packet), "fd00:200:0:1:fdff::2 1000 > fd00:200:0:2:fe01::7 53");
    assert_eq!(packet.payload, sent.payload, "the checksum is what it was");
}

#[test]
fn lists_that_are_empty_mean_identity_within_cidr() {
    let mut node = Node::new(&[VNET, ROUTES, ALLOW].concat());
    let (_, packet) = node.tunnelled(&udp("10.200.0.2", "10.200.1.2", (1, 2)));
    assert_eq!(ends(&packet), "10.200.0.2 1 > 10.200.1.2 2");
    assert_eq!(node.refusal(&udp("10.9.0.2", "10.200.1.2", (1, 2))), Some("no_inside_nat"));
    assert_eq!(node.refusal(&udp("10.200.0.2", "10.204.0.1", (1, 2))), Some("no_vnet"));
    assert_eq!(node.refusal_of("gw-b", &udp("10.200.1.2", "10.9.0.2", (1, 2))), Some("no_inside_nat"));
}

#[test]
fn without_nat_addresses_stay_as_they_are() {
    let vnet = "[[vnet]]\nname = \"one\"\ncidr = \"10.200.0.0/22\"\nnat = false\n\
                [[vnet.route]]\nto = \"10.9.0.0/16\"\nvia = \"gw-b\"\n";
    let mut node = Node::new(&[vnet, ALLOW].concat());
    let (_, packet) = node.tunnelled(&udp("192.168.7.7", "10.9.1.2", (1, 2)));
    assert_eq!(ends(&packet), "192.168.7.7 1 > 10.9.1.2 2");
    let packet = node.delivered("gw-b", &udp("10.9.1.9", "192.168.7.7", (3, 4)));
    assert_eq!(ends(&packet), "10.9.1.9 3 > 192.168.7.7 4");
}

#[test]
fn selectors_choose_the_vnet() {
    let two = "[[vnet]]\nname = \"two\"\ncidr = \"10.200.0.0/22\"\n\
               [[vnet.outside_nat]]\nvirtual = \"10.200.1.0/28\"\nlocal = \"172.17.1.0/28\"\n\
               [[vnet.route]]\nto = \"10.200.1.0/28\"\nvia = \"gw-d\"\n\
               [[vnet.inside_nat]]\nlocal = \"10.1.0.0/28\"\nvirtual = \"10.200.0.0/28\"\n";
    let mut node = Node::new(&[&usual(), two, ALLOW].concat());
    assert_eq!(node.tunnelled(&udp("10.1.0.2", "172.17.1.2", (1, 2))).0, "gw-d");
    assert_eq!(node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1, 2))).0, "gw-b");
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.18.1.2", (1, 2))), Some("no_vnet"));
    assert_eq!(node.refusal(&udp("10.3.0.2", "172.17.1.2", (1, 2))), Some("no_inside_nat"));
    let step = node.0.inbound("gw-d", "three", &[0x45; 40], &mut gridway_model::ModelChooses).unwrap();
    assert_eq!(step.reason(), Some("malformed"));
    let bytes = udp("10.200.1.2", "10.200.0.2", (1, 2)).to_bytes();
    let step = node.0.inbound("gw-d", "three", &bytes, &mut gridway_model::ModelChooses).unwrap();
    assert_eq!(step.reason(), Some("unknown_vnet"));
}

#[test]
fn hosts_without_nat_are_refused() {
    let mut node = Node::new(&usual());
    assert_eq!(node.refusal_of("gw-b", &udp("10.200.1.2", "10.200.3.1", (1, 2))), Some("no_inside_nat"));
    let route = "[[vnet.route]]\nto = \"10.200.3.0/28\"\nvia = \"gw-b\"\n";
    let mut node = Node::new(&[&usual(), route].concat());
    assert_eq!(node.refusal_of("gw-b", &udp("10.200.3.1", "10.200.0.2", (1, 2))), Some("no_outside_nat"));
}

#[test]
fn addresses_of_all_ones_are_untranslatable() {
    let mut node = Node::new(&usual());
    let packet = udp("fd01::ffff:ffff:ffff:ffff", "fd02:0:0:2::7", (1, 2));
    assert_eq!(node.refusal(&packet), Some("untranslatable"));
}

#[test]
fn options_dscp_and_ecn_are_kept() {
    let mut packet = segment("10.1.0.2", "172.16.1.2", (1000, 80), 2);
    packet.class = 0xbb;
    packet.header = Header::V4 { identification: 77, dont_fragment: true, options: vec![1, 1, 1, 0] };
    let (_, out) = Node::new(&usual()).tunnelled(&packet);
    assert_eq!((out.class, &out.header), (0xbb, &packet.header));
}

#[test]
fn extension_headers_are_walked() {
    let mut packet = udp("fd01::2", "fd02:0:0:2::7", (1000, 53));
    packet.header =
        Header::V6 { flow_label: 0x12345, next_header: 60, extensions: vec![17, 0, 1, 4, 0, 0, 0, 0] };
    let read = Packet::read(&packet.to_bytes()).unwrap();
    assert_eq!(read, packet);
    let (_, out) = Node::new(&usual()).tunnelled(&packet);
    assert_eq!(out.header, packet.header);
    assert_eq!(out.source, ip("fd00:200:0:1:fdff::2"));
    check(&out.to_bytes());
}
