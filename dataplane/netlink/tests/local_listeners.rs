//! What a local route is for: listeners on addresses that no interface has, reached from the far end. Forwarding is
//! off and reverse path filtering strict, as on a node.

#![expect(clippy::unwrap_used, reason = "only tests use this")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::{Net, address, ip, sysctl};
use gridway_netlink::LocalRoutes;
use socket2::{Domain, Protocol, Socket, Type};

const PORT: u16 = 4430;
/// Longer than any answer within one machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network whose far end routes two prefixes to us, and routes for some addresses: off the link, and on it.
fn network() -> (Net, LocalRoutes) {
    let net = Net::new();
    for (name, value) in [("forwarding", "0"), ("rp_filter", "1"), ("arp_ignore", "0")] {
        sysctl(&format!("net.ipv4.conf.all.{name}"), value);
        sysctl(&format!("net.ipv4.conf.data0.{name}"), value);
    }
    sysctl("net.ipv6.conf.all.forwarding", "0");
    net.far(|| {
        ip("route add 172.16.9.0/24 via 10.0.0.1");
        ip("route add 2001:db8:9::/64 via 2001:db8::1");
    });
    let mut routes = LocalRoutes::open("data0").unwrap();
    let addresses = ["172.16.9.1", "10.0.0.77", "2001:db8:9::1", "2001:db8::77"].map(address);
    routes.set(&addresses.into()).unwrap();
    (net, routes)
}

/// A socket bound to the interface and to an address that is not on it.
fn bound(kind: Type, protocol: Protocol, to: IpAddr) -> Socket {
    let socket = Socket::new(Domain::for_address((to, PORT).into()), kind, Some(protocol)).unwrap();
    socket.bind_device(Some(b"data0")).unwrap();
    if to.is_ipv6() {
        socket.set_freebind_v6(true).unwrap();
    }
    socket.bind(&SocketAddr::from((to, PORT)).into()).unwrap();
    socket
}

/// A TCP connection and a UDP exchange from the far end.
fn assert_reachable(net: &Net, to: &str) {
    let to = address(to);
    let listener = bound(Type::STREAM, Protocol::TCP, to);
    listener.listen(1).unwrap();
    let listener = TcpListener::from(listener);
    let mut client = None;
    net.far(|| client = Some(TcpStream::connect_timeout(&(to, PORT).into(), PATIENCE).unwrap()));
    let (mut client, (mut served, peer)) = (client.unwrap(), listener.accept().unwrap());
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(served.local_addr().unwrap(), (to, PORT).into());
    assert_eq!(peer, client.local_addr().unwrap());
    served.write_all(b"served").unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"served");

    let server = UdpSocket::from(bound(Type::DGRAM, Protocol::UDP, to));
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = None;
    net.far(|| client = Some(UdpSocket::bind(SocketAddr::from((peer.ip(), 0))).unwrap()));
    let client = client.unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"asked", (to, PORT)).unwrap();
    let (length, from) = server.recv_from(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"asked");
    server.send_to(b"served", from).unwrap();
    assert_eq!(
        client.recv_from(&mut answer).unwrap(),
        (6, (to, PORT).into()),
        "the source is the address asked"
    );
}

#[test]
fn listeners_off_the_link_are_reached_by_route() {
    let (net, _routes) = network();
    assert_reachable(&net, "172.16.9.1");
    assert_reachable(&net, "2001:db8:9::1");
}

#[test]
fn an_ipv4_listener_on_the_link_is_reached_because_the_kernel_answers_arp() {
    let (net, _routes) = network();
    assert_reachable(&net, "10.0.0.77");
    net.far(|| assert!(ip("neigh show 10.0.0.77 dev far0").contains("lladdr")));
}

#[test]
fn an_ipv6_listener_on_the_link_is_reached_only_if_somebody_answers_solicitations() {
    let (net, _routes) = network();
    net.far(|| {
        let asker = UdpSocket::bind("[2001:db8::2]:0").unwrap();
        asker.send_to(b"asked", "[2001:db8::77]:4430").unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let entry = ip("neigh show 2001:db8::77 dev far0");
            assert!(!entry.contains("lladdr"), "answered: {entry}");
            if entry.contains("FAILED") {
                break;
            }
            assert!(Instant::now() < deadline, "neither answered nor given up: {entry}");
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mac = ip("-o link show dev data0");
    let mac = mac.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    net.far(|| drop(ip(&format!("neigh replace 2001:db8::77 lladdr {mac} dev far0"))));
    assert_reachable(&net, "2001:db8::77");
}

#[test]
fn the_route_lets_an_ipv4_socket_bind_and_an_ipv6_socket_with_freebind() {
    let (_net, _routes) = network();
    TcpListener::bind("172.16.9.1:4430").unwrap();
    UdpSocket::bind("172.16.9.1:4430").unwrap();
    let refused =
        TcpListener::bind("[2001:db8:9::1]:4430").expect_err("IPv6 asks for an address of an interface");
    assert_eq!(refused.kind(), ErrorKind::AddrNotAvailable);
    bound(Type::STREAM, Protocol::TCP, address("2001:db8:9::1"));
}

#[test]
fn without_the_route_nobody_takes_the_packets() {
    let (net, routes) = network();
    let listeners = ["172.16.9.1", "2001:db8:9::1"].map(|to| {
        let listener = bound(Type::STREAM, Protocol::TCP, address(to));
        listener.listen(1).unwrap();
        (to, listener)
    });
    drop(routes);
    for (to, _listener) in &listeners {
        net.far(|| {
            TcpStream::connect_timeout(&(address(to), PORT).into(), Duration::from_secs(2))
                .expect_err("nobody answers");
        });
    }
}

#[test]
fn a_listener_bound_to_the_interface_is_not_reached_by_another_one() {
    let (net, _routes) = network();
    net.far(|| {
        ip("address add 10.1.0.2/24 dev far1");
        ip("route add 172.16.9.1/32 via 10.1.0.1");
    });
    let listener = bound(Type::STREAM, Protocol::TCP, address("172.16.9.1"));
    listener.listen(1).unwrap();
    net.far(|| {
        let refused = TcpStream::connect_timeout(&(address("172.16.9.1"), PORT).into(), PATIENCE)
            .expect_err("it came in elsewhere");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}
