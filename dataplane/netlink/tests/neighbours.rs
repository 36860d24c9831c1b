//! Neighbours: resolved on request, kept fresh, withdrawn; against the kernel and a live far end.

mod common;

use std::time::Duration;

use common::{Net, address, ip, neighbour, settle, sysctl, until};
use gridway_netlink::Watcher;

/// Makes the kernel notice within seconds that a neighbour is gone.
fn probe_fast() {
    for family in ["ipv4", "ipv6"] {
        sysctl(&format!("net.{family}.neigh.data0.base_reachable_time_ms"), "500");
        sysctl(&format!("net.{family}.neigh.data0.delay_first_probe_time"), "1");
        sysctl(&format!("net.{family}.neigh.data0.retrans_time_ms"), "100");
        sysctl(&format!("net.{family}.neigh.data0.interval_probe_time_ms"), "300");
    }
}

fn table() -> String {
    ip("neigh show dev data0 nud all")
}

#[test]
fn resolves_a_neighbour_on_request() {
    let net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    assert_eq!(neighbour(&watcher.snapshot(), "10.0.0.2"), None);
    let resolver = watcher.requests();
    let asker = std::thread::spawn(move || {
        for text in ["10.0.0.2", "10.0.0.2", "2001:db8::2", "::ffff:10.0.0.2"] {
            resolver.resolve(address(text));
        }
    });
    let snapshot = until(&mut watcher, |snapshot| {
        neighbour(snapshot, "10.0.0.2").is_some() && neighbour(snapshot, "2001:db8::2").is_some()
    });
    asker.join().unwrap();
    let mac = net.far_mac("far0");
    assert_eq!(neighbour(&snapshot, "10.0.0.2"), Some(mac));
    assert_eq!(neighbour(&snapshot, "2001:db8::2"), Some(mac));
    assert_eq!(table().matches("managed").count(), 2, "{}", table());
}

#[test]
fn a_new_mac_address_is_noticed() {
    let net = Net::new();
    probe_fast();
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
    net.far(|| drop(ip("link set far0 address 02:00:00:00:00:99")));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2") == Some([2, 0, 0, 0, 0, 0x99]));
}

#[test]
fn a_neighbour_that_answers_no_more_disappears_and_comes_back() {
    let net = Net::new();
    probe_fast();
    let mut watcher = Watcher::open("data0").unwrap();
    for text in ["10.0.0.2", "2001:db8::2"] {
        watcher.requests().resolve(address(text));
    }
    let both = |wanted: bool| {
        move |snapshot: &gridway_netlink::Snapshot| {
            ["10.0.0.2", "2001:db8::2"].iter().all(|text| neighbour(snapshot, text).is_some() == wanted)
        }
    };
    until(&mut watcher, both(true));
    // No traffic flows: it is the kernel's own probing that finds out, both times.
    net.far(|| {
        ip("address del 10.0.0.2/24 dev far0");
        ip("address del 2001:db8::2/64 dev far0");
    });
    until(&mut watcher, both(false));
    net.far(|| {
        ip("address add 10.0.0.2/24 dev far0");
        ip("address add 2001:db8::2/64 dev far0 nodad");
    });
    until(&mut watcher, both(true));
}

#[test]
fn neighbours_go_with_the_carrier_and_can_be_asked_for_again() {
    let net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
    net.far(|| drop(ip("link set far0 down")));
    until(&mut watcher, |snapshot| !snapshot.up && neighbour(snapshot, "10.0.0.2").is_none());
    net.far(|| drop(ip("link set far0 up")));
    until(&mut watcher, |snapshot| snapshot.up);
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
}

#[test]
fn a_flushed_neighbour_can_be_asked_for_again() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    for _ in 0..3 {
        watcher.requests().resolve(address("10.0.0.2"));
        until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
        ip("neigh del 10.0.0.2 dev data0");
        until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_none());
    }
}

