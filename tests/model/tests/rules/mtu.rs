use gridway_model::packet::build::{Segment, tcp, udp};
use gridway_model::packet::{ACK, Header, SYN};
use gridway_model::{Fate, Packet, To};

use crate::support::{Node, ip, only, to_peer, usual};

fn datagram(source: &str, destination: &str, length: usize, dont_fragment: bool) -> Packet {
    let mut packet = udp(ip(source), ip(destination), (1000, 53), &vec![7; length - 28]);
    if let Header::V4 { identification, dont_fragment: flag, .. } = &mut packet.header {
        (*identification, *flag) = (0x1234, dont_fragment);
        packet.piece.identification = 0x1234;
    }
    packet
}

fn syn(source: &str, destination: &str, flags: u8, mss: Option<u16>) -> Packet {
    let options = mss.map_or(vec![1, 1, 1, 0], |mss| [vec![2, 4], mss.to_be_bytes().to_vec()].concat());
    let segment = Segment { flags, options, ..Segment::default() };
    tcp(ip(source), ip(destination), (999, 80), &segment, &[])
}

/// The usual node, with 1400 for the vnet and 1300 for `gw-c`.
fn narrow() -> Node {
    let mut node = Node::new(&usual().replace("[[vnet.inside_nat]]\nlocal = \"10.1.0.0/28\"", "#").replacen(
        "#",
        "mtu = 1400\n[[vnet.inside_nat]]\nlocal = \"10.1.0.0/28\"",
        1,
    ));
    node.0.set_peer("gw-c", true, 1300);
    node
}

#[test]
fn the_least_of_three_counts() {
    let mut node = narrow();
    assert_eq!(node.refusal(&datagram("10.1.0.2", "172.16.1.2", 1400, true)), None);
    for (destination, length, mtu) in [("172.16.1.2", 1401, 1400u16), ("172.16.2.2", 1301, 1300)] {
        let step = node.out(&datagram("10.1.0.2", destination, length, true));
        assert_eq!(step.reason(), Some("too_big"));
        let (to, error) = only(&step.emitted);
        assert_eq!((to, error.source), (To::Local(ip("10.1.0.2")), ip("10.1.0.1")));
        let [high, low] = mtu.to_be_bytes();
        assert_eq!(error.payload[..2], [3, 4]);
        assert_eq!(error.payload[4..8], [0, 0, high, low]);
    }
    // Delivered, only the data link's own MTU counts.
    assert_eq!(node.refusal_of("gw-c", &datagram("10.200.2.2", "10.200.0.2", 1500, true)), None);
    let step = node.from("gw-c", &datagram("10.200.2.2", "10.200.0.2", 1501, true));
    assert_eq!(step.reason(), Some("too_big"));
    let (to, error) = only(&step.emitted);
    assert_eq!((to, error.source), (to_peer("gw-c"), ip("10.200.0.14")));
    assert_eq!(error.payload[4..8], [0, 0, 0x05, 0xdc]);
}

#[test]
fn ipv6_is_never_cut() {
    let mut node = narrow();
    let packet = udp(ip("fd01::2"), ip("fd02:0:0:2::7"), (1, 2), &[0; 1353]);
    assert_eq!(packet.len(), 1401);
    let step = node.out(&packet);
    assert_eq!(step.reason(), Some("too_big"));
    let (_, error) = only(&step.emitted);
    assert_eq!(
        error.payload[..8],
        [[2, 0], [error.payload[2], error.payload[3]], [0, 0], [0x05, 0x78]].concat()
    );
    assert_eq!(error.len(), 1280);
}

#[test]
fn ipv4_is_cut_after_translation_where_it_may() {
    let mut node = narrow();
    let packet = datagram("10.1.0.2", "172.16.2.2", 1500, false);
    let whole = Node::new(&usual()).tunnelled(&packet).1;
    let step = node.out(&packet);
    let Fate::Tunnelled { peer, bytes, .. } = &step.fate else { panic!("{step:?}") };
    assert_eq!(peer, "gw-c");
    let first = Packet::read(bytes).unwrap();
    let (to, second) = only(&step.emitted);
    assert_eq!(to, to_peer("gw-c"));
    // 1480 bytes of payload: 1280 fit, which is a multiple of 8; 200 are left.
    assert_eq!((first.len(), first.piece.more), (1300, true));
    assert_eq!((second.len(), second.piece.more, second.piece.offset), (220, false, 1280));
    assert_eq!([first.payload, second.payload].concat(), whole.payload);
    assert_eq!((second.piece.identification, second.ttl), (0x1234, 63));
}

