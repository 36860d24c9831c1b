//! Routes of the main table, against the kernel.

mod common;

use std::time::{Duration, Instant};

use common::{Net, ip, ip_batch, router, routes, settle, until};
use gridway_netlink::{Via, Watcher};

#[test]
fn reads_the_routes_that_are_there() {
    let _net = Net::new();
    ip("route add 10.20.0.0/16 via 10.0.0.2");
    ip("route add default via 10.1.0.254 metric 50");
    ip("route add default via 10.0.0.2 metric 70");
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    assert_eq!(routes(&snapshot, "10.0.0.0/24"), [(0, Via::OnLink)]);
    assert_eq!(routes(&snapshot, "10.20.0.0/16"), [(0, router("10.0.0.2"))]);
    assert_eq!(routes(&snapshot, "10.1.0.0/24"), [(0, Via::Elsewhere)]);
    assert_eq!(routes(&snapshot, "0.0.0.0/0"), [(50, Via::Elsewhere), (70, router("10.0.0.2"))]);
    assert_eq!(routes(&snapshot, "2001:db8::/64"), [(256, Via::OnLink)]);
}

#[test]
fn follows_routes_that_come_and_go() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    settle(&mut watcher);
    ip("route add 10.30.0.0/16 via 10.0.0.2");
    ip("route add 2001:db8:30::/48 via 2001:db8::2 metric 7");
    until(&mut watcher, |snapshot| {
        routes(snapshot, "10.30.0.0/16") == [(0, router("10.0.0.2"))]
            && routes(snapshot, "2001:db8:30::/48") == [(7, router("2001:db8::2"))]
    });
    ip("route replace 10.30.0.0/16 via 10.0.0.3");
    until(&mut watcher, |snapshot| routes(snapshot, "10.30.0.0/16") == [(0, router("10.0.0.3"))]);
    ip("route del 10.30.0.0/16");
    ip("route del 2001:db8:30::/48");
    until(&mut watcher, |snapshot| {
        routes(snapshot, "10.30.0.0/16").is_empty() && routes(snapshot, "2001:db8:30::/48").is_empty()
    });
}

#[test]
fn refusing_routes_and_other_interfaces_lead_elsewhere() {
    let _net = Net::new();
    ip("route add unreachable 10.40.0.0/16");
    ip("route add blackhole 10.41.0.0/16");
    ip("route add prohibit 10.42.0.0/16");
    ip("route add unreachable 2001:db8:40::/48");
    ip("route add 10.0.0.128/25 dev other0");
    ip("route add 10.43.0.0/16 encap ip id 1 dst 10.0.0.2 via 10.0.0.2 dev data0");
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    for prefix in ["10.40.0.0/16", "10.41.0.0/16", "10.42.0.0/16", "10.0.0.128/25", "10.43.0.0/16"] {
        assert_eq!(routes(&snapshot, prefix), [(0, Via::Elsewhere)], "{prefix}");
    }
    assert_eq!(routes(&snapshot, "2001:db8:40::/48"), [(1024, Via::Elsewhere)]);
}

#[test]
fn link_local_prefixes_of_other_interfaces_do_not_count() {
    let _net = Net::new();
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    assert_eq!(routes(&snapshot, "fe80::/64"), [(256, Via::OnLink)]);
}

#[test]
fn other_tables_and_routes_for_one_tos_do_not_count() {
    let _net = Net::new();
    ip("route add 10.50.0.0/16 via 10.0.0.2 table 100");
    ip("route add 10.51.0.0/16 via 10.0.0.2 tos 0x10");
    ip("route add 2001:db8:51::/48 from 2001:db8:1::/48 via 2001:db8::2");
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    for prefix in ["10.50.0.0/16", "10.51.0.0/16", "2001:db8:51::/48"] {
        assert_eq!(routes(&snapshot, prefix), [], "{prefix}");
    }
    let locals = snapshot.routes.iter().filter(|route| route.0.to_string() == "10.0.0.1/32").count();
    assert_eq!(locals, 0, "nor does the local table");
}

#[test]
fn multipath_takes_the_first_next_hop_on_the_interface() {
    let _net = Net::new();
    ip("route add 10.60.0.0/16 nexthop via 10.1.0.9 nexthop via 10.0.0.2 nexthop via 10.0.0.3");
    ip("route add 10.61.0.0/16 nexthop via 10.1.0.9 nexthop via 10.1.0.8");
    ip("route add 2001:db8:60::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3");
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    assert_eq!(routes(&snapshot, "10.60.0.0/16"), [(0, router("10.0.0.2"))]);
    assert_eq!(routes(&snapshot, "10.61.0.0/16"), [(0, Via::Elsewhere)]);
    assert_eq!(routes(&snapshot, "2001:db8:60::/48"), [(1024, router("2001:db8::2"))]);
}

