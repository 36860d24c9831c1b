//! Many remote hosts behind few local addresses: what servers and hosts see of it.
//!
//! ```text
//! h1   10.1.0.2 --+                                     +-- h2   10.2.0.2
//! h1-1 10.1.0.3 --+-- gwa == wan == gwb (172.16.9.1) ---+-- h2-1 10.2.0.3
//! h1-2 10.1.0.4 --+
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use gridway_control::Translation;
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts, many_to_one};
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{Curl, IcmpAnswer, Iperf3Report, MirrorServer, echo_udp, echo_udp_from, sr1};
use gridway_lab::{EchoServer, Iperf3, Iperf3Server, Lab, LabError, Namespace, Ping, Rate, Side};

/// All that side B sees of side A.
const SHARED: Ipv4Addr = Ipv4Addr::new(172, 16, 9, 1);
const POOL: &str = "172.16.9.1/32";

fn pair(layout: Layout, pool: &str) -> Pair {
    let builder = Lab::builder().hosts(Side::A, 3).hosts(Side::B, 2);
    Pair::built(builder, layout, many_to_one(pool))
}

/// What hosts of side A dial to reach a port of h2.
fn h2(port: u16) -> SocketAddr {
    (vnets::outside_host(Side::B, 0), port).into()
}

/// A server's own address.
fn local(port: u16) -> SocketAddr {
    (Side::B.host(0), port).into()
}

/// Runs the same on several hosts at once.
fn on_each<T: Send>(hosts: &[Namespace], run: impl Fn(usize, &Namespace) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> =
            hosts.iter().enumerate().map(|(n, host)| scope.spawn(move || run(n, host))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

in_both_layouts! {
    fn hosts_share_an_address_and_keep_their_ports_where_these_are_free(layout) {
        let pair = pair(layout, POOL);
        let _server = MirrorServer::start(pair.lab.h2(), local(8080)).unwrap();
        let seen_as = |n, port| Curl::new(h2(8080)).local_port(port).run(pair.lab.host(Side::A, n)).unwrap();
        assert_eq!(seen_as(0, 40_000), SocketAddr::from((SHARED, 40_000)));
        let second = seen_as(1, 40_000);
        assert_eq!(second.ip(), SHARED);
        assert!(second.port() != 40_000 && second.port() >= 1024, "{second}");
        assert_eq!(seen_as(2, 41_000), SocketAddr::from((SHARED, 41_000)));
        // Another connection from a port that has a mapping gets the same one.
        assert_eq!(seen_as(1, 40_000), second);

        let nat = pair.b.nat().unwrap();
        let rule = nat.iter().find(|rule| rule.local == POOL).unwrap();
        assert_eq!((rule.ports_used, rule.exhausted), (Some(3), 0), "{rule:?}");
        assert!(pair.b.flows().unwrap().iter().any(|flow| flow.translation == Translation::Port));
        pair.finish();
    }

    fn several_hosts_at_once_transfer_and_ping(layout) {
        let pair = pair(layout, POOL);
        let ports = [5201, 5202, 5203];
        let _servers = ports.map(|port| Iperf3Server::start(pair.lab.h2(), port).unwrap());
        let hosts = pair.lab.hosts(Side::A);
        let second = Duration::from_secs(1);
        let to = |n: usize| Iperf3::tcp(vnets::outside_host(Side::B, 0)).port(ports[n]).duration(second);
        for report in on_each(hosts, |n, host| to(n).parallel(2).run(host)) {
            assert!(report.as_ref().unwrap().mbps() > 1.0, "{report:?}");
        }
        for report in on_each(hosts, |n, host| to(n).reverse().run(host)) {
            assert!(report.as_ref().unwrap().mbps() > 1.0, "{report:?}");
        }
        let udp = |n| to(n).arg("-u").length(1000).rate(Rate::mbit(5));
        let no_room = pair.without_room();
        let lost = |report: Result<Iperf3Report, LabError>| report.unwrap().datagrams.unwrap().0;
        let lost: u64 = on_each(hosts, |n, host| udp(n).run(host)).into_iter().map(lost).sum();
        assert_eq!(lost.saturating_sub(pair.without_room() - no_room), 0, "{}", pair.evidence());
        let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(10);
        for report in on_each(hosts, |_, host| ping.run(host)) {
            assert!(report.as_ref().unwrap().all_answered(), "{report:?}\n{}", pair.evidence());
        }
        pair.finish();
    }

    fn datagrams_larger_than_the_mtu_pass_in_both_directions(layout) {
        let pair = pair(layout, POOL);
        let _server = EchoServer::udp(pair.lab.h2(), local(7000)).unwrap();
        let payload: Vec<u8> = (0..6000).map(|n| n as u8).collect();
        // Two hosts with one port: the fragments of the second are translated to another one.
        for host in &pair.lab.hosts(Side::A)[..2] {
            let echoed = echo_udp_from(host, 40_000, h2(7000), &payload, LIMIT);
            assert_eq!(echoed.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence())), payload);
            let ping = Ping::new(vnets::outside_host(Side::B, 0)).payload(4000).run(host).unwrap();
            assert!(ping.all_answered(), "{ping:?}");
        }
        pair.finish();
    }
}

