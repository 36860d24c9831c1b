//! Local routes: what the table holds, against the kernel.

#![expect(clippy::unwrap_used, reason = "only tests use this")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use common::{Net, address, ip};
use gridway_netlink::{LocalRouteError, LocalRoutes, NetlinkError};

/// Says to a test program started by [`leftovers_of_a_killed_process_are_removed_at_the_next_open`] that it is the one
/// to be killed.
const TO_BE_KILLED: &str = "GRIDWAY_TO_BE_KILLED";

fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|text| address(text)).collect()
}

/// The addresses that have a route of ours in the table `local`.
fn shown() -> BTreeSet<IpAddr> {
    let table = ip("-4 route show table local proto 103") + &ip("-6 route show table local proto 103");
    let of_line = |line: &str| address(line.split(' ').nth(1).unwrap());
    table.lines().map(of_line).collect()
}

#[test]
fn adds_what_is_new_and_removes_what_is_gone() {
    let _net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    let first = set(&["172.16.9.1", "10.0.0.77", "2001:db8:9::1"]);
    routes.set(&first).unwrap();
    assert_eq!(shown(), first);
    let table = ip("-4 route show table local") + &ip("-6 route show table local");
    assert!(table.contains("local 172.16.9.1 dev data0 proto 103 scope host"), "{table}");
    assert!(table.contains("local 2001:db8:9::1 dev data0 proto 103"), "{table}");
    let second = set(&["172.16.9.1", "172.16.9.2", "2001:db8:9::2"]);
    routes.set(&second).unwrap();
    assert_eq!(shown(), second);
    routes.set(&second).unwrap();
    assert_eq!(shown(), second, "the same again changes nothing");
    routes.set(&BTreeSet::new()).unwrap();
    assert_eq!(shown(), BTreeSet::new());
}

#[test]
fn drop_removes_its_routes_and_no_others() {
    let _net = Net::new();
    ip("route add local 172.16.9.7/32 dev data0 table local proto static");
    ip("route add local 172.16.9.8/32 dev other0 table local proto 103");
    let before = ip("-4 route show table local") + &ip("-6 route show table local");
    let mut routes = LocalRoutes::open("data0").unwrap();
    routes.set(&set(&["172.16.9.1", "2001:db8:9::1"])).unwrap();
    drop(routes);
    assert_eq!(ip("-4 route show table local") + &ip("-6 route show table local"), before);
}

#[test]
fn an_address_given_to_the_interface_meanwhile_keeps_the_kernels_route() {
    let _net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    routes.set(&set(&["172.16.9.1", "2001:db8:9::1"])).unwrap();
    ip("address add 172.16.9.1/32 dev data0");
    ip("address add 2001:db8:9::1/128 dev data0 nodad");
    drop(routes);
    assert!(ip("-4 route show table local").contains("local 172.16.9.1 dev data0 proto kernel"));
    assert!(ip("-6 route show table local").contains("local 2001:db8:9::1 dev data0 proto kernel"));
    assert_eq!(shown(), BTreeSet::new());
}

#[test]
fn an_address_that_somebody_else_routes_is_refused_by_name() {
    let _net = Net::new();
    ip("route add local 172.16.9.7/32 dev data0 table local proto static");
    ip("route add local 2001:db8:9::7/128 dev other0 table local proto static");
    ip("route add local 172.16.9.8/32 dev other0 table local proto 103");
    let mut routes = LocalRoutes::open("data0").unwrap();
    let held = set(&["172.16.9.1"]);
    routes.set(&held).unwrap();
    for (taken, by) in [
        ("10.0.0.1", 2),
        ("10.0.0.255", 2),
        ("10.1.0.1", 2),
        ("2001:db8::1", 2),
        ("172.16.9.7", 4),
        ("2001:db8:9::7", 4),
        ("172.16.9.8", 103),
    ] {
        let error = routes.set(&set(&["172.16.9.2", taken])).expect_err(taken);
        let LocalRouteError::Taken { address: named, protocol } = error else { panic!("{taken}: {error}") };
        assert_eq!((named, protocol), (address(taken), by));
        assert!(
            shown().is_superset(&held) && !shown().contains(&address("172.16.9.2")),
            "nothing was changed"
        );
    }
}

