use super::*;
use gridway_wire::protocol::Protocol;
use ipnet::Ipv4Net;

const A: PeerId = PeerId(0);
const B: PeerId = PeerId(1);
const C: PeerId = PeerId(2);

fn routes(list: &[(&str, PeerId, u8)]) -> Routes {
    let route = |(prefix, peer, metric): &(&str, PeerId, u8)| {
        (prefix.parse().unwrap(), Candidate { peer: *peer, metric: *metric, monitor: None })
    };
    Routes::new(list.iter().map(route).collect())
}

fn to(destination: &str, source_port: u16) -> FiveTuple {
    FiveTuple {
        source: "10.200.1.1".parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: Protocol::UDP,
        source_port,
        destination_port: 9,
    }
}

fn all(_: &Candidate) -> bool {
    true
}

#[test]
fn the_longest_prefix_wins_then_the_lowest_metric() {
    let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50), ("10.2.0.0/16", C, 20)]);
    assert_eq!(routes.choose(&to("10.2.3.4", 1), None, all), Choice::Peer(C));
    assert_eq!(routes.choose(&to("10.9.3.4", 1), None, all), Choice::Peer(A));
    assert_eq!(routes.choose(&to("192.0.2.1", 1), None, all), Choice::NoRoute);
}

#[test]
fn a_dead_route_gives_way_to_the_next_metric_then_to_a_shorter_prefix() {
    let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50), ("10.2.0.0/16", C, 20)]);
    let tuple = to("10.2.3.4", 1);
    assert_eq!(routes.choose(&tuple, None, |route| route.peer != C), Choice::Peer(B));
    assert_eq!(routes.choose(&tuple, None, |route| route.peer == A), Choice::Peer(A));
    assert_eq!(routes.choose(&tuple, None, |_| false), Choice::AllDown);
}

#[test]
fn equal_routes_share_the_flows_and_a_flow_stays_with_its_route() {
    let routes = routes(&[("10.2.0.0/16", B, 20), ("10.2.0.0/16", C, 20)]);
    let via_b =
        (0..1000).filter(|port| routes.choose(&to("10.2.3.4", *port), None, all) == Choice::Peer(B)).count();
    assert!((400..600).contains(&via_b), "{via_b}");
    for port in 0..100 {
        let tuple = to("10.2.3.4", port);
        assert_eq!(routes.choose(&tuple, Some(C), all), Choice::Peer(C));
    }
}

#[test]
fn a_source_is_feasible_only_from_the_peers_of_its_longest_prefix() {
    let routes = routes(&[("10.0.0.0/8", A, 1), ("10.2.0.0/16", B, 50)]);
    let source = "10.2.3.4".parse().unwrap();
    assert!(routes.is_feasible(source, B, all));
    assert!(!routes.is_feasible(source, A, all), "a longer prefix belongs to another peer");
    assert!(
        routes.is_feasible(source, A, |route| route.peer != B),
        "its peer is down: the shorter one counts"
    );
    assert!(routes.is_feasible(source, B, |_| false), "availability of the sender does not matter");
    assert!(!routes.is_feasible(source, C, all));
    assert!(!routes.is_feasible("192.0.2.1".parse().unwrap(), A, all));
}

#[test]
fn the_monitor_of_a_route_decides_its_availability_alone() {
    let monitored = |monitor| Candidate { peer: A, metric: 1, monitor };
    let failing = monitored(Some(MonitorId(7)));
    let prefix: IpNet = "10.2.0.0/16".parse().unwrap();
    let other: IpNet = "10.3.0.0/16".parse().unwrap();
    let routes = Routes::new(vec![(prefix, failing), (other, monitored(None))]);
    let available = |route: &Candidate| route.monitor.is_none();
    assert_eq!(routes.choose(&to("10.2.3.4", 1), None, available), Choice::AllDown);
    assert_eq!(routes.choose(&to("10.3.3.4", 1), None, available), Choice::Peer(A));
    assert!(!routes.is_chosen(prefix, failing, available));
    assert!(routes.is_chosen(other, monitored(None), available));
}

#[test]
fn chosen_are_the_available_routes_of_the_lowest_metric() {
    let routes = routes(&[("10.2.0.0/16", A, 50), ("10.2.0.0/16", B, 20), ("10.2.0.0/16", C, 20)]);
    let chosen = |available: fn(&Candidate) -> bool| -> Vec<PeerId> {
        let is_chosen = |(prefix, candidate)| routes.is_chosen(prefix, candidate, available);
        routes.iter().filter(|route| is_chosen(*route)).map(|(_, candidate)| candidate.peer).collect()
    };
    assert_eq!(chosen(all), [B, C]);
    assert_eq!(chosen(|route| route.peer != B), [C]);
    assert_eq!(chosen(|route| route.peer == A), [A]);
    assert!(chosen(|_| false).is_empty());
    let unknown = Candidate { peer: A, metric: 20, monitor: None };
    assert!(!routes.is_chosen("10.2.0.0/16".parse().unwrap(), unknown, all));
    assert!(!routes.is_chosen("10.0.0.0/8".parse().unwrap(), unknown, all));
}

#[test]
fn routes_are_listed_by_prefix_then_metric_and_none_is_lost() {
    let routes = routes(&[
        ("10.2.0.0/16", A, 50),
        ("fd00::/8", C, 1),
        ("10.2.0.0/16", B, 20),
        ("10.0.0.0/8", A, 50),
        ("10.2.9.9/16", C, 20),
    ]);
    let listed: Vec<_> =
        routes.iter().map(|(to, candidate)| (to.to_string(), candidate.peer, candidate.metric)).collect();
    let expected = [
        ("10.0.0.0/8", A, 50),
        ("10.2.0.0/16", B, 20),
        ("10.2.0.0/16", C, 20),
        ("10.2.0.0/16", A, 50),
        ("fd00::/8", C, 1),
    ];
    assert_eq!(listed, expected.map(|(to, peer, metric)| (to.to_owned(), peer, metric)));
    assert_eq!(routes.len(), 5);
}

/// Would take hours if building, listing or judging a route looked at all others.
#[test]
fn three_hundred_thousand_routes_are_built_and_listed() {
    let route = |n: u32| {
        let prefix = Ipv4Net::new((n << 12).into(), 24).unwrap();
        (
            prefix.into(),
            Candidate { peer: PeerId((n % 3) as u16), metric: 1 + (n / 3 % 2) as u8, monitor: None },
        )
    };
    let list: Vec<(IpNet, Candidate)> = (0..300_000).map(|n| route(n / 2 * 7 + n % 2 * 3)).collect();
    let routes = Routes::new(list);
    assert_eq!(routes.len(), 300_000);
    assert!(routes.candidates.len() < 100, "prefixes with the same candidates share them");
    let chosen = routes.iter().filter(|(to, candidate)| routes.is_chosen(*to, *candidate, all)).count();
    assert!((150_000..=300_000).contains(&chosen), "{chosen}");
}