#[test]
fn datagrams_get_ports_of_their_own_parity_and_range() {
    let pair = pair(Layout::Combined, POOL);
    let server = EchoServer::udp(pair.lab.h2(), local(7000)).unwrap();
    for (port, range) in [(40_001, 1024..=u16::MAX), (40_002, 1024..=u16::MAX), (501, 1..=1023)] {
        let before = server.clients().len();
        for host in pair.lab.hosts(Side::A) {
            echo_udp_from(host, port, h2(7000), b"hello", LIMIT).unwrap();
        }
        let seen: Vec<SocketAddr> = server.clients().split_off(before);
        let ports: BTreeSet<u16> = seen.iter().map(SocketAddr::port).collect();
        assert!(seen.iter().all(|client| client.ip() == SHARED), "{seen:?}");
        assert_eq!(seen[0].port(), port, "the first has its own");
        assert_eq!(ports.len(), 3, "each has one of its own: {seen:?}");
        assert!(ports.iter().all(|other| other % 2 == port % 2 && range.contains(other)), "{seen:?}");
    }
    pair.finish();
}

#[test]
fn pings_with_one_identifier_from_two_hosts_are_kept_apart() {
    let pair = pair(Layout::Combined, POOL);
    // Together no more than wait for a neighbour that is not resolved yet.
    let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(10).identifier(77);
    for report in on_each(&pair.lab.hosts(Side::A)[..2], |_, host| ping.run(host).unwrap()) {
        assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
    }
    let flows = pair.b.flows().unwrap();
    let pings: Vec<_> = flows.iter().filter(|flow| flow.local.proto == 1).collect();
    assert!(pings.iter().all(|flow| flow.virtual_tuple.sport == 77), "{pings:?}");
    let identifiers: BTreeSet<u16> = pings.iter().map(|flow| flow.local.sport).collect();
    assert_eq!((pings.len(), identifiers.len()), (2, 2), "{pings:?}");
    assert!(identifiers.contains(&77), "{pings:?}");
    pair.finish();
}

/// Nothing listens on the port: the senders are told, each for its own datagram.
#[test]
fn port_unreachable_comes_back_to_the_host_that_sent() {
    let pair = pair(Layout::Combined, POOL);
    for host in pair.lab.hosts(Side::A) {
        let error = echo_udp_from(host, 40_000, h2(9), b"nobody", LIMIT).unwrap_err();
        let refused =
            matches!(&error, LabError::Io { source, .. } if source.kind() == ErrorKind::ConnectionRefused);
        assert!(refused, "{error}\n{}", pair.evidence());
    }
    pair.finish();
}

/// Whoever knows a mapped port may use it; an unmapped one leads nowhere.
#[test]
fn local_hosts_reach_mapped_ports_and_no_others() {
    let pair = pair(Layout::Combined, POOL);
    let _server = EchoServer::udp(pair.lab.h2(), local(7000)).unwrap();
    let bind = |host: &Namespace, port: u16| {
        let socket =
            host.enter(|| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    };
    let mut buffer = [0; 64];
    let inner = bind(pair.lab.h1(), 40_001);
    inner.send_to(b"hello", h2(7000)).unwrap();
    inner.recv_from(&mut buffer).unwrap();

    // h2-1 was never talked to.
    let stranger = bind(pair.lab.host(Side::B, 1), 50_001);
    stranger.send_to(b"knock", (SHARED, 40_001)).unwrap();
    let (len, from) = inner.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (&b"knock"[..], (vnets::outside_host(Side::B, 1), 50_001).into()));
    inner.send_to(b"who?", from).unwrap();
    let (len, from) = stranger.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (&b"who?"[..], (SHARED, 40_001).into()));
    assert_eq!(pair.b.drops("pat_no_mapping").unwrap(), 0);

    let short = Duration::from_millis(300);
    let nobody = (SHARED, 40_003).into();
    assert!(echo_udp(pair.lab.host(Side::B, 1), nobody, b"knock", short).is_err());
    assert_eq!(pair.b.drops("pat_no_mapping").unwrap(), 1);
    let ping = Ping::new(SHARED).count(2).wait(short).run(pair.lab.h2()).unwrap();
    assert_eq!(ping.received, 0);
    assert_eq!(pair.b.drops("pat_no_mapping").unwrap(), 3);
    pair.finish();
}

