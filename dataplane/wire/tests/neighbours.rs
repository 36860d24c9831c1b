//! ARP and neighbour discovery, answered in place; etherparse reads the answers.

use std::net::Ipv6Addr;

use etherparse::{
    ArpOperation, EtherType, Icmpv6Header, Icmpv6Type, IpNumber, Ipv6Header, NetSlice, SlicedPacket,
    TransportSlice,
};
use gridway_wire::arp::ArpRequest;
use gridway_wire::ethernet::{Ethernet, ether_type};
use gridway_wire::mac::MacAddr;
use gridway_wire::malformed::Malformed;
use gridway_wire::ndp::{ADVERTISEMENT_FRAME_LEN, NeighbourSolicitation, solicited_node};

const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn arp_request() -> Vec<u8> {
    let mut frame = [&[0xff; 6][..], &HOST.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &HOST.0].concat();
    frame.extend([10, 1, 0, 2, 0, 0, 0, 0, 0, 0, 10, 9, 0, 7]);
    frame.resize(60, 0);
    frame
}

#[test]
fn answers_an_arp_request() {
    let mut frame = arp_request();
    let request = ArpRequest::parse(&frame).unwrap();
    assert_eq!(request.sender_mac, HOST);
    assert_eq!(request.sender_ip.to_string(), "10.1.0.2");
    assert_eq!(request.target_ip.to_string(), "10.9.0.7");
    assert!(!request.is_probe() && !request.is_gratuitous());
    request.answer_in_place(&mut frame, OURS).unwrap();
    let header = Ethernet { destination: HOST, source: OURS, ether_type: ether_type::ARP };
    assert_eq!(Ethernet::parse(&frame), Ok(header));
    let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(NetSlice::Arp(arp)) = sliced.net else { panic!("no ARP: {sliced:?}") };
    assert_eq!(arp.operation(), ArpOperation::REPLY);
    assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&OURS.0[..], &[10, 9, 0, 7][..]));
    assert_eq!((arp.target_hw_addr(), arp.target_protocol_addr()), (&HOST.0[..], &[10, 1, 0, 2][..]));
    assert_eq!(frame.len(), 60);
}

#[test]
fn tells_probes_and_announcements_from_questions() {
    let mut probe = arp_request();
    probe[28..32].fill(0);
    assert!(ArpRequest::parse(&probe).unwrap().is_probe());
    let mut announcement = arp_request();
    announcement.copy_within(28..32, 38);
    assert!(ArpRequest::parse(&announcement).unwrap().is_gratuitous());
}

#[test]
fn refuses_arp_that_it_cannot_answer() {
    for length in 0..42 {
        assert!(ArpRequest::parse(&arp_request()[..length]).is_err());
    }
    for (at, value, reason) in [
        (13, 0, Malformed::TruncatedArp),
        (15, 6, Malformed::UnsupportedArp),
        (16, 9, Malformed::UnsupportedArp),
        (18, 8, Malformed::UnsupportedArp),
        (19, 16, Malformed::UnsupportedArp),
        (21, 2, Malformed::UnsupportedArp),
        (22, 3, Malformed::BadArpSender),
    ] {
        let mut frame = arp_request();
        frame[at] = value;
        assert_eq!(ArpRequest::parse(&frame), Err(reason), "byte {at}");
    }
    let request = ArpRequest::parse(&arp_request()).unwrap();
    assert_eq!(request.answer_in_place(&mut [0; 41], OURS), Err(Malformed::TruncatedArp));
}

struct Solicitation {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    target: Ipv6Addr,
    hop_limit: u8,
    code: u8,
    options: Vec<u8>,
}

impl Default for Solicitation {
    fn default() -> Self {
        let target = "fd00:9::7".parse().expect("an address");
        Self {
            source: "fd00:1::2".parse().expect("an address"),
            destination: solicited_node(target),
            target,
            hop_limit: 255,
            code: 0,
            options: [&[1, 1][..], &HOST.0].concat(),
        }
    }
}

impl Solicitation {
    fn frame(&self) -> Vec<u8> {
        let payload = [&self.target.octets()[..], &self.options].concat();
        let kind = Icmpv6Type::Unknown { type_u8: 135, code_u8: self.code, bytes5to8: [0; 4] };
        let (source, destination) = (self.source.octets(), self.destination.octets());
        let icmp = Icmpv6Header::with_checksum(kind, source, destination, &payload).expect("a short payload");
        let ip = Ipv6Header {
            payload_length: 8 + payload.len() as u16,
            next_header: IpNumber::IPV6_ICMP,
            hop_limit: self.hop_limit,
            source,
            destination,
            ..Default::default()
        };
        let mut frame = [0x33, 0x33, 0xff, 0, 0, 7].to_vec();
        frame.extend([2, 0, 0, 0, 0, 9]);
        frame.extend(EtherType::IPV6.0.to_be_bytes());
        frame.extend(ip.to_bytes());
        frame.extend(icmp.to_bytes());
        frame.extend(payload);
        frame
    }
}

