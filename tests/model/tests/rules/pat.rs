use gridway_model::packet::build::packet;
use gridway_model::{IllegalChoice, Packet};

use crate::support::{ALLOW, INSIDE, Node, ROUTES, VNET, ends, ip, ping, pong, pooled, segment, udp};

fn gre(source: &str, destination: &str) -> Packet {
    packet(ip(source), ip(destination), 47, vec![0; 8])
}

/// With a pool of two addresses.
fn pool_of_two() -> String {
    let pool = "[[vnet.outside_nat]]\nvirtual = \"10.200.0.0/22\"\nlocal = \"172.16.1.8/31\"\n";
    [VNET, INSIDE, pool, ROUTES, ALLOW].concat()
}

fn rule(choice: Result<gridway_model::Step, IllegalChoice>) -> &'static str {
    match choice {
        Err(IllegalChoice::Mapping { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_stays_where_it_is_free_and_answers_find_the_host() {
    let mut node = Node::new(&pooled());
    let packet = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    assert_eq!(ends(&packet), "172.16.1.8 5000 > 10.1.0.2 80");
    let (peer, packet) = node.tunnelled(&udp("10.1.0.2", "172.16.1.8", (80, 5000)));
    assert_eq!((peer.as_str(), ends(&packet).as_str()), ("gw-b", "10.200.0.2 80 > 10.200.1.2 5000"));
}

#[test]
fn the_mapping_is_the_same_for_all_destinations() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (5000, 80)));
    let first = node.mapped(&udp("10.200.1.2", "10.200.0.2", (5000, 80)), ("172.16.1.8", 6000));
    assert!(first.is_ok());
    // Another choice for another destination is not asked for.
    let packet = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.3", (5000, 81)));
    assert_eq!(ends(&packet), "172.16.1.8 6000 > 10.1.0.3 81");
}

#[test]
fn any_local_host_may_use_a_live_mapping() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    let (_, packet) = node.tunnelled(&udp("10.1.0.3", "172.16.1.8", (9, 5000)));
    assert_eq!(ends(&packet), "10.200.0.3 9 > 10.200.1.2 5000");
    for ports in [(9, 5001), (80, 5002)] {
        assert_eq!(node.refusal(&udp("10.1.0.3", "172.16.1.8", ports)), Some("pat_no_mapping"));
    }
    let tcp = segment("10.1.0.3", "172.16.1.8", (9, 5000), 2);
    assert_eq!(node.refusal(&tcp), Some("pat_no_mapping"), "of another protocol");
}

#[test]
fn range_and_parity_are_kept_and_no_place_is_given_twice() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (5000, 80)));
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (500, 80)));
    let taken = udp("10.200.1.2", "10.200.0.2", (5000, 80));
    assert_eq!(rule(node.mapped(&taken, ("172.16.1.8", 5001))), "range and parity of the port are kept");
    assert_eq!(rule(node.mapped(&taken, ("172.16.1.8", 600))), "range and parity of the port are kept");
    assert_eq!(rule(node.mapped(&taken, ("172.16.1.8", 5000))), "no other host has it");
    assert_eq!(rule(node.mapped(&taken, ("172.16.1.9", 5002))), "the address is in the pool");
    let well_known = udp("10.200.1.2", "10.200.0.2", (500, 80));
    assert_eq!(rule(node.mapped(&well_known, ("172.16.1.8", 1024))), "range and parity of the port are kept");
    let free = udp("10.200.1.2", "10.200.0.2", (5002, 80));
    assert_eq!(rule(node.mapped(&free, ("172.16.1.8", 5004))), "the port stays where it is free");
    assert!(node.mapped(&taken, ("172.16.1.8", 64_000)).is_ok());
    assert!(node.mapped(&well_known, ("172.16.1.8", 2)).is_ok());
    // TCP has no parity.
    let tcp = segment("10.200.1.3", "10.200.0.2", (5000, 80), 2);
    node.delivered("gw-b", &tcp);
    let tcp = segment("10.200.1.2", "10.200.0.2", (5000, 80), 2);
    assert!(node.mapped(&tcp, ("172.16.1.8", 5001)).is_ok());
}

#[test]
fn left_to_itself_the_model_takes_the_first_port_that_is_allowed() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (5001, 80)));
    let packet = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5001, 80)));
    assert_eq!(ends(&packet), "172.16.1.8 1025 > 10.1.0.2 80");
}

