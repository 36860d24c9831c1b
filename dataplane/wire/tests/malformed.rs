//! Every reason to refuse a packet, each by a packet that is right but for it.

use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::malformed::Malformed;
use gridway_wire::packet::{Fragment, Transport, parse};
use gridway_wire::protocol::Protocol;

fn v4(content: Content) -> Vec<u8> {
    spec("10.1.0.2", "10.2.0.2", content, 16).to_bytes()
}

fn v6(content: Content) -> Vec<u8> {
    spec("fd00::1", "fd00::2", content, 16).to_bytes()
}

fn spec(source: &str, destination: &str, content: Content, payload: usize) -> PacketSpec {
    PacketSpec {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        ttl: 64,
        class: 0,
        extras: 0,
        content,
        payload: vec![0; payload],
    }
}

const TCP: Content = Content::Tcp { ports: (1, 2), flags: 2, option_words: 0 };
const UDP: Content = Content::Udp { ports: (1, 2), checksum: true };
const ECHO: Content = Content::Echo { identifier: 1, sequence: 1, reply: false };

/// With bytes at an offset replaced, and an IPv4 header checksum that is right again.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    if bytes[0] >> 4 == 4 {
        let header_len = (usize::from(bytes[0] & 0xf) * 4).clamp(20, bytes.len());
        bytes[10..12].fill(0);
        let checksum = gridway_wire::checksum::checksum(&bytes[..header_len]);
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    bytes
}

/// An IPv4 UDP packet with eight bytes of options.
fn with_options(options: [u8; 8]) -> Vec<u8> {
    let spec = PacketSpec { extras: 2, ..spec("10.1.0.2", "10.2.0.2", UDP, 0) };
    patched(spec.to_bytes(), 20, &options)
}

/// An IPv6 packet whose first header is `first` and whose payload is `rest`.
fn chain(first: u8, rest: &[u8]) -> Vec<u8> {
    let spec = spec("fd00::1", "fd00::2", Content::Other(Protocol(first)), rest.len());
    patched(spec.to_bytes(), 40, rest)
}

const UDP_HEADER: [u8; 8] = [0, 1, 0, 2, 0, 8, 0xff, 0xff];