#[test]
fn an_ipv4_route_may_have_an_ipv6_next_hop() {
    let _net = Net::new();
    ip("route add 10.70.0.0/16 via inet6 fe80::2 dev data0");
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    assert_eq!(routes(&snapshot, "10.70.0.0/16"), [(0, router("fe80::2"))]);
}

#[test]
fn follows_next_hop_objects() {
    let _net = Net::new();
    ip("nexthop add id 7 via 10.0.0.2 dev data0");
    ip("route add 10.80.0.0/16 nhid 7");
    let mut watcher = Watcher::open("data0").unwrap();
    assert_eq!(routes(&watcher.snapshot(), "10.80.0.0/16"), [(0, router("10.0.0.2"))]);
    ip("nexthop replace id 7 via 10.0.0.9 dev data0");
    until(&mut watcher, |snapshot| routes(snapshot, "10.80.0.0/16") == [(0, router("10.0.0.9"))]);
    ip("nexthop del id 7");
    until(&mut watcher, |snapshot| routes(snapshot, "10.80.0.0/16").is_empty());
}

#[test]
fn routes_that_vanish_silently_are_noticed() {
    let _net = Net::new();
    ip("address add 10.90.0.1/24 dev data0");
    ip("route add 10.91.0.0/16 via 10.0.0.2 src 10.90.0.1");
    let mut watcher = Watcher::open("data0").unwrap();
    assert_eq!(routes(&watcher.snapshot(), "10.91.0.0/16").len(), 1);
    // The kernel flushes routes with this preferred source, without RTM_DELROUTE.
    ip("address del 10.90.0.1/24 dev data0");
    until(&mut watcher, |snapshot| routes(snapshot, "10.91.0.0/16").is_empty());
}

#[test]
fn reads_two_thousand_routes_whole() {
    let _net = Net::new();
    ip_batch((0..2_000).map(|n| format!("route add 10.{}.{}.0/24 via 10.0.0.2", 100 + n / 250, n % 250)));
    let snapshot = Watcher::open("data0").unwrap().snapshot();
    let by_router = snapshot.routes.iter().filter(|route| route.2 == router("10.0.0.2")).count();
    assert_eq!(by_router, 2_000);
}

#[test]
fn a_burst_of_changes_is_one_change_or_few() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    settle(&mut watcher);
    ip_batch((0..250).map(|n| format!("route add 10.200.{n}.0/24 via 10.0.0.2")));
    let mut changes = 0;
    while watcher.wait(Duration::from_millis(200)).unwrap() {
        changes += 1;
    }
    assert!((1..=5).contains(&changes), "{changes} changes reported");
    let added = watcher.snapshot().routes.iter().filter(|route| route.2 == router("10.0.0.2")).count();
    assert_eq!(added, 250);
}

#[test]
fn recovers_when_notifications_are_lost() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    // Nobody reads meanwhile, and 20,000 notifications are more than any receive buffer asked for holds.
    ip_batch((0..20_000).map(|n| format!("route add 10.{}.{}.0/24 via 10.0.0.2", 100 + n / 250, n % 250)));
    ip("route del 10.100.7.0/24");
    let snapshot = until(&mut watcher, |snapshot| snapshot.routes.len() > 19_000);
    assert!(watcher.counters().overruns > 0, "{:?}", watcher.counters());
    let by_router = snapshot.routes.iter().filter(|route| route.2 == router("10.0.0.2")).count();
    assert_eq!(by_router, 19_999);
    assert!(routes(&snapshot, "10.100.7.0/24").is_empty());
}

#[test]
fn waits_no_longer_than_asked_and_can_be_interrupted() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    settle(&mut watcher);
    let start = Instant::now();
    assert!(!watcher.wait(Duration::from_millis(300)).unwrap());
    assert!(start.elapsed() >= Duration::from_millis(300));

    let resolver = watcher.requests();
    let start = Instant::now();
    let interrupter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        resolver.interrupt();
    });
    assert!(!watcher.wait(Duration::MAX).unwrap());
    assert!(start.elapsed() < Duration::from_secs(30));
    interrupter.join().unwrap();
}

#[test]
fn keeps_to_its_namespace_when_it_moves_to_a_thread() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    let elsewhere = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        until(&mut watcher, |snapshot| routes(snapshot, "10.99.0.0/16") == [(0, router("10.0.0.2"))]);
    });
    ip("route add 10.99.0.0/16 via 10.0.0.2");
    elsewhere.join().unwrap();
}