#[test]
fn a_host_keeps_its_address() {
    let mut node = Node::new(&pool_of_two());
    assert!(node.mapped(&udp("10.200.1.2", "10.200.0.2", (5000, 80)), ("172.16.1.9", 5000)).is_ok());
    let more = segment("10.200.1.2", "10.200.0.2", (5000, 80), 2);
    assert_eq!(
        rule(node.mapped(&more, ("172.16.1.8", 5000))),
        "a host keeps its address while that has ports"
    );
    assert!(node.mapped(&more, ("172.16.1.9", 5000)).is_ok());
}

#[test]
fn query_identifiers_are_translated() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &ping("10.200.1.3", "10.200.0.2", 7));
    let step = node.mapped(&ping("10.200.1.2", "10.200.0.2", 7), ("172.16.1.8", 40)).unwrap();
    let packet = Packet::read(step.bytes().unwrap()).unwrap();
    assert_eq!(ends(&packet), "172.16.1.8 40 > 10.1.0.2 40");
    let (_, packet) = node.tunnelled(&pong("10.1.0.2", "172.16.1.8", 40));
    assert_eq!(ends(&packet), "10.200.0.2 7 > 10.200.1.2 7");
    // A request of a local host to the mapping leads to the same host.
    let (_, packet) = node.tunnelled(&ping("10.1.0.3", "172.16.1.8", 40));
    assert_eq!(ends(&packet), "10.200.0.3 7 > 10.200.1.2 7");
}

#[test]
fn protocols_without_ports_get_a_pool_address_for_one_host() {
    let mut node = Node::new(&pool_of_two());
    assert_eq!(node.refusal_of("gw-b", &gre("10.200.1.2", "10.200.0.2")), None);
    assert_eq!(node.refusal_of("gw-b", &gre("10.200.1.3", "10.200.0.2")), None);
    let step = node.from("gw-c", &gre("10.200.2.2", "10.200.0.2"));
    assert_eq!(step.reason(), Some("pat_exhausted"));
    // The first two are told apart by their pool address.
    let (_, packet) = node.tunnelled(&gre("10.1.0.2", "172.16.1.9"));
    assert_eq!(packet.destination, ip("10.200.1.3"));
    // Idle for 300 s, the mappings end and there is room.
    node.wait(301);
    assert_eq!(node.refusal_of("gw-c", &gre("10.200.2.2", "10.200.0.2")), None);
}

#[test]
fn a_mapping_lives_while_a_flow_uses_it() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.2", (5000, 80)));
    node.wait(200);
    node.tunnelled(&udp("10.1.0.3", "172.16.1.8", (9, 5000)));
    node.wait(200);
    // The first flow is gone; that of the local host holds the mapping.
    assert_eq!(node.0.flows().len(), 1);
    node.tunnelled(&udp("10.1.0.2", "172.16.1.8", (80, 5000)));
    node.wait(301);
    assert_eq!(node.refusal(&udp("10.1.0.3", "172.16.1.8", (9, 5000))), Some("pat_no_mapping"));
}

#[test]
fn a_short_ipv4_pool_keeps_its_ends_free() {
    let pool = "[[vnet.outside_nat]]\nvirtual = \"10.200.0.0/22\"\nlocal = \"172.16.1.8/30\"\n";
    let mut node = Node::new(&[VNET, INSIDE, pool, ROUTES, ALLOW].concat());
    let packet = udp("10.200.1.2", "10.200.0.2", (5000, 80));
    assert_eq!(rule(node.mapped(&packet, ("172.16.1.8", 5000))), "the address is in the pool");
    assert_eq!(rule(node.mapped(&packet, ("172.16.1.11", 5000))), "the address is in the pool");
    assert!(node.mapped(&packet, ("172.16.1.10", 5000)).is_ok());
}

#[test]
fn local_hosts_make_no_mappings() {
    let mut node = Node::new(&pooled());
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.8", (1, 2))), Some("pat_no_mapping"));
    assert!(node.0.flows().is_empty());
}

#[test]
fn a_wider_pool_keeps_the_mappings_it_has() {
    let mut node = Node::new(&pooled());
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (5000, 80)));
    assert!(node.mapped(&udp("10.200.1.2", "10.200.0.2", (5000, 80)), ("172.16.1.8", 6000)).is_ok());
    node.reload(&pool_of_two());
    // For another destination the host is still the same.
    let packet = node.delivered("gw-b", &udp("10.200.1.2", "10.200.0.3", (5000, 81)));
    assert_eq!(ends(&packet), "172.16.1.8 6000 > 10.1.0.3 81");
    let tcp = segment("10.200.1.2", "10.200.0.2", (7000, 80), 2);
    assert_eq!(
        rule(node.mapped(&tcp, ("172.16.1.9", 7000))),
        "a host keeps its address while that has ports"
    );
}