#[test]
fn what_cannot_be_a_host_is_refused() {
    let _net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    for text in [
        "0.0.0.0",
        "::",
        "127.0.0.2",
        "::1",
        "224.0.0.5",
        "ff02::5",
        "255.255.255.255",
        "fe80::7",
        "::ffff:172.16.9.1",
    ] {
        let error = routes.set(&set(&[text])).expect_err(text);
        assert!(
            matches!(error, LocalRouteError::NotAHost { address } if address == common::address(text)),
            "{error}"
        );
    }
    assert_eq!(shown(), BTreeSet::new());
}

#[test]
fn an_interface_that_is_not_there_is_refused() {
    let _net = Net::new();
    let error = LocalRoutes::open("nowhere0").err().expect("no such interface");
    assert!(matches!(error, LocalRouteError::Netlink(NetlinkError::NoSuchInterface { .. })), "{error}");
}

#[test]
fn routes_that_went_with_the_link_come_back_with_the_next_set() {
    let net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    let wanted = set(&["172.16.9.1", "2001:db8:9::1"]);
    routes.set(&wanted).unwrap();
    net.far(|| drop(ip("link set far0 down")));
    assert_eq!(shown(), wanted, "loss of carrier changes nothing");
    ip("link set data0 down");
    assert_eq!(shown(), set(&["172.16.9.1"]), "switched off, the IPv6 ones go");
    let error = routes.set(&wanted).expect_err("an IPv6 route by a link that is off");
    assert!(
        matches!(&error, LocalRouteError::Refused { address, .. } if *address == common::address("2001:db8:9::1")),
        "{error}"
    );
    ip("link set data0 up");
    routes.set(&wanted).unwrap();
    assert_eq!(shown(), wanted);
    ip("-4 address flush dev data0");
    assert_eq!(shown(), set(&["2001:db8:9::1"]), "with the last IPv4 address the IPv4 ones go");
    routes.set(&wanted).unwrap();
    assert_eq!(shown(), wanted);
}

#[test]
fn a_deleted_link_leaves_nothing_to_remove() {
    let _net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    routes.set(&set(&["172.16.9.1", "2001:db8:9::1"])).unwrap();
    ip("link del data0");
    assert_eq!(shown(), BTreeSet::new());
    routes.set(&BTreeSet::new()).unwrap();
    let error = routes.set(&set(&["172.16.9.1"])).expect_err("a route by a link that is gone");
    assert!(matches!(error, LocalRouteError::Refused { .. }), "{error}");
}

#[test]
fn keeps_to_its_namespace_when_it_is_dropped_in_another() {
    let _net = Net::new();
    let mut routes = LocalRoutes::open("data0").unwrap();
    routes.set(&set(&["172.16.9.1", "2001:db8:9::1"])).unwrap();
    let elsewhere = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        drop(routes);
    });
    elsewhere.join().unwrap();
    assert_eq!(shown(), BTreeSet::new());
}

/// The process to be killed is this test once more, with `CAP_NET_ADMIN` as its only capability.
#[test]
fn leftovers_of_a_killed_process_are_removed_at_the_next_open() {
    let left = set(&["172.16.9.1", "2001:db8:9::1"]);
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let mut routes = LocalRoutes::open("data0").unwrap();
        routes.set(&left).unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        println!("\n{}", status.lines().find(|line| line.starts_with("CapEff:")).unwrap());
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let _net = Net::new();
    let name = "leftovers_of_a_killed_process_are_removed_at_the_next_open";
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let capabilities =
        lines.into_iter().find(|line| line.starts_with("CapEff:")).expect("it has set its routes");
    assert_eq!(capabilities, "CapEff:\t0000000000001000", "CAP_NET_ADMIN is bit 12, capabilities(7)");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(shown(), left, "nobody removed them");
    let mut routes = LocalRoutes::open("data0").unwrap();
    assert_eq!(shown(), BTreeSet::new());
    routes.set(&left).unwrap();
    assert_eq!(shown(), left);
}
