//! ICMP errors about packets of flows, translated inside and outside (RFC 5508, 4.2 and 4.3).

use gridway_forwarding::{DropReason, Inbound, Outbound};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::icmp::quoted;
use gridway_wire::packet::parse;
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::tuple::FiveTuple;

use crate::sharing::{self, REMOTE, SHARED, local_answer};
use crate::support::{
    ALLOW_ALL, CORP_A, DATA_ADDRESS, HOST_A, HOST_B, Node, PLAIN_A, address, answer, echo, judged, packet,
    tcp, udp,
};

const UNREACHABLE: Content = Content::Error { kind: 3, code: 3 };

fn one_of_each(source: &str, destination: &str) -> Vec<PacketSpec> {
    vec![
        udp(source, destination),
        packet(source, destination, Content::Udp { ports: (9, 9), checksum: false }),
        tcp(source, destination, TcpFlags::SYN),
        echo(source, destination, false),
        packet(source, destination, Content::Other(Protocol::GRE)),
        packet(source, destination, Content::Other(Protocol::UDP_LITE)),
    ]
}

/// An ICMP error from `source` to the sender of `sent`, which it quotes; only the first `kept` bytes.
fn about(source: &str, sent: &[u8], kept: usize) -> PacketSpec {
    let tuple = parse(sent).expect("it was sent").tuple;
    let content = if tuple.source.is_ipv4() { UNREACHABLE } else { Content::Error { kind: 1, code: 4 } };
    PacketSpec {
        source: address(source),
        destination: tuple.source,
        payload: sent[..kept.min(sent.len())].to_vec(),
        ..packet("10.0.0.1", "10.0.0.2", content)
    }
}

/// Checks an error that was translated: its checksums, and whom it is from, to and about.
fn assert_error(bytes: &[u8], source: &str, destination: &str, about: &FiveTuple) {
    let outer = judged(bytes);
    assert_eq!((outer.tuple.source, outer.tuple.destination), (address(source), address(destination)));
    assert_eq!(outer.ttl, 63);
    let quote = quoted(bytes, &outer).expect("it quotes");
    assert_eq!(quote.tuple, *about);
    // The quoted header, and the whole quoted packet where it is all there, have right checksums too.
    if bytes[0] >> 4 == 4 {
        assert_eq!(gridway_wire::checksum::checksum(&bytes[28..48]), 0, "the quoted header");
    }
    let quoted_packet = &bytes[quote.ip_offset..];
    if parse(quoted_packet).is_ok() {
        judged(quoted_packet);
    }
}

fn deliver(node: &mut Node, peer: &str, error: &PacketSpec) -> Vec<u8> {
    node.receive(peer, error)
}

#[test]
fn an_error_from_the_overlay_is_the_local_hosts_own() {
    for kept in [28, 36, 48, 1000] {
        let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
        for spec in one_of_each(HOST_A[0], HOST_B[2]) {
            let (_, sent) = node.send(&spec);
            // From the host itself, and from a router that has a translation, and from one that has none.
            for (router, seen) in
                [(HOST_B[1], HOST_B[2]), ("10.200.2.1", "172.16.2.1"), ("10.200.2.255", "172.16.2.255")]
            {
                let bytes = deliver(&mut node, "gw-b", &about(router, &sent, kept));
                assert_error(&bytes, seen, HOST_A[0], &spec.tuple());
            }
        }
    }
}

#[test]
fn a_router_without_a_local_identity_is_stood_in_for() {
    let more = "
  [[vnet.route]]
  to = \"10.200.7.0/24\"
  via = \"gw-b\"
";
    let mut node = Node::new(&format!("{CORP_A}{more}{ALLOW_ALL}"));
    let spec = udp(HOST_A[0], HOST_B[2]);
    let (_, sent) = node.send(&spec);
    let bytes = deliver(&mut node, "gw-b", &about("10.200.7.1", &sent, 28));
    assert_error(&bytes, DATA_ADDRESS, HOST_A[0], &spec.tuple());
}

#[test]
fn an_error_from_the_local_side_is_the_remote_hosts_own() {
    for kept in [28, 36, 48, 1000] {
        let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
        for spec in one_of_each(HOST_B[1], HOST_A[1]) {
            let received = node.receive("gw-b", &spec);
            for (router, seen) in [
                (HOST_A[0], HOST_A[1]),
                ("10.1.0.9", "10.200.1.9"),
                // A router beyond the inside NAT has no identity in the vnet.
                ("10.99.0.1", "10.200.1.254"),
            ] {
                let (peer, bytes) = node.send(&about(router, &received, kept));
                assert_eq!(peer, node.peer("gw-b"));
                assert_error(&bytes, seen, HOST_B[1], &spec.tuple());
            }
        }
    }
}

