use gridway_model::{IllegalChoice, Observed};

use crate::support::{ALLOW, INSIDE, NETMAP, Node, VNET, ends, ping, pong, udp};

fn routed(routes: &[(&str, &str, u8)]) -> String {
    let routes = routes
        .iter()
        .map(|(to, via, metric)| {
            format!("[[vnet.route]]\nto = \"{to}\"\nvia = \"{via}\"\nmetric = {metric}\n")
        })
        .collect::<String>();
    [VNET, INSIDE, NETMAP, &routes, ALLOW].concat()
}

#[test]
fn longest_prefix_then_metric_then_availability() {
    let rest =
        routed(&[("10.200.0.0/22", "gw-d", 1), ("10.200.1.0/28", "gw-b", 20), ("10.200.1.0/28", "gw-c", 10)]);
    let mut node = Node::new(&rest);
    let packet = udp("10.1.0.2", "172.16.1.2", (1, 2));
    assert_eq!(node.tunnelled(&packet).0, "gw-c");
    node.0.set_peer("gw-c", false, 0);
    assert_eq!(node.tunnelled(&packet).0, "gw-b");
    node.0.set_peer("gw-b", false, 0);
    assert_eq!(node.tunnelled(&packet).0, "gw-d", "the shorter prefix serves");
    node.0.set_peer("gw-d", false, 0);
    assert_eq!(node.refusal(&packet), Some("peer_down"));
    assert_eq!(node.0.flows().len(), 1, "the flow waits for its peer");
    node.0.set_peer("gw-b", true, 1500);
    assert_eq!(node.tunnelled(&packet).0, "gw-b");
}

#[test]
fn no_route_is_not_peer_down() {
    let mut node = Node::new(&routed(&[("10.200.1.0/28", "gw-b", 1)]));
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.2.2", (1, 2))), Some("no_route"));
}

#[test]
fn a_failing_monitor_takes_its_route_down() {
    let monitored = "[[vnet.route]]\nto = \"10.200.1.0/28\"\nvia = \"gw-b\"\nmetric = 1\n\
                     monitor = { protocol = \"icmp\", target = \"10.200.1.2\" }\n";
    let rest = routed(&[("10.200.1.0/28", "gw-c", 2)]).replace(ALLOW, &[monitored, ALLOW].concat());
    let mut node = Node::new(&rest);
    let packet = udp("10.1.0.2", "172.16.1.2", (1, 2));
    assert_eq!(node.tunnelled(&packet).0, "gw-b");
    node.0.set_monitor("one", "10.200.1.0/28".parse().unwrap(), "gw-b", false);
    assert_eq!(node.tunnelled(&packet).0, "gw-c");
    node.0.set_monitor("one", "10.200.1.0/28".parse().unwrap(), "gw-b", true);
    assert_eq!(node.tunnelled(&packet).0, "gw-b");
    // A route that is no longer monitored passes whatever its monitor said last.
    node.0.set_monitor("one", "10.200.1.0/28".parse().unwrap(), "gw-b", false);
    let unmonitored = rest.replace("monitor = ", "# ");
    node.reload(&unmonitored);
    assert_eq!(node.tunnelled(&packet).0, "gw-b");
}

#[test]
fn a_reply_goes_back_the_way_the_last_query_came_while_it_can() {
    let rest = routed(&[("10.200.1.0/28", "gw-b", 1), ("10.200.1.0/28", "gw-c", 2)]);
    let mut node = Node::new(&rest);
    let query = ping("10.200.1.2", "10.200.0.2", 7);
    let reply = pong("10.1.0.2", "172.16.1.2", 7);
    for by in ["gw-c", "gw-b", "gw-c"] {
        node.delivered(by, &query);
        assert_eq!(node.tunnelled(&reply).0, by);
    }
    node.0.set_peer("gw-c", false, 0);
    assert_eq!(node.tunnelled(&reply).0, "gw-b", "its tunnel is down");
    node.0.set_peer("gw-c", true, 1500);
    node.delivered("gw-c", &query);
    node.reload(&routed(&[("10.200.1.0/28", "gw-b", 1)]));
    assert_eq!(node.tunnelled(&reply).0, "gw-b", "no route lists it");
}

#[test]
fn one_of_the_best_and_always_the_same_for_a_flow() {
    let equal =
        routed(&[("10.200.1.0/28", "gw-b", 5), ("10.200.1.0/28", "gw-c", 5), ("10.200.1.0/28", "gw-d", 6)]);
    let mut node = Node::new(&equal);
    let bytes = udp("10.1.0.2", "172.16.1.2", (1, 2)).to_bytes();
    let choose = |node: &mut Node, peer: &str| {
        let mut oracle = Observed { source: None, peer: Some(peer.to_owned()) };
        node.0.outbound(&bytes, &mut oracle).map(|step| Observed::of(&step).peer.unwrap())
    };
    assert!(matches!(choose(&mut node, "gw-d"), Err(IllegalChoice::Peer { .. })));
    assert_eq!(choose(&mut node, "gw-c").unwrap(), "gw-c");
    // The flow stays: the oracle is not asked again.
    assert_eq!(choose(&mut node, "gw-b").unwrap(), "gw-c");
    node.0.set_peer("gw-c", false, 0);
    assert_eq!(choose(&mut node, "gw-c").unwrap(), "gw-b");
    node.0.set_peer("gw-c", true, 1500);
    assert_eq!(choose(&mut node, "gw-c").unwrap(), "gw-b", "it stays while it is among the best");
}