fn cases() -> Vec<(Malformed, &'static str, Vec<u8>)> {
    use Malformed as M;
    let address = |source: &str, destination: &str| spec(source, destination, UDP, 0).to_bytes();
    vec![
        (M::TruncatedHeader, "no byte", vec![]),
        (M::TruncatedHeader, "19 bytes", v4(UDP)[..19].to_vec()),
        (M::TruncatedHeader, "39 bytes of IPv6", v6(UDP)[..39].to_vec()),
        (M::BadVersion, "version 5", patched(v4(UDP), 0, &[0x55])),
        (M::BadHeaderLength, "16 bytes of header", patched(v4(UDP), 0, &[0x44])),
        (M::BadTotalLength, "more than there is", patched(v4(UDP), 2, &[0, 45])),
        (M::BadTotalLength, "less than the header", patched(v4(UDP), 2, &[0, 19])),
        (M::BadTotalLength, "IPv6, more than there is", patched(v6(UDP), 4, &[0, 25])),
        (M::BadIpChecksum, "another checksum", {
            let mut bytes = v4(UDP);
            bytes[10] ^= 1;
            bytes
        }),
        (M::BadIpOption, "length 1", with_options([7, 1, 0, 0, 0, 0, 0, 0])),
        (M::BadIpOption, "beyond the header", with_options([1, 7, 8, 0, 0, 0, 0, 0])),
        (M::BadIpOption, "no length", with_options([1, 1, 1, 1, 1, 1, 1, 7])),
        (M::SourceRoute, "loose", with_options([1, 131, 7, 4, 10, 0, 0, 1])),
        (M::SourceRoute, "strict", with_options([137, 7, 4, 10, 0, 0, 1, 0])),
        (M::SourceRoute, "a segment left", chain(43, &[17, 0, 4, 1, 0, 0, 0, 0])),
        (M::RoutingHeaderTypeZero, "type 0", chain(43, &[17, 0, 0, 0, 0, 0, 0, 0])),
        (M::TruncatedExtensionHeader, "7 bytes", chain(60, &[17, 0, 0, 0, 0, 0, 0])),
        (M::TruncatedExtensionHeader, "beyond the packet", chain(60, &[17, 1, 0, 0, 0, 0, 0, 0])),
        (M::ExtensionHeaderChainTooLong, "nine", chain(60, &[60, 0, 0, 0, 0, 0, 0, 0].repeat(9))),
        (
            M::MisplacedHopByHop,
            "second",
            chain(60, &[[0; 8], [17, 0, 0, 0, 0, 0, 0, 0], UDP_HEADER].concat()),
        ),
        (
            M::ExtensionHeaderInFragment,
            "options in the first",
            chain(44, &[[60, 0, 0, 1, 0, 0, 0, 1], [17, 0, 0, 0, 0, 0, 0, 0], UDP_HEADER].concat()),
        ),
        (
            M::ExtensionHeaderInFragment,
            "options in a later one",
            chain(44, &[[60, 0, 0, 9, 0, 0, 0, 1], [17, 0, 0, 0, 0, 0, 0, 0]].concat()),
        ),
        (
            M::NestedFragment,
            "twice",
            chain(44, &[[44, 0, 0, 0, 0, 0, 0, 1], [17, 0, 0, 0, 0, 0, 0, 1], UDP_HEADER].concat()),
        ),
        (
            M::BadFragmentLength,
            "more follows 12 bytes",
            patched(patched(v4(UDP), 2, &[0, 32]), 6, &[0x20, 0]),
        ),
        (M::BadFragmentLength, "beyond 65,535", patched(v4(UDP), 6, &[0x1f, 0xff])),
        (M::BadFragmentLength, "nothing in it", chain(44, &[17, 0, 0, 1, 0, 0, 0, 1])),
        (M::OverlappingFragment, "TCP at 8", patched(v4(TCP), 6, &[0, 1])),
        (M::OverlappingFragment, "TCP at 16, IPv6", chain(44, &[6, 0, 0, 16, 0, 0, 0, 1])),
        (M::TruncatedTransport, "19 bytes of TCP", patched(v4(TCP), 2, &[0, 39])),
        (M::TruncatedTransport, "7 bytes of UDP", patched(v4(UDP), 2, &[0, 27])),
        (M::TruncatedTransport, "a first fragment within TCP's options", {
            let bytes = patched(v4(TCP), 32, &[0x70]);
            patched(patched(bytes, 2, &[0, 44]), 6, &[0x20, 0])
        }),
        (M::BadTcpOffset, "16 bytes", patched(v4(TCP), 32, &[0x40])),
        (M::BadTcpOffset, "beyond the packet", patched(v4(TCP), 32, &[0xa0])),
        (M::BadUdpLength, "7", patched(v4(UDP), 24, &[0, 7])),
        (M::BadUdpLength, "beyond the packet", patched(v6(UDP), 44, &[0, 25])),
        (M::IcmpOfOtherVersion, "ICMPv6 in IPv4", patched(v4(ECHO), 9, &[58])),
        (M::IcmpOfOtherVersion, "ICMP in IPv6", patched(v6(ECHO), 6, &[1])),
        (M::TruncatedIcmp, "7 bytes", patched(v4(ECHO), 2, &[0, 27])),
        (M::TruncatedIcmp, "an error that quotes 19 bytes", {
            spec("10.1.0.2", "10.2.0.2", Content::Error { kind: 3, code: 0 }, 19).to_bytes()
        }),
        (M::TruncatedIcmp, "an error that quotes 39 bytes", {
            spec("fd00::1", "fd00::2", Content::Error { kind: 1, code: 0 }, 39).to_bytes()
        }),
        (M::UnspecifiedSource, "0.0.0.0", address("0.0.0.0", "10.2.0.2")),
        (M::UnspecifiedSource, "network 0", address("0.1.2.3", "10.2.0.2")),
        (M::UnspecifiedSource, "::", address("::", "fd00::2")),
        (M::LoopbackSource, "127.1.2.3", address("127.1.2.3", "10.2.0.2")),
        (M::LoopbackSource, "::1", address("::1", "fd00::2")),
        (M::MulticastSource, "224.0.0.1", address("224.0.0.1", "10.2.0.2")),
        (M::MulticastSource, "ff02::1", address("ff02::1", "fd00::2")),
        (M::BroadcastSource, "255.255.255.255", address("255.255.255.255", "10.2.0.2")),
        (M::LinkLocalSource, "169.254.1.1", address("169.254.1.1", "10.2.0.2")),
        (M::LinkLocalSource, "fe80::1", address("fe80::1", "fd00::2")),
        (M::V4MappedSource, "::ffff:10.0.0.1", address("::ffff:10.0.0.1", "fd00::2")),
        (M::UnspecifiedDestination, "0.0.0.0", address("10.1.0.2", "0.0.0.0")),
        (M::UnspecifiedDestination, "::", address("fd00::1", "::")),
        (M::LoopbackDestination, "127.0.0.1", address("10.1.0.2", "127.0.0.1")),
        (M::LoopbackDestination, "::1", address("fd00::1", "::1")),
        (M::MulticastDestination, "239.255.255.255", address("10.1.0.2", "239.255.255.255")),
        (M::MulticastDestination, "ff0e::1", address("fd00::1", "ff0e::1")),
        (M::BroadcastDestination, "255.255.255.255", address("10.1.0.2", "255.255.255.255")),
        (M::LinkLocalDestination, "169.254.169.254", address("10.1.0.2", "169.254.169.254")),
        (M::LinkLocalDestination, "febf::1", address("fd00::1", "febf::1")),
        (M::V4MappedDestination, "::ffff:10.0.0.1", address("fd00::1", "::ffff:10.0.0.1")),
    ]
}