#[test]
fn errors_about_answers_are_translated_as_well() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    for spec in one_of_each(HOST_A[0], HOST_B[2]) {
        node.send(&spec);
        let overlay =
            PacketSpec { source: address(HOST_A[1]), destination: address(HOST_B[1]), ..spec.clone() };
        let received = node.receive("gw-b", &answer(&overlay));
        let (_, bytes) = node.send(&about(HOST_A[0], &received, 28));
        assert_error(&bytes, HOST_A[1], HOST_B[1], &answer(&overlay).tuple());
    }
}

#[test]
fn errors_about_hosts_that_share_an_address_reach_the_right_one() {
    for kept in [28, 1000] {
        let mut node = sharing::node();
        let mut seen = Vec::new();
        for remote in REMOTE {
            for spec in [
                sharing::udp_from(remote, (40_000, 53)),
                sharing::tcp_from(remote, (40_000, 443), TcpFlags::SYN),
                sharing::echo_from(remote, 77),
            ] {
                let received = node.receive(sharing::peer_of(&spec), &spec);
                let (_, bytes) = node.send(&about(HOST_A[0], &received, kept));
                assert_error(&bytes, HOST_A[1], remote, &spec.tuple());
                seen.push((spec, judged(&received).tuple));
            }
        }
        // And about what local hosts answered: the remote host, or a router on the way, speaks as the shared address
        // or as this node.
        for (spec, local) in seen {
            let reply = local_answer(&spec, &local);
            let (_, sent) = node.send(&reply);
            let remote = spec.source.to_string();
            let bytes = deliver(&mut node, sharing::peer_of(&spec), &about(&remote, &sent, kept));
            assert_error(&bytes, SHARED, HOST_A[0], &reply.tuple());
            let router = if remote.starts_with("10.200.3.") { "10.200.3.99" } else { "10.200.2.99" };
            let bytes = deliver(&mut node, sharing::peer_of(&spec), &about(router, &sent, kept));
            assert_error(&bytes, DATA_ADDRESS, HOST_A[0], &reply.tuple());
        }
        assert_eq!(node.flows.len(), 9, "errors make no flows");
    }
}

#[test]
fn ipv6_has_its_quotes_translated_too() {
    let mut node = Node::new(&format!("{PLAIN_A}{ALLOW_ALL}"));
    for spec in one_of_each("fd00:1::2", "fd00:2::7") {
        let spec = match spec.content {
            Content::Udp { ports, .. } => {
                PacketSpec { content: Content::Udp { ports, checksum: true }, ..spec }
            }
            _ => spec,
        };
        let (_, sent) = node.send(&spec);
        let mut bytes = about("fd00:2::1", &sent, 1000).to_bytes();
        let verdict = node.inbound_in("gw-b", "plain", &mut bytes);
        assert_eq!(verdict, Inbound::Deliver { destination: address("fd00:1::2"), len: bytes.len() });
        assert_error(&bytes, "fd00:2::1", "fd00:1::2", &spec.tuple());
    }
}

#[test]
fn an_error_about_no_flow_is_dropped_on_both_sides() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let sent = udp(HOST_A[1], HOST_B[1]).to_bytes();
    assert_eq!(node.inbound_refusal("gw-b", &about(HOST_B[1], &sent, 28)), Some(DropReason::IcmpNoFlow));
    let received = udp(HOST_B[2], HOST_A[0]).to_bytes();
    assert_eq!(node.refusal(&about(HOST_A[0], &received, 28)), Some(DropReason::IcmpNoFlow));
    assert!(node.emitted().is_empty() && node.flows.is_empty());
}

#[test]
fn an_error_to_somebody_who_did_not_send_the_packet_is_about_no_flow() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    let mut error = about(HOST_B[1], &sent, 28);
    error.destination = address("10.200.1.3");
    assert_eq!(node.inbound_refusal("gw-b", &error), Some(DropReason::IcmpNoFlow));
    let received = node.receive("gw-b", &answer(&udp(HOST_A[1], HOST_B[1])));
    let mut error = about(HOST_A[0], &received, 28);
    error.destination = address("172.16.2.99");
    assert_eq!(node.refusal(&error), Some(DropReason::IcmpNoFlow));
}

