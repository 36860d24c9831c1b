//! Packets that a node makes: resets and probes.

use std::net::IpAddr;

use gridway_wire::generate::{Content, PacketSpec, judge, packet};
use gridway_wire::icmp::{MAX_ECHO_REQUEST_LEN, echo_reply_in_place, echo_sequence, write_echo_request};
use gridway_wire::packet::{Fragment, Transport, parse};
use gridway_wire::segment::{MAX_SEGMENT_LEN, Segment};
use gridway_wire::tcp::TcpFlags;
use proptest::prelude::*;

/// What `PacketSpec` gives every TCP packet.
const SEQUENCE: u32 = 0x0102_0304;
const ACKNOWLEDGEMENT: u32 = 0x0506_0708;

fn tcp(flags: TcpFlags, option_words: usize, payload: usize) -> PacketSpec {
    PacketSpec {
        source: "10.1.0.2".parse().expect("an address"),
        destination: "10.2.0.2".parse().expect("an address"),
        ttl: 9,
        class: 0,
        extras: 0,
        content: Content::Tcp { ports: (4000, 443), flags: flags.0, option_words },
        payload: vec![7; payload],
    }
}

fn reset_of(spec: &PacketSpec) -> Option<Segment> {
    let bytes = spec.to_bytes();
    Segment::reset(&bytes, &parse(&bytes).expect("a packet"))
}

/// RFC 9293, 3.10.7.1: "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
/// If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>."
#[test]
fn a_reset_follows_the_table_of_rfc_9293() {
    let (syn, fin, ack, psh) = (TcpFlags::SYN, TcpFlags::FIN, TcpFlags::ACK, TcpFlags::PSH);
    let answered = |length: u32| (0, SEQUENCE + length, TcpFlags::RST | ack);
    let acknowledged = (ACKNOWLEDGEMENT, 0, TcpFlags::RST);
    let cases = [
        (syn, 0, 0, answered(1)),
        (syn, 5, 0, answered(1)),
        (syn, 3, 17, answered(18)),
        (syn | fin, 0, 2, answered(4)),
        (fin, 0, 0, answered(1)),
        (psh, 0, 9, answered(9)),
        (TcpFlags(0), 0, 0, answered(0)),
        (syn | ack, 2, 0, acknowledged),
        (ack, 0, 100, acknowledged),
        (fin | ack, 0, 1, acknowledged),
    ];
    for (flags, option_words, payload, expected) in cases {
        let reset = reset_of(&tcp(flags, option_words, payload)).expect("it is answered");
        assert_eq!((reset.sequence, reset.acknowledgement, reset.flags), expected, "{flags:?} {payload}");
        assert_eq!(reset.source, ("10.2.0.2".parse().expect("an address"), 443));
        assert_eq!(reset.destination, ("10.1.0.2".parse().expect("an address"), 4000));
    }
}

#[test]
fn a_reset_is_never_answered_and_neither_is_another_protocol() {
    assert_eq!(reset_of(&tcp(TcpFlags::RST, 0, 0)), None);
    assert_eq!(reset_of(&tcp(TcpFlags::RST | TcpFlags::ACK, 0, 0)), None);
    let mut udp = tcp(TcpFlags::SYN, 0, 8);
    udp.content = Content::Udp { ports: (1, 2), checksum: true };
    assert_eq!(reset_of(&udp), None);
}

/// How long the whole segment is cannot be told from its first part; that it was acknowledged can.
#[test]
fn a_first_fragment_is_reset_only_by_what_it_acknowledges() {
    for (flags, answered) in [(TcpFlags::SYN, false), (TcpFlags::ACK, true)] {
        let mut bytes = tcp(flags, 0, 20).to_bytes();
        bytes[6] |= 0x20;
        bytes[10..12].fill(0);
        let sum = gridway_wire::checksum::checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        let packet = parse(&bytes).expect("a first fragment");
        assert_eq!(packet.fragment, Fragment::First);
        assert_eq!(Segment::reset(&bytes, &packet).is_some(), answered, "{flags:?}");
    }
}

