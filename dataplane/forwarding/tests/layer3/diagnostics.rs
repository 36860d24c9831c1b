//! What a sender is told about a packet that does not pass.

use std::time::Duration;

use gridway_forwarding::{DropReason, Target};
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::icmp::quoted;
use gridway_wire::tcp::TcpFlags;

use crate::support::{
    ALLOW_ALL, CORP_A, DATA_ADDRESS, HOST_A, HOST_B, Node, address, answer, assert_addresses, echo, judged,
    packet, tcp, udp,
};

/// This node's own address in the vnet.
const OWN: &str = "10.200.1.254";

/// NAT without a route, routes without NAT, and a second peer; rules for every action.
fn rest(dark: bool) -> String {
    let corp = CORP_A.replace("address =", &format!("dark = {dark}\naddress ="));
    format!(
        r#"{corp}
  [[vnet.outside_nat]]
  virtual = "10.200.3.0/24"
  local = "172.16.3.0/24"
  [[vnet.outside_nat]]
  virtual = "10.200.5.0/24"
  local = "172.16.5.0/24"
  [[vnet.route]]
  to = "10.200.4.0/24"
  via = "gw-b"
  [[vnet.route]]
  to = "10.200.5.0/24"
  via = "gw-c"
  [[vnet.acl]]
  line = 10
  action = "reject"
  protocol = "tcp"
  ports = "25"
  [[vnet.acl]]
  line = 20
  action = "reject"
  protocol = "udp"
  ports = "69"
  [[vnet.acl]]
  line = 30
  action = "drop"
  protocol = "udp"
  ports = "53"
  [[vnet.acl]]
  line = 40
  action = "allow"
  protocol = "icmp"
  [[vnet.acl]]
  line = 50
  action = "allow"
  protocol = "udp"
"#
    )
}

fn node() -> Node {
    let mut node = Node::new(&rest(false));
    node.set_up("gw-c", false);
    node
}

fn to_port(source: &str, destination: &str, port: u16) -> PacketSpec {
    packet(source, destination, Content::Udp { ports: (40_000, port), checksum: true })
}

fn tcp_to_port(source: &str, destination: &str, port: u16, flags: TcpFlags) -> PacketSpec {
    packet(source, destination, Content::Tcp { ports: (40_000, port), flags: flags.0, option_words: 0 })
}

fn spent(mut spec: PacketSpec) -> PacketSpec {
    spec.ttl = 1;
    spec
}

/// An answer: ICMP type and code, or `None` for silence.
type Told = Option<[u8; 2]>;

const NET_UNREACHABLE: Told = Some([3, 0]);
const HOST_UNREACHABLE: Told = Some([3, 1]);
const NET_UNKNOWN: Told = Some([3, 6]);
const HOST_UNKNOWN: Told = Some([3, 7]);
const PROHIBITED: Told = Some([3, 13]);
const TIME_EXCEEDED: Told = Some([11, 0]);

fn outward() -> Vec<(&'static str, PacketSpec, Told)> {
    let host = HOST_A[0];
    vec![
        ("no_vnet", udp(host, "198.51.100.1"), NET_UNKNOWN),
        ("no_inside_nat", to_port("10.9.0.2", HOST_B[2], 9), NET_UNKNOWN),
        ("no_route", to_port(host, "172.16.3.7", 9), NET_UNREACHABLE),
        ("peer_down", to_port(host, "172.16.5.7", 9), HOST_UNREACHABLE),
        ("acl_reject", to_port(host, HOST_B[2], 69), PROHIBITED),
        ("acl_deny", to_port(host, HOST_B[2], 53), None),
        ("acl_no_match", tcp_to_port(host, HOST_B[2], 80, TcpFlags::SYN), PROHIBITED),
        ("ttl_exceeded", spent(to_port(host, HOST_B[2], 9)), TIME_EXCEEDED),
        ("no_flow", echo(host, HOST_B[2], true), None),
        ("loopback_source", udp("127.0.0.1", HOST_B[2]), None),
    ]
}