#[test]
fn answers_a_neighbour_solicitation_with_and_without_its_option() {
    for (options, sender) in [(Solicitation::default().options, HOST), (vec![], MacAddr([2, 0, 0, 0, 0, 9]))]
    {
        let spec = Solicitation { options, ..Default::default() };
        let mut frame = spec.frame();
        let asked = NeighbourSolicitation::parse(&frame).unwrap();
        assert_eq!((asked.source, asked.target, asked.sender_mac), (spec.source, spec.target, sender));
        assert_eq!(asked.destination.to_string(), "ff02::1:ff00:7");
        frame.resize(200, 0x77);
        let length = asked.answer_in_place(&mut frame, OURS).unwrap();
        assert_eq!(length, ADVERTISEMENT_FRAME_LEN);
        let header = Ethernet { destination: sender, source: OURS, ether_type: ether_type::IPV6 };
        assert_eq!(Ethernet::parse(&frame), Ok(header));
        let sliced = SlicedPacket::from_ethernet(&frame[..length]).unwrap();
        let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) = (&sliced.net, &sliced.transport)
        else {
            panic!("no ICMPv6: {sliced:?}");
        };
        assert_eq!((ip.header().hop_limit(), ip.header().payload_length()), (255, 32));
        assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (spec.target, spec.source));
        assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
        let Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else {
            panic!("{:?}", icmp.icmp_type())
        };
        assert!(flags.solicited && flags.r#override && !flags.router);
        assert_eq!(icmp.payload(), [&spec.target.octets()[..], &[2, 1], &OURS.0].concat());
    }
}

#[test]
fn never_answers_duplicate_address_detection() {
    let probe = Solicitation { source: Ipv6Addr::UNSPECIFIED, options: vec![], ..Default::default() };
    let mut frame = probe.frame();
    let asked = NeighbourSolicitation::parse(&frame).unwrap();
    assert!(asked.is_probe());
    frame.resize(100, 0);
    assert_eq!(asked.answer_in_place(&mut frame, OURS), Err(Malformed::UnspecifiedSource));
}

#[test]
fn refuses_solicitations_that_rfc_4861_refuses() {
    let group = "ff02::1".parse().unwrap();
    let unspecified = Ipv6Addr::UNSPECIFIED;
    let default = Solicitation::default;
    for (case, spec) in [
        ("passed on by a router", Solicitation { hop_limit: 254, ..default() }),
        ("a code", Solicitation { code: 1, ..default() }),
        ("a target that is a group", Solicitation { target: group, ..default() }),
        ("a source that is a group", Solicitation { source: group, ..default() }),
        ("an option of no length", Solicitation { options: vec![14, 0, 0, 0, 0, 0, 0, 0], ..default() }),
        ("an option beyond the end", Solicitation { options: vec![1, 2, 0, 0, 0, 0, 0, 0], ..default() }),
        ("half an option", Solicitation { options: vec![1], ..default() }),
        ("a group's hardware address", Solicitation { options: vec![1, 1, 1, 0, 0, 0, 0, 0], ..default() }),
        ("a probe with an option", Solicitation { source: unspecified, ..default() }),
        (
            "a probe to another group",
            Solicitation { source: unspecified, destination: group, options: vec![], ..default() },
        ),
    ] {
        let refused = Err(Malformed::BadNeighbourSolicitation);
        assert_eq!(NeighbourSolicitation::parse(&spec.frame()), refused, "{case}");
    }
    let whole = default().frame();
    for length in 0..whole.len() {
        assert!(NeighbourSolicitation::parse(&whole[..length]).is_err());
    }
    for bit in 14 * 8 + 32..whole.len() * 8 {
        let mut frame = whole.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        assert!(NeighbourSolicitation::parse(&frame).is_err(), "bit {bit} flipped");
    }
    let asked = NeighbourSolicitation::parse(&whole).unwrap();
    assert_eq!(asked.answer_in_place(&mut [0; 85], OURS), Err(Malformed::TruncatedEthernet));
}