#[test]
fn every_fault_has_its_reason() {
    for (reason, case, bytes) in cases() {
        assert_eq!(parse(&bytes), Err(reason), "{case}: {}", reason.name());
    }
}

#[test]
fn every_reason_of_a_packet_is_reached() {
    let of_a_link = [
        Malformed::TruncatedEthernet,
        Malformed::TruncatedArp,
        Malformed::UnsupportedArp,
        Malformed::BadArpSender,
        Malformed::BadNeighbourSolicitation,
    ];
    let reached = cases();
    for reason in Malformed::ALL.into_iter().filter(|reason| !of_a_link.contains(reason)) {
        assert!(reached.iter().any(|(found, ..)| *found == reason), "{}", reason.name());
    }
}

#[test]
fn takes_what_is_unusual_but_right() {
    let accepted = |bytes: Vec<u8>| parse(&bytes).unwrap();
    for source in ["126.255.255.255", "128.0.0.1", "169.253.0.1", "223.255.255.255", "240.0.0.1", "1.0.0.0"] {
        accepted(spec(source, "10.2.0.2", UDP, 0).to_bytes());
    }
    accepted(spec("::2", "fec0::1", UDP, 0).to_bytes());
    // Same source and destination: no RFC lets a router refuse it.
    accepted(spec("10.2.0.2", "10.2.0.2", UDP, 0).to_bytes());
    // The end of the option list hides what follows it.
    accepted(with_options([7, 3, 4, 0, 131, 1, 1, 1]));
    // UDP shorter than its packet.
    accepted(patched(v4(UDP), 24, &[0, 8]));
    assert_eq!(accepted(chain(59, &[])).transport, Transport::Other);
    assert_eq!(accepted(chain(59, &[])).tuple.protocol, Protocol::NO_NEXT_HEADER);
    // A routing header at its last stop, and as many extension headers as are walked.
    let udp_after = |headers: &[[u8; 8]]| [&headers.concat()[..], &UDP_HEADER].concat();
    assert_eq!(accepted(chain(43, &udp_after(&[[17, 0, 4, 0, 0, 0, 0, 0]]))).transport, Transport::Udp);
    let mut eight = [[60, 0, 0, 0, 0, 0, 0, 0]; 8];
    eight[7][0] = 17;
    let packet = accepted(chain(60, &udp_after(&eight)));
    assert_eq!((packet.transport, packet.l4_offset), (Transport::Udp, 40 + 64));
    let hop_by_hop = accepted(chain(0, &udp_after(&[[17, 0, 0, 0, 0, 0, 0, 0]])));
    assert_eq!(hop_by_hop.tuple.source_port, 1);
}

#[test]
fn tells_fragments_apart() {
    let first = parse(&patched(patched(v4(UDP), 4, &[0x12, 0x34]), 6, &[0x20, 0])).unwrap();
    assert_eq!(
        (first.fragment, first.transport, first.identification),
        (Fragment::First, Transport::Udp, 0x1234)
    );
    assert_eq!(first.tuple.source_port, 1);
    assert!(!first.dont_fragment);
    let later = parse(&patched(v4(UDP), 6, &[0, 1])).unwrap();
    assert_eq!((later.fragment, later.transport), (Fragment::Later, Transport::LaterFragment));
    assert_eq!((later.tuple.source_port, later.tuple.destination_port), (0, 0));
    assert!(parse(&patched(v4(UDP), 6, &[0x40, 0])).unwrap().dont_fragment);

    let six = |word: [u8; 2]| {
        let header = [17, 0, word[0], word[1], 1, 2, 3, 4];
        parse(&chain(44, &[header, UDP_HEADER].concat())).unwrap()
    };
    assert_eq!((six([0, 0]).fragment, six([0, 0]).transport), (Fragment::None, Transport::Udp));
    assert_eq!((six([0, 1]).fragment, six([0, 1]).transport), (Fragment::First, Transport::Udp));
    assert_eq!((six([0, 8]).fragment, six([0, 8]).transport), (Fragment::Later, Transport::LaterFragment));
    assert_eq!(six([0, 8]).identification, 0x0102_0304);
    assert_eq!(six([0, 8]).l4_offset, 48);
}
