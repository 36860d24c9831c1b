use gridway_model::TcpState;
use gridway_model::packet::{ACK, FIN, RST, SYN};

use crate::support::{
    ALLOW, INSIDE, NETMAP, Node, POOL_OF_ONE, ROUTES, VNET, ends, ip, ping, pooled, segment, udp, usual,
};

const THERE: (&str, &str, (u16, u16)) = ("10.1.0.2", "172.16.1.2", (999, 80));
const BACK: (&str, &str, (u16, u16)) = ("10.200.1.2", "10.200.0.2", (80, 999));

fn there(node: &mut Node, flags: u8) {
    let (source, destination, ports) = THERE;
    node.tunnelled(&segment(source, destination, ports, flags));
}

fn back(node: &mut Node, flags: u8) {
    let (source, destination, ports) = BACK;
    node.delivered("gw-b", &segment(source, destination, ports, flags));
}

fn state(node: &Node) -> TcpState {
    node.0.flows()[0].tcp_state()
}

/// Whether the only flow lives after so many seconds of silence.
fn lives(node: &mut Node, seconds: u64) -> bool {
    node.wait(seconds);
    !node.0.flows().is_empty()
}

#[test]
fn a_handshake_makes_a_connection_established() {
    let mut node = Node::new(&usual());
    there(&mut node, SYN);
    assert_eq!(state(&node), TcpState::Opening);
    back(&mut node, SYN | ACK);
    assert_eq!(state(&node), TcpState::Opening);
    there(&mut node, ACK);
    assert_eq!(state(&node), TcpState::Established);
    assert!(lives(&mut node, 7439));
    assert!(!lives(&mut node, 1));
}

#[test]
fn half_open_and_closing_connections_are_transitory() {
    for end in [SYN, SYN | ACK, FIN | ACK, RST] {
        let mut node = Node::new(&usual());
        there(&mut node, SYN);
        if end & ACK != 0 {
            back(&mut node, end);
        } else if end == RST {
            back(&mut node, SYN | ACK);
            there(&mut node, ACK);
            there(&mut node, RST);
        }
        assert!(lives(&mut node, 239), "{end:#x}");
        assert!(!lives(&mut node, 1), "{end:#x}");
    }
}

#[test]
fn mid_stream_is_established_once_it_is_answered() {
    let mut node = Node::new(&usual());
    there(&mut node, ACK);
    assert_eq!(state(&node), TcpState::Opening);
    back(&mut node, ACK);
    assert_eq!(state(&node), TcpState::Established);
}

#[test]
fn a_syn_on_a_flow_of_mid_stream_is_judged() {
    let inward_only = usual() + "destination = \"10.200.0.0/28\"\n";
    let mut node = Node::new(&inward_only);
    there(&mut node, ACK);
    let (source, destination, ports) = THERE;
    assert_eq!(node.refusal(&segment(source, destination, ports, SYN)), Some("acl_no_match"));
}

#[test]
fn a_syn_after_the_end_begins_a_new_connection() {
    let mut node = Node::new(&usual());
    there(&mut node, SYN);
    back(&mut node, SYN | ACK);
    there(&mut node, ACK | FIN);
    assert_eq!(state(&node), TcpState::Closing);
    there(&mut node, SYN);
    assert_eq!((state(&node), node.0.flows().len()), (TcpState::Opening, 1));
}

#[test]
fn the_other_side_may_not_reuse_an_ended_connection_against_the_policy() {
    // Only local hosts may begin.
    let acl = "[[vnet.acl]]\nline = 1\naction = \"allow\"\nsource = \"10.200.0.0/28\"\n";
    let mut node = Node::new(&[VNET, INSIDE, NETMAP, ROUTES, acl].concat());
    there(&mut node, SYN);
    back(&mut node, RST | ACK);
    let (source, destination, ports) = BACK;
    let syn = segment(source, destination, ports, SYN);
    assert_eq!(node.refusal_of("gw-b", &syn), Some("acl_no_match"));
}

#[test]
fn a_new_connection_to_a_mapping_keeps_it() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &segment("10.200.1.2", "10.200.0.2", (5000, 80), SYN));
    node.tunnelled(&segment("10.1.0.2", "172.16.1.8", (80, 5000), RST | ACK));
    let (_, packet) = node.tunnelled(&segment("10.1.0.2", "172.16.1.8", (80, 5000), SYN));
    assert_eq!(ends(&packet), "10.200.0.2 80 > 10.200.1.2 5000");
}

#[test]
fn udp_and_icmp_have_limits_of_their_own() {
    let mut node = Node::new(&usual());
    node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1, 2)));
    assert!(lives(&mut node, 299));
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (2, 1)));
    assert!(lives(&mut node, 299), "either direction keeps it alive");
    assert!(!lives(&mut node, 1));
    node.tunnelled(&ping("10.1.0.2", "172.16.1.2", 1));
    assert!(lives(&mut node, 59));
    assert!(!lives(&mut node, 1));
}

#[test]
fn what_is_dropped_leaves_nothing_behind() {
    let mut node = Node::new(&pooled());
    let packet = crate::support::with_ttl(&udp("10.200.1.2", "10.200.0.2", (5000, 80)), 1);
    assert_eq!(node.refusal_of("gw-b", &packet), Some("ttl_exceeded"));
    assert!(node.0.flows().is_empty());
    // And does not keep a flow alive.
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    node.wait(200);
    assert_eq!(node.refusal_of("gw-b", &packet), Some("ttl_exceeded"));
    assert!(!lives(&mut node, 100));
}

#[test]
fn a_flow_whose_nat_changed_begins_anew() {
    let mut node = Node::new(&usual());
    let packet = udp("10.200.1.2", "10.200.0.2", (5000, 80));
    assert_eq!(ends(&node.delivered("gw-b", &packet)), "172.16.1.2 5000 > 10.1.0.2 80");
    node.reload(&[VNET, INSIDE, POOL_OF_ONE, ROUTES, ALLOW].concat());
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (80, 5000))), Some("no_vnet"));
    assert_eq!(ends(&node.delivered("gw-b", &packet)), "172.16.1.8 5000 > 10.1.0.2 80");
    assert_eq!(node.0.flows().len(), 1);
}

#[test]
fn a_packet_that_does_not_fit_leaves_its_flow_as_it_was() {
    let mut node = Node::new(&usual());
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    node.wait(200);
    let flow = node.0.flows()[0].clone();
    let big = gridway_model::packet::build::udp(ip("10.200.1.2"), ip("10.200.0.2"), (5000, 80), &[0; 1473]);
    assert_eq!(node.refusal_of("gw-b", &big), Some("too_big"));
    assert_eq!(node.0.flows(), [flow]);
}

#[test]
fn a_flow_whose_local_host_becomes_remote_ends() {
    let mut node = Node::new(&usual());
    node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1, 2)));
    // As long as the inside NAT: 10.200.0.2 is now behind gw-d.
    let route = "[[vnet.route]]\nto = \"10.200.0.0/28\"\nvia = \"gw-d\"\n";
    node.reload(&[&usual(), route].concat());
    let back = udp("10.200.1.2", "10.200.0.2", (2, 1));
    assert_eq!(node.refusal_of("gw-b", &back), Some("transit_refused"));
    assert!(node.0.flows().is_empty());
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (1, 2))), Some("spoofed_local"));
}