#[test]
fn answers_go_back_the_way_the_flow_came_while_that_is_among_the_best() {
    let equal = [("10.200.1.0/28", "gw-b", 5), ("10.200.1.0/28", "gw-c", 5)];
    let mut node = Node::new(&routed(&equal));
    node.delivered("gw-c", &udp("10.200.1.2", "10.200.0.2", (2, 1)));
    assert_eq!(node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1, 2))).0, "gw-c");
    let worse = [("10.200.1.0/28", "gw-b", 5), ("10.200.1.0/28", "gw-c", 6)];
    let mut node = Node::new(&routed(&worse));
    node.delivered("gw-c", &udp("10.200.1.2", "10.200.0.2", (2, 1)));
    assert_eq!(node.tunnelled(&udp("10.1.0.2", "172.16.1.2", (1, 2))).0, "gw-b");
}

#[test]
fn a_source_must_be_routed_to_its_peer_by_the_longest_prefix() {
    let rest =
        routed(&[("10.200.0.0/22", "gw-d", 1), ("10.200.1.0/28", "gw-b", 1), ("10.200.1.0/28", "gw-c", 200)]);
    let mut node = Node::new(&rest);
    let packet = |port| udp("10.200.1.2", "10.200.0.2", (port, 1));
    assert_eq!(node.refusal_of("gw-b", &packet(1)), None);
    assert_eq!(node.refusal_of("gw-c", &packet(2)), None, "whatever its metric");
    assert_eq!(node.refusal_of("gw-d", &packet(3)), Some("source_check"), "the longer prefix has a route");
    assert_eq!(node.refusal_of("gw-d", &packet(1)), Some("source_check"), "on flow hits too");
    node.0.set_peer("gw-b", false, 0);
    assert_eq!(node.refusal_of("gw-b", &packet(1)), None, "whatever its availability");
    assert_eq!(node.refusal_of("gw-d", &packet(1)), Some("source_check"));
    node.0.set_peer("gw-c", false, 0);
    assert_eq!(node.refusal_of("gw-d", &packet(1)), None, "no longer prefix has an available route");
}

#[test]
fn local_sources_do_not_come_from_peers_nor_remote_ones_from_here() {
    let mut node = Node::new(&routed(&[("10.200.0.0/22", "gw-d", 1), ("10.200.1.0/28", "gw-b", 1)]));
    // 10.200.0.3 is a local host's: the inside NAT is longer than the route.
    assert_eq!(node.refusal_of("gw-d", &udp("10.200.0.3", "10.200.0.2", (1, 1))), Some("source_check"));
    assert_eq!(node.refusal_of("gw-d", &udp("10.200.0.14", "10.200.0.2", (1, 1))), Some("source_check"));
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (1, 1))), None);
    // A route as long as the inside NAT makes its hosts remote.
    let mut node = Node::new(&routed(&[("10.200.0.0/28", "gw-d", 1), ("10.200.1.0/28", "gw-b", 1)]));
    assert_eq!(node.refusal(&udp("10.1.0.2", "172.16.1.2", (1, 1))), Some("spoofed_local"));
}

#[test]
fn a_flow_that_moves_keeps_its_translation() {
    let pool = "[[vnet.outside_nat]]\nvirtual = \"10.200.0.0/22\"\nlocal = \"172.16.1.8/32\"\n";
    let routes = [("10.200.1.0/28", "gw-b", 1), ("10.200.1.0/28", "gw-c", 2)];
    let mut node = Node::new(&routed(&routes).replace(NETMAP, pool));
    node.delivered("gw-b", &udp("10.200.1.3", "10.200.0.2", (5000, 80)));
    let packet = udp("10.200.1.2", "10.200.0.2", (5000, 80));
    assert!(node.mapped(&packet, ("172.16.1.8", 7000)).is_ok());
    node.0.set_peer("gw-b", false, 0);
    let (peer, answer) = node.tunnelled(&udp("10.1.0.2", "172.16.1.8", (80, 7000)));
    assert_eq!((peer.as_str(), ends(&answer).as_str()), ("gw-c", "10.200.0.2 80 > 10.200.1.2 5000"));
    let packet = node.delivered("gw-c", &packet);
    assert_eq!(ends(&packet), "172.16.1.8 7000 > 10.1.0.2 80");
}

#[test]
fn the_nodes_own_address_is_never_remote() {
    // No inside NAT, and one route for all of the vnet.
    let route = "[[vnet.route]]\nto = \"10.200.0.0/22\"\nvia = \"gw-d\"\n";
    let mut node = Node::new(&[VNET, route, ALLOW].concat());
    assert_eq!(node.refusal_of("gw-d", &udp("10.200.0.14", "10.9.0.2", (1, 1))), Some("source_check"));
    assert_eq!(node.refusal_of("gw-d", &udp("10.200.0.13", "10.9.0.2", (1, 1))), Some("no_inside_nat"));
}