/// A protocol without ports has room for one host an address.
#[test]
fn the_second_host_with_gre_is_refused_and_told() {
    let pair = pair(Layout::Combined, POOL);
    let target = vnets::outside_host(Side::B, 0);
    let gre = format!("IP(dst='{target}')/GRE(proto=0x1234)/Raw(b'twenty bytes of data')");
    let first = sr1(pair.lab.host(Side::A, 0), &gre).unwrap();
    assert!(first.is_none_or(|answer| answer.kind != (3, 13)), "{first:?}");
    let flows = pair.b.flows().unwrap();
    let flow = flows.iter().find(|flow| flow.local.proto == 47).unwrap();
    assert_eq!(flow.local.dst, IpAddr::V4(SHARED), "{flow:?}");

    let second = sr1(pair.lab.host(Side::A, 1), &gre).unwrap();
    // Administratively prohibited, by gw-b's address in the vnet as side A knows it.
    let refusal =
        IcmpAnswer { from: Ipv4Addr::new(172, 16, 2, 254), kind: (3, 13), about: (Side::A.host(1), target) };
    assert_eq!(second, Some(refusal), "{}", pair.evidence());
    assert_eq!(pair.b.drops("pat_exhausted").unwrap(), 1);
    let nat = pair.b.nat().unwrap();
    assert!(nat.iter().any(|rule| rule.local == POOL && rule.exhausted == 1), "{nat:?}");
    pair.finish();
}

#[test]
fn a_host_keeps_one_address_of_a_larger_pool() {
    let pair = pair(Layout::Combined, "172.16.9.0/29");
    let web = MirrorServer::start(pair.lab.h2(), local(8080)).unwrap();
    let echo = EchoServer::udp(pair.lab.h2(), local(7000)).unwrap();
    for host in pair.lab.hosts(Side::A) {
        let seen = Curl::new(h2(8080)).local_port(40_000).run(host).unwrap();
        let IpAddr::V4(address) = seen.ip() else { panic!("{seen}") };
        // Neither the network's nor its broadcast address.
        assert!((1..=6).contains(&address.octets()[3]) && address.octets()[..3] == [172, 16, 9], "{seen}");
        for port in [40_000, 40_002] {
            echo_udp_from(host, port, h2(7000), b"hello", LIMIT).unwrap();
            assert_eq!(echo.clients().last().unwrap().ip(), seen.ip(), "one host, one address");
        }
    }
    drop(web);
    pair.finish();
}

#[test]
fn an_object_names_the_hosts_that_share() {
    let object = "
[[object]]
name = \"branch\"
prefixes = [\"10.200.1.2/32\", \"others\"]

[[object]]
name = \"others\"
prefixes = [\"10.200.1.3/32\"]
";
    let fragment = |side| {
        let text = many_to_one(POOL)(side);
        match side {
            Side::A => text,
            Side::B => {
                text.replacen(
                    "virtual = \"10.200.1.0/24\"\n  local = \"172",
                    "virtual = \"branch\"\n  local = \"172",
                    1,
                ) + object
            }
        }
    };
    let pair = Pair::built(Lab::builder().hosts(Side::A, 3), Layout::Combined, fragment);
    let _server = MirrorServer::start(pair.lab.h2(), local(8080)).unwrap();
    for n in 0..2 {
        let seen = Curl::new(h2(8080)).run(pair.lab.host(Side::A, n)).unwrap();
        assert_eq!(seen.ip(), SHARED);
    }
    let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(1);
    let report = ping.run(pair.lab.host(Side::A, 2)).unwrap();
    assert_eq!(report.received, 0);
    assert!(report.errors.iter().any(|error| error.contains("Destination Host Unknown")), "{report:?}");
    assert_eq!(pair.b.drops("no_outside_nat").unwrap(), 1);
    pair.finish();
}
