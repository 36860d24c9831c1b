//! Filling the maps: exactly what was asked for, within bounds.

use std::net::{IpAddr, Ipv4Addr};

use gridway_steer::{Fate, Listener, ListenerProtocol, SteerError};
use ipnet::{IpNet, Ipv4Net};

use crate::common::{Bench, address, check, frames::*, listener, net};

fn addresses(first: u32, count: u32) -> Vec<IpAddr> {
    (first..first + count).map(|bits| Ipv4Addr::from_bits(bits).into()).collect()
}

fn prefixes(first: u32, count: u32) -> Vec<IpNet> {
    let host = |bits| Ipv4Net::new(Ipv4Addr::from_bits(bits), 32).expect("a length").into();
    (first..first + count).map(host).collect()
}

#[test]
fn a_full_set_can_be_replaced_by_another_full_set() {
    let mut bench = Bench::new();
    let (old, new) = (0x0a0a_0000, 0x0a0b_0000);
    bench.steer.set_own_addresses(&addresses(old, 256)).expect("full");
    bench.steer.set_own_addresses(&addresses(new, 256)).expect("replaced");
    bench.steer.set_deny(&prefixes(old, 65_536)).expect("full");
    bench.steer.set_deny(&prefixes(new, 65_536)).expect("replaced");
    check(
        &bench,
        vec![
            ("gone from own", icmp4(OURS, "10.1.0.2", "10.10.0.255"), Fate::ToWorkerIp),
            ("new in own", icmp4(OURS, "10.1.0.2", "10.11.0.255"), Fate::ToKernelOwnAddress),
            ("gone from deny", icmp4(OURS, "10.10.255.255", "172.16.2.9"), Fate::ToWorkerIp),
            ("new in deny", icmp4(OURS, "10.11.255.255", "172.16.2.9"), Fate::DropDenied),
        ],
    );
}

#[test]
fn an_empty_set_empties_the_map() {
    let mut bench = Bench::new();
    bench.steer.set_own_addresses(&[]).expect("own");
    bench.steer.set_proxied(&[]).expect("proxied");
    bench.steer.set_deny(&[]).expect("deny");
    bench.steer.set_listeners(&[]).expect("listeners");
    check(
        &bench,
        vec![
            ("own", icmp4(OURS, "10.1.0.2", "10.1.0.1"), Fate::ToWorkerIp),
            ("proxied", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9"), Fate::ToKernelArp),
            ("denied", udp6(OURS, "2001:db8:bad::7", "2001:db8:2::9", 9), Fate::ToWorkerIp),
            ("listener", tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), Fate::ToWorkerIp),
        ],
    );
}

#[test]
fn a_set_that_does_not_fit_is_refused_whole_with_count_and_limit() {
    let mut bench = Bench::new();
    let own = bench.steer.set_own_addresses(&addresses(0x0a0a_0000, 257)).expect_err("too many");
    let proxied = bench.steer.set_proxied(&prefixes(0x0a0a_0000, 16_385)).expect_err("too many");
    let deny = bench.steer.set_deny(&prefixes(0x0a0a_0000, 65_537)).expect_err("too many");
    let listeners: Vec<_> = (0..4_097)
        .map(|port| Listener { addr: address("10.1.0.9"), protocol: ListenerProtocol::Tcp, port })
        .collect();
    let listeners = bench.steer.set_listeners(&listeners).expect_err("too many");
    for (error, count, limit) in
        [(own, 257, 256), (proxied, 16_385, 16_384), (deny, 65_537, 65_536), (listeners, 4_097, 4_096)]
    {
        let text = error.to_string();
        assert!(text.contains(&count.to_string()) && text.contains(&limit.to_string()), "{text}");
        assert!(matches!(error, SteerError::TooMany { .. }), "{text}");
    }
    check(
        &bench,
        vec![
            ("the old set stays", icmp4(OURS, "10.1.0.2", "10.1.0.1"), Fate::ToKernelOwnAddress),
            ("nothing of the new one", icmp4(OURS, "10.1.0.2", "10.10.0.0"), Fate::ToWorkerIp),
        ],
    );
}

#[test]
fn duplicates_and_host_bits_do_not_count_twice() {
    let mut bench = Bench::new();
    let same: Vec<IpAddr> = vec![address("10.1.0.1"); 1000];
    bench.steer.set_own_addresses(&same).expect("one address");
    let same: Vec<IpNet> =
        prefixes(0xac10_0200, 256).iter().map(|n| IpNet::new(n.addr(), 24).expect("a length")).collect();
    bench.steer.set_proxied(&same.repeat(100)).expect("one prefix");
    check(
        &bench,
        vec![
            ("host bits are cleared", arp(BROADCAST, 1, "10.1.0.2", "172.16.2.9"), Fate::ToWorkerArpRequest),
            ("and no more", arp(BROADCAST, 1, "10.1.0.2", "172.16.3.9"), Fate::ToKernelArp),
        ],
    );
}

#[test]
fn refuses_ipv4_in_the_guise_of_ipv6() {
    let mut bench = Bench::new();
    let guise = "::ffff:10.1.0.1";
    let errors = [
        bench.steer.set_own_addresses(&[address(guise)]),
        bench.steer.set_deny(&[net("::ffff:10.1.0.0/112")]),
        bench.steer.set_proxied(&[net("::ffff:10.1.0.0/112")]),
        bench.steer.set_listeners(&[listener((guise, ListenerProtocol::Tcp, 443))]),
    ];
    for result in errors {
        assert!(matches!(result.expect_err("refused"), SteerError::Mapped(_)));
    }
}

#[test]
fn refuses_sockets_that_cannot_receive() {
    let mut bench = Bench::new();
    let file = std::fs::File::open("/dev/null").expect("a file");
    let error = bench.steer.register_socket(256, raw_fd(&file)).expect_err("beyond the map");
    assert!(matches!(error, SteerError::Queue { queue: 256, limit: 256 }), "{error}");
    let error = bench.steer.register_socket(1, raw_fd(&file)).expect_err("not a socket");
    assert!(matches!(error, SteerError::Map { map: "SOCKETS", .. }), "{error}");
}

fn raw_fd(file: &std::fs::File) -> std::os::fd::RawFd {
    std::os::fd::AsRawFd::as_raw_fd(file)
}