fn inward() -> Vec<(&'static str, PacketSpec, Told)> {
    let host = HOST_B[1];
    vec![
        ("no_inside_nat", to_port(host, "10.200.9.2", 9), HOST_UNKNOWN),
        ("no_outside_nat", to_port("10.200.4.7", HOST_A[1], 9), HOST_UNKNOWN),
        ("source_check", to_port("10.200.5.7", HOST_A[1], 9), None),
        ("transit_refused", to_port(host, "10.200.4.7", 9), None),
        ("acl_reject", to_port(host, HOST_A[1], 69), PROHIBITED),
        ("acl_deny", to_port(host, HOST_A[1], 53), None),
        ("acl_no_match", tcp_to_port(host, HOST_A[1], 80, TcpFlags::SYN), PROHIBITED),
        ("ttl_exceeded", spent(to_port(host, HOST_A[1], 9)), TIME_EXCEEDED),
        ("to_own_address", to_port(host, OWN, 9), HOST_UNREACHABLE),
        ("no_flow", echo(host, HOST_A[1], true), None),
        ("multicast_destination", udp(host, "224.0.0.1"), None),
    ]
}

fn assert_told(told: Told, emitted: &[(Target, Vec<u8>)], from: &str, spec: &PacketSpec, reason: &str) {
    let Some(expected) = told else {
        assert!(emitted.is_empty(), "{reason}: {emitted:?}");
        return;
    };
    assert_eq!(emitted.len(), 1, "{reason}");
    let bytes = &emitted[0].1;
    let error = judged(bytes);
    assert_addresses(&error, from, &spec.source.to_string());
    assert_eq!(bytes[20..22], expected, "{reason}");
    assert_eq!(quoted(bytes, &error).expect("it quotes").tuple, spec.tuple(), "{reason}");
    assert!(bytes[28..] == spec.to_bytes()[..bytes.len() - 28], "{reason}: quoted as it was sent");
}

#[test]
fn local_hosts_are_told_by_the_data_nic() {
    for (reason, spec, told) in outward() {
        let mut node = node();
        assert_eq!(node.refusal(&spec).map(DropReason::name), Some(reason), "{spec:?}");
        let emitted = node.emitted();
        assert_told(told, &emitted, DATA_ADDRESS, &spec, reason);
        assert!(emitted.iter().all(|(to, _)| *to == Target::Local(spec.source)));
    }
}

#[test]
fn remote_hosts_are_told_by_the_address_in_the_vnet_through_their_peer() {
    for (reason, spec, told) in inward() {
        let mut node = node();
        assert_eq!(node.inbound_refusal("gw-b", &spec).map(DropReason::name), Some(reason), "{spec:?}");
        let (emitted, gw_b) = (node.emitted(), node.peer("gw-b"));
        assert_told(told, &emitted, OWN, &spec, reason);
        assert!(emitted.iter().all(|(to, _)| matches!(to, Target::Tunnel(to) if to.peer == gw_b)));
    }
}

#[test]
fn a_dark_vnet_says_nothing() {
    for (reason, spec, _) in outward() {
        let mut node = Node::new(&rest(true));
        node.set_up("gw-c", false);
        assert_eq!(node.refusal(&spec).map(DropReason::name), Some(reason));
        assert!(node.emitted().is_empty(), "{reason}");
    }
    for (reason, spec, _) in inward() {
        let mut node = Node::new(&rest(true));
        assert_eq!(node.inbound_refusal("gw-b", &spec).map(DropReason::name), Some(reason));
        assert!(node.emitted().is_empty(), "{reason}");
    }
    let mut node = Node::new(&rest(true));
    let rejected = tcp_to_port(HOST_A[0], HOST_B[2], 25, TcpFlags::SYN);
    assert_eq!(node.refusal(&rejected), Some(DropReason::AclReject));
    assert!(node.emitted().is_empty(), "no reset either");
}

#[test]
fn rejected_tcp_is_reset_as_its_destination_would() {
    for flags in [TcpFlags::SYN, TcpFlags::ACK] {
        let mut node = node();
        let out = tcp_to_port(HOST_A[0], HOST_B[2], 25, flags);
        assert_eq!(node.refusal(&out), Some(DropReason::AclReject));
        let inward = tcp_to_port(HOST_B[1], HOST_A[1], 25, flags);
        assert_eq!(node.inbound_refusal("gw-b", &inward), Some(DropReason::AclReject));
        let emitted = node.emitted();
        assert_eq!(emitted.len(), 2);
        for ((_, bytes), spec) in emitted.iter().zip([&out, &inward]) {
            let reset = judged(bytes);
            assert_eq!(reset.tuple, spec.tuple().reversed());
            let gridway_wire::packet::Transport::Tcp { flags: told } = reset.transport else {
                panic!("{reset:?}")
            };
            assert!(told.rst());
            assert_eq!(told.ack(), !flags.ack());
        }
    }
    let mut node = node();
    let reset = tcp_to_port(HOST_A[0], HOST_B[2], 25, TcpFlags::RST);
    assert_eq!(node.refusal(&reset), Some(DropReason::AclReject));
    assert!(node.emitted().is_empty(), "a reset is not answered");
}