#[test]
fn only_resolved_unicast_neighbours_of_this_interface_count() {
    let _net = Net::new();
    ip("neigh add 10.0.0.20 dev data0 lladdr 02:00:00:00:00:20 nud permanent");
    ip("neigh add 10.0.0.21 dev data0 lladdr 02:00:00:00:00:21 nud stale");
    ip("neigh add 10.0.0.22 dev data0 lladdr 02:00:00:00:00:22 nud failed");
    ip("neigh add 10.0.0.23 dev data0 lladdr 01:00:5e:00:00:23 nud permanent");
    ip("neigh add 10.1.0.24 dev other0 lladdr 02:00:00:00:00:24 nud permanent");
    ip("neigh add proxy 10.0.0.25 dev data0");
    let mut watcher = Watcher::open("data0").unwrap();
    let wanted = |watcher: &Watcher| {
        let snapshot = watcher.snapshot();
        let seen = |last| neighbour(&snapshot, &format!("10.0.0.{last}")).is_some();
        assert_eq!([20, 21, 22, 23, 25].map(seen), [true, true, false, false, false], "{snapshot:#?}");
        assert_eq!(neighbour(&snapshot, "10.1.0.24"), None);
    };
    wanted(&watcher);
    ip("neigh replace 10.0.0.21 dev data0 lladdr 02:00:00:00:00:31 nud reachable");
    ip("neigh replace 10.1.0.26 dev other0 lladdr 02:00:00:00:00:26 nud permanent");
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.21") == Some([2, 0, 0, 0, 0, 0x31]));
    wanted(&watcher);
}

#[test]
fn withdraw_removes_what_was_added_and_nothing_else() {
    let _net = Net::new();
    ip("neigh add 10.0.0.20 dev data0 lladdr 02:00:00:00:00:20 nud permanent");
    let mut watcher = Watcher::open("data0").unwrap();
    for text in ["10.0.0.2", "10.0.0.20", "10.0.0.99", "2001:db8::2"] {
        watcher.requests().resolve(address(text));
    }
    until(&mut watcher, |snapshot| {
        neighbour(snapshot, "10.0.0.2").is_some() && neighbour(snapshot, "2001:db8::2").is_some()
    });
    assert!(table().contains("10.0.0.99"), "{}", table());
    assert!(table().contains("10.0.0.20 lladdr 02:00:00:00:00:20 PERMANENT"), "{}", table());
    watcher.withdraw();
    let left = table();
    for gone in ["10.0.0.2 ", "10.0.0.99 ", "2001:db8::2 ", "managed"] {
        assert!(!left.contains(gone), "{left}");
    }
    assert!(left.contains("10.0.0.20 lladdr 02:00:00:00:00:20 PERMANENT"), "{left}");
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_none());
}

#[test]
fn drop_withdraws() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
    drop(watcher);
    assert!(!table().contains("10.0.0.2 "), "{}", table());
}

#[test]
fn an_entry_made_permanent_meanwhile_is_left_alone() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
    ip("neigh replace 10.0.0.2 dev data0 lladdr 02:00:00:00:00:55 nud permanent");
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2") == Some([2, 0, 0, 0, 0, 0x55]));
    watcher.withdraw();
    assert!(table().contains("10.0.0.2 lladdr 02:00:00:00:00:55"), "{}", table());
}

#[test]
fn what_cannot_be_a_neighbour_is_not_asked_for() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    settle(&mut watcher);
    let before = table();
    for text in
        ["0.0.0.0", "::", "127.0.0.1", "224.0.0.5", "ff02::5", "255.255.255.255", "10.0.0.1", "2001:db8::1"]
    {
        watcher.requests().resolve(address(text));
    }
    settle(&mut watcher);
    assert_eq!(table().matches("managed").count(), 0, "before:\n{before}after:\n{}", table());
    assert_eq!(watcher.counters().refused, 0);
}

#[test]
fn scanning_a_prefix_leaves_a_bounded_number_of_entries() {
    let _net = Net::new();
    ip("route add 10.128.0.0/16 dev data0");
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| neighbour(snapshot, "10.0.0.2").is_some());
    let resolver = watcher.requests();
    for n in 0..1_500u32 {
        resolver.resolve(address(&format!("10.128.{}.{}", n / 250, n % 250 + 1)));
        if n % 100 == 0 {
            watcher.wait(Duration::from_millis(10)).unwrap();
        }
    }
    settle(&mut watcher);
    let managed = table().matches("managed").count();
    assert!((100..=513).contains(&managed), "{managed} managed entries");
    assert!(neighbour(&watcher.snapshot(), "10.0.0.2").is_some(), "and a live neighbour is not pushed out");
}
