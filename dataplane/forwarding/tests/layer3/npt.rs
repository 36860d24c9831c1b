//! Prefix translation of IPv6 (RFC 6296) on packets.

use std::net::IpAddr;

use gridway_forwarding::{DropReason, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::icmp::quoted;
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;
use ipnet::IpNet;

use crate::support::{ALLOW_ALL, Node, address, answer, assert_addresses, echo, judged, packet, tcp, udp};

/// Local hosts in fd00:1::/64, remote ones in fd00:2::/64 of the vnet, which local hosts see in fd00:72::/64. What
/// is longer than 48 bits adjusts the first word of the identifier.
const VNET: &str = r#"
[[vnet]]
name = "corp"
cidr = "fd00:200::/32"
address = "fd00:200:1::fe"
  [[vnet.inside_nat]]
  local = "fd00:1::/64"
  virtual = "fd00:200:1::/64"
  [[vnet.outside_nat]]
  virtual = "fd00:200:2::/64"
  local = "fd00:72::/64"
  [[vnet.route]]
  to = "fd00:200:2::/64"
  via = "gw-b"
"#;
const LOCAL: &str = "fd00:1::2";
const REMOTE_AS_SEEN: &str = "fd00:72::7";

fn node() -> Node {
    Node::new(&format!("{VNET}{ALLOW_ALL}"))
}

fn one_of_each(source: &str, destination: &str) -> Vec<PacketSpec> {
    vec![
        udp(source, destination),
        tcp(source, destination, TcpFlags::SYN),
        echo(source, destination, false),
        packet(source, destination, Content::Other(Protocol::GRE)),
    ]
}

fn is_in(prefix: &str, address: IpAddr) -> bool {
    prefix.parse::<IpNet>().expect("a prefix").contains(&address)
}

/// The transport's checksum, which must not change.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let at = match bytes[6] {
        6 => 56,
        17 => 46,
        58 => 42,
        _ => return [0; 2],
    };
    [bytes[at], bytes[at + 1]]
}

#[test]
fn no_transport_notices_the_translation() {
    let mut node = node();
    for spec in one_of_each(LOCAL, REMOTE_AS_SEEN) {
        let before = spec.to_bytes();
        let (peer, bytes) = node.send(&spec);
        assert_eq!(peer, node.peer("gw-b"));
        let after = judged(&bytes);
        assert!(is_in("fd00:200:1::/64", after.tuple.source), "{}", after.tuple);
        assert!(is_in("fd00:200:2::/64", after.tuple.destination), "{}", after.tuple);
        assert_eq!(checksum(&bytes), checksum(&before), "checksum-neutral");
        assert_eq!(bytes[40..], before[40..]);

        let overlay =
            PacketSpec { source: after.tuple.source, destination: after.tuple.destination, ..spec.clone() };
        let reply = answer(&overlay);
        let bytes = node.receive("gw-b", &reply);
        assert_addresses(&judged(&bytes), REMOTE_AS_SEEN, LOCAL);
        assert_eq!(checksum(&bytes), checksum(&reply.to_bytes()));
    }
    assert_eq!(node.flows_created(), 4);
}

#[test]
fn an_address_without_a_counterpart_is_refused_and_its_sender_told() {
    let mut node = node();
    let spec = udp("fd00:1::ffff:ffff:ffff:ffff", REMOTE_AS_SEEN);
    assert_eq!(node.refusal(&spec), Some(DropReason::Untranslatable));
    let emitted = node.emitted();
    assert_eq!(emitted.len(), 1);
    let error = judged(&emitted[0].1);
    assert_eq!(emitted[0].0, Target::Local(spec.source));
    assert_eq!(emitted[0].1[40..42], [1, 0], "no route");
    assert_eq!(error.tuple.source, address("fd00:1::1"));
}

#[test]
fn an_icmp_error_is_translated_with_its_quote() {
    let mut node = node();
    let spec = udp(LOCAL, REMOTE_AS_SEEN);
    let (_, sent) = node.send(&spec);
    let sent_tuple = judged(&sent).tuple;
    for router in [sent_tuple.destination, address("fd00:200:2::1:0:1")] {
        let mut error = packet("fd00::1", "fd00::2", Content::Error { kind: 1, code: 4 });
        (error.source, error.destination) = (router, sent_tuple.source);
        error.payload = sent.clone();
        let bytes = node.receive("gw-b", &error);
        let outer = judged(&bytes);
        let quote = quoted(&bytes, &outer).expect("it quotes");
        assert_eq!(quote.tuple, spec.tuple());
        assert_eq!(outer.tuple.destination, address(LOCAL));
        if router == sent_tuple.destination {
            assert_eq!(outer.tuple.source, address(REMOTE_AS_SEEN));
        } else {
            assert!(is_in("fd00:72::/64", outer.tuple.source), "{}", outer.tuple);
        }
        // The quoted packet is as the host sent it but for the hop limit.
        assert_eq!(bytes[48 + 8..48 + sent.len()], spec.to_bytes()[8..]);
    }
}

#[test]
fn many_to_one_works_for_ipv6_too() {
    let many = VNET.replace("local = \"fd00:72::/64\"", "local = \"fd00:72::9/128\"");
    let mut node = Node::new(&format!("{many}{ALLOW_ALL}"));
    for (host, kept) in [("fd00:200:2::7", true), ("fd00:200:2::8", false)] {
        for spec in one_of_each(host, "fd00:200:1::fffd") {
            if matches!(spec.content, Content::Other(_)) && !kept {
                assert_eq!(node.inbound_refusal("gw-b", &spec), Some(DropReason::PatExhausted));
                continue;
            }
            let tuple = judged(&node.receive("gw-b", &spec)).tuple;
            assert_eq!(tuple.source, address("fd00:72::9"));
            assert_eq!(tuple.source_port == spec.tuple().source_port, kept, "{tuple}");
            let (_, bytes) = node.send(&crate::sharing::local_answer(&spec, &tuple));
            assert_eq!(judged(&bytes).tuple, spec.tuple().reversed());
        }
    }
}