/// Two addresses of one family.
fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    packet().prop_map(|spec| (spec.source, spec.destination))
}

proptest! {
    #[test]
    fn a_segment_that_was_written_reads_the_same(
        (source, destination) in ends(), ports in any::<(u16, u16)>(), numbers in any::<(u32, u32)>(), flags in any::<u8>(),
    ) {
        let segment = Segment {
            source: (source, ports.0),
            destination: (destination, ports.1),
            sequence: numbers.0,
            acknowledgement: numbers.1,
            flags: TcpFlags(flags),
        };
        let mut out = [0x77; MAX_SEGMENT_LEN];
        let length = segment.write(&mut out).unwrap();
        judge(&out[..length]).map_err(TestCaseError::fail)?;
        let read = parse(&out[..length]).unwrap();
        prop_assert_eq!(read.total_len, length);
        prop_assert_eq!((read.tuple.source, read.tuple.source_port), segment.source);
        prop_assert_eq!((read.tuple.destination, read.tuple.destination_port), segment.destination);
        prop_assert_eq!(read.transport, Transport::Tcp { flags: TcpFlags(flags) });
        prop_assert_eq!(Segment::numbers(&out, &read), Some(numbers));
        prop_assert!(read.dont_fragment && read.ttl == 64);
        prop_assert_eq!(segment.write(&mut out[..length - 1]), None);
    }

    #[test]
    fn an_echo_request_can_be_answered(
        (source, destination) in ends(), identifier in any::<u16>(), sequence in any::<u16>(),
    ) {
        let mut out = [0x77; MAX_ECHO_REQUEST_LEN];
        let length = write_echo_request(source, destination, identifier, sequence, &mut out).unwrap();
        let bytes = &mut out[..length];
        judge(bytes).map_err(TestCaseError::fail)?;
        let request = parse(bytes).unwrap();
        prop_assert_eq!(request.transport, Transport::IcmpQuery);
        prop_assert_eq!((request.tuple.source, request.tuple.destination), (source, destination));
        prop_assert_eq!(request.tuple.source_port, identifier);
        prop_assert_eq!(echo_sequence(bytes, &request), Some(sequence));
        prop_assert!(echo_reply_in_place(bytes, &request));
        judge(bytes).map_err(TestCaseError::fail)?;
        let reply = parse(bytes).unwrap();
        prop_assert_eq!(reply.transport, Transport::IcmpReply);
        prop_assert_eq!(reply.tuple, request.tuple.reversed());
        prop_assert_eq!(echo_sequence(bytes, &reply), Some(sequence));
    }

    #[test]
    fn a_reset_of_any_packet_is_valid(spec in packet()) {
        let bytes = spec.to_bytes();
        let packet = parse(&bytes).unwrap();
        if let Some(reset) = Segment::reset(&bytes, &packet) {
            let mut out = [0; MAX_SEGMENT_LEN];
            let length = reset.write(&mut out).unwrap();
            judge(&out[..length]).map_err(TestCaseError::fail)?;
            let read = parse(&out[..length]).unwrap();
            prop_assert_eq!(read.tuple, packet.tuple.reversed());
            prop_assert_eq!(Segment::reset(&out[..length], &read), None, "two nodes do not reset each other");
        }
    }
}

#[test]
fn two_families_make_no_packet() {
    let (v4, v6) = ("10.1.0.2".parse().expect("an address"), "fd00::1".parse().expect("an address"));
    assert_eq!(write_echo_request(v4, v6, 1, 2, &mut [0; 100]), None);
    let segment = Segment {
        source: (v6, 1),
        destination: (v4, 2),
        sequence: 0,
        acknowledgement: 0,
        flags: TcpFlags::SYN,
    };
    assert_eq!(segment.write(&mut [0; 100]), None);
}