#[test]
fn an_error_from_a_source_of_another_peer_is_dropped() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    assert_eq!(node.inbound_refusal("gw-c", &about(HOST_B[1], &sent, 28)), Some(DropReason::SourceCheck));
}

#[test]
fn odd_quotes_are_about_no_flow_and_change_nothing() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    let (_, ping) = node.send(&echo(HOST_A[0], HOST_B[2], false));
    let mut cases = Vec::new();
    // Cut within the transport header.
    cases.extend([20, 21, 24, 27].map(|kept| ("short", sent[..kept].to_vec())));
    cases.push(("another version", [&[0x60][..], &sent[1..]].concat()));
    cases.push(("header too short", [&[0x44][..], &sent[1..]].concat()));
    cases.push(("header too long", [&[0x4f][..], &sent[1..28]].concat()));
    let mut later = sent.clone();
    later[7] = 3;
    cases.push(("a later fragment", later));
    let mut other = sent.clone();
    other[9] = 6;
    cases.push(("another protocol", other));
    let mut reversed = sent.clone();
    reversed[12..16].copy_from_slice(&sent[16..20]);
    reversed[16..20].copy_from_slice(&sent[12..16]);
    cases.push(("of the other direction", reversed));
    let mut error = ping;
    error[20] = 3;
    cases.push(("an error", error));
    for (case, quote) in cases {
        let mut error = about(HOST_B[1], &sent, 28);
        error.payload = quote;
        let original = error.to_bytes();
        let mut bytes = original.clone();
        assert_eq!(node.inbound("gw-b", &mut bytes), Inbound::Drop(DropReason::IcmpNoFlow), "{case}");
        assert_eq!(bytes, original, "{case}");
    }
    assert!(node.emitted().is_empty());
}

#[test]
fn an_error_does_not_keep_its_flow_alive() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    node.wait(std::time::Duration::from_secs(299));
    deliver(&mut node, "gw-b", &about(HOST_B[1], &sent, 28));
    node.wait(std::time::Duration::from_secs(1));
    assert_eq!(node.flows.expire(&mut 0, 100, &node.policy.timeouts, node.now), 1);
}

#[test]
fn the_last_hop_of_an_error_is_here_and_nobody_is_told() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    let mut error = about(HOST_B[1], &sent, 28);
    error.ttl = 1;
    assert_eq!(node.inbound_refusal("gw-b", &error), Some(DropReason::TtlExceeded));
    let received = node.receive("gw-b", &answer(&udp(HOST_A[1], HOST_B[1])));
    let mut error = about(HOST_A[0], &received, 28);
    error.ttl = 1;
    assert_eq!(node.refusal(&error), Some(DropReason::TtlExceeded));
    assert!(node.emitted().is_empty());
}

#[test]
fn an_error_for_a_peer_that_is_down_is_dropped() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let received = node.receive("gw-b", &udp(HOST_B[1], HOST_A[1]));
    node.set_up("gw-b", false);
    let mut bytes = about(HOST_A[0], &received, 28).to_bytes();
    assert_eq!(node.outbound(&mut bytes), Outbound::Drop(DropReason::PeerDown));
    assert!(node.emitted().is_empty());
}

#[test]
fn an_error_takes_the_route_that_its_flow_has_now() {
    let second = "[[vnet.route]]\nto = \"10.200.2.0/24\"\nvia = \"gw-c\"\nmetric = 20\n";
    let mut node = Node::new(&format!("{CORP_A}{second}{ALLOW_ALL}"));
    let received = node.receive("gw-b", &udp(HOST_B[1], HOST_A[1]));
    let error = about(HOST_A[0], &received, 28);
    assert_eq!(node.send(&error).0, node.peer("gw-b"));
    node.set_up("gw-b", false);
    // The flow has had no packet since that could move it.
    assert_eq!(node.send(&error).0, node.peer("gw-c"));
    node.set_up("gw-b", true);
    assert_eq!(node.send(&error).0, node.peer("gw-b"));
}

#[test]
fn redirects_and_source_quench_go_nowhere() {
    let mut node = Node::new(&format!("{CORP_A}{ALLOW_ALL}"));
    let (_, sent) = node.send(&udp(HOST_A[0], HOST_B[2]));
    for kind in [4, 5] {
        let mut error = about(HOST_B[1], &sent, 28);
        error.content = Content::Error { kind, code: 0 };
        assert_eq!(node.inbound_refusal("gw-b", &error), Some(DropReason::IcmpUnsupported));
    }
    assert!(node.emitted().is_empty());
}