#[test]
fn a_full_table_is_said_to_be_prohibited() {
    let mut node = Node::with_flows(&format!("{CORP_A}{ALLOW_ALL}"), 1);
    node.send(&udp(HOST_A[0], HOST_B[2]));
    node.receive("gw-b", &answer(&udp(HOST_A[1], HOST_B[1])));
    let spec = tcp(HOST_A[0], HOST_B[2], TcpFlags::SYN);
    assert_eq!(node.refusal(&spec), Some(DropReason::FlowTableFull));
    assert_told(PROHIBITED, &node.emitted(), DATA_ADDRESS, &spec, "flow_table_full");
}

#[test]
fn without_an_address_in_the_vnet_the_overlay_is_told_nothing() {
    let mute = CORP_A.replace("address = \"10.200.1.254\"", "");
    let mut node = Node::new(&format!("{mute}{ALLOW_ALL}"));
    assert_eq!(node.inbound_refusal("gw-b", &udp(HOST_B[1], "10.200.9.2")), Some(DropReason::NoInsideNat));
    assert!(node.emitted().is_empty());
    assert_eq!(node.forwarder.counters().answers_suppressed.get(), 0);
}

#[test]
fn answers_are_rate_limited_and_what_is_not_said_is_counted() {
    let mut node = node();
    let spec = to_port(HOST_A[0], "172.16.3.7", 9);
    for _ in 0..100 {
        node.refusal(&spec);
    }
    assert_eq!(node.emitted().len(), 32);
    assert_eq!(node.forwarder.counters().answers_suppressed.get(), 68);
    node.wait(Duration::from_millis(100));
    for _ in 0..10 {
        node.refusal(&spec);
    }
    assert_eq!(node.emitted().len(), 2);
}

/// An error that cannot be delivered is not answered, and takes nobody's place in the rate.
#[test]
fn there_is_no_error_about_an_error_nor_does_it_use_up_the_rate() {
    let mut node = node();
    let mut error = packet(HOST_A[0], HOST_B[2], Content::Error { kind: 3, code: 1 });
    error.payload = udp(HOST_B[2], HOST_A[0]).to_bytes();
    error.ttl = 1;
    node.receive("gw-b", &to_port(HOST_B[1], HOST_A[1], 9));
    error.payload = to_port(HOST_B[2], HOST_A[0], 9).to_bytes();
    for _ in 0..100 {
        assert_eq!(node.refusal(&error), Some(DropReason::TtlExceeded));
    }
    assert!(node.emitted().is_empty());
    assert_eq!(node.forwarder.counters().answers_suppressed.get(), 0);
    node.refusal(&to_port(HOST_A[0], "172.16.3.7", 9));
    assert_eq!(node.emitted().len(), 1);
}

#[test]
fn a_packet_that_a_neighbour_did_not_take_is_said_to_be_undeliverable() {
    let mut node = node();
    let spec = to_port(HOST_B[1], HOST_A[1], 9);
    let delivered = node.receive("gw-b", &spec);
    node.forwarder.undeliverable(&delivered, node.now);
    let emitted = node.emitted();
    let gw_b = node.peer("gw-b");
    assert!(matches!(emitted[0].0, Target::Tunnel(to) if to.peer == gw_b));
    let error = judged(&emitted[0].1);
    assert_addresses(&error, OWN, HOST_B[1]);
    assert_eq!(emitted[0].1[20..22], [3, 1]);
    let quote = quoted(&emitted[0].1, &error).expect("it quotes");
    assert_eq!(quote.tuple, spec.tuple(), "as its sender knows it");
    // What belongs to no flow, and what is no packet, is survived.
    node.forwarder.undeliverable(&udp("192.0.2.1", HOST_A[0]).to_bytes(), node.now);
    node.forwarder.undeliverable(&[0x45, 0, 0], node.now);
    assert!(node.emitted().is_empty());
}

#[test]
fn a_shared_host_is_told_under_its_own_address_and_port() {
    let mut node = crate::sharing::node();
    for remote in crate::sharing::REMOTE {
        let spec = crate::sharing::udp_from(remote, (40_000, 53));
        let delivered = node.receive(crate::sharing::peer_of(&spec), &spec);
        node.forwarder.undeliverable(&delivered, node.now);
        let emitted = node.emitted();
        let error = judged(&emitted[0].1);
        assert_eq!(error.tuple.destination, address(remote));
        assert_eq!(quoted(&emitted[0].1, &error).expect("it quotes").tuple, spec.tuple());
    }
}