#[test]
fn a_fragment_may_be_cut_again() {
    let mut node = narrow();
    let mut piece = datagram("10.1.0.2", "172.16.2.2", 1500, false);
    piece.piece.more = true;
    let step = node.out(&piece);
    assert!(Packet::read(step.bytes().unwrap()).unwrap().piece.more);
    assert!(only(&step.emitted).1.piece.more, "the last piece of a fragment that others follow");
}

#[test]
fn options_without_copy_bit_stay_in_the_first_fragment() {
    let mut node = narrow();
    let mut packet = datagram("10.1.0.2", "172.16.2.2", 1492, false);
    // No operation, a copied option of three bytes (router alert would be four), record route not copied.
    let options = vec![1, 0x94, 3, 0, 7, 3, 4, 0];
    packet.header = Header::V4 { identification: 1, dont_fragment: false, options: options.clone() };
    let step = node.out(&packet);
    let first = Packet::read(step.bytes().unwrap()).unwrap();
    let second = only(&step.emitted).1;
    let kept = |packet: &Packet| match &packet.header {
        Header::V4 { options, .. } => options.clone(),
        Header::V6 { .. } => panic!("IPv4"),
    };
    assert_eq!((kept(&first), kept(&second)), (options, vec![0x94, 3, 0, 0]));
}

#[test]
fn mss_is_lowered_to_what_fits_in_both_directions() {
    let mut node = narrow();
    let (_, packet) = node.tunnelled(&syn("10.1.0.2", "172.16.1.2", SYN, Some(1460)));
    assert_eq!(packet.mss(), Some(1360));
    // The answer tells the local host what it may send: to gw-b, by the same path.
    let mut answer = syn("10.200.1.2", "10.200.0.2", SYN | ACK, Some(1460));
    answer = tcp(
        answer.source,
        answer.destination,
        (80, 999),
        &Segment { flags: SYN | ACK, options: vec![2, 4, 0x05, 0xb4], ..Segment::default() },
        &[],
    );
    assert_eq!(node.delivered("gw-b", &answer).mss(), Some(1360));
    let (_, packet) = node.tunnelled(&syn("fd01::2", "fd02:0:0:2::7", SYN, Some(1440)));
    assert_eq!(packet.mss(), Some(1340));
    let packet = node.delivered("gw-c", &syn("10.200.2.2", "10.200.0.2", SYN, Some(1460)));
    assert_eq!(packet.mss(), Some(1260));
}

#[test]
fn mss_is_neither_raised_nor_added_nor_touched_elsewhere() {
    let mut node = narrow();
    assert_eq!(node.tunnelled(&syn("10.1.0.2", "172.16.1.2", SYN, Some(536))).1.mss(), Some(536));
    assert_eq!(node.tunnelled(&syn("10.1.0.3", "172.16.1.2", SYN, None)).1.mss(), None);
    let data = syn("10.1.0.4", "172.16.1.2", ACK, Some(1460));
    assert_eq!(node.tunnelled(&data).1.payload[20..24], [2, 4, 0x05, 0xb4]);
}

#[test]
fn the_mss_of_a_delivered_syn_is_that_of_the_way_back() {
    // gw-d may send what gw-b's hosts send, but the answers go to gw-b, which takes less.
    let worse = "[[vnet.route]]\nto = \"10.200.1.0/28\"\nvia = \"gw-d\"\nmetric = 200\n";
    let mut node = Node::new(&[&usual(), worse].concat());
    node.0.set_peer("gw-b", true, 1300);
    let packet = node.delivered("gw-d", &syn("10.200.1.2", "10.200.0.2", SYN, Some(1460)));
    assert_eq!(packet.mss(), Some(1260));
}

#[test]
fn a_peer_with_a_larger_mtu_does_not_widen_the_data_link() {
    let mut node = Node::new(&usual());
    node.0.set_peer("gw-b", true, 9000);
    assert_eq!(node.refusal(&datagram("10.1.0.2", "172.16.1.2", 1500, true)), None);
    assert_eq!(node.refusal(&datagram("10.1.0.2", "172.16.1.2", 1501, true)), Some("too_big"));
}
