//! How port translation behaves in the words of RFC 4787, found out by a STUN client (RFC 5780).
//!
//! ```text
//! h1   10.1.0.2 --+                                    +-- h2 10.2.0.2, 10.2.0.3: STUN server
//! h1-1 10.1.0.3 --+-- gwa == wan == gwb (172.16.9.1) --+
//! ```
//!
//! A STUN server names its other address as it knows it, so side B's addresses are the same everywhere here.

use std::net::{Ipv4Addr, UdpSocket};

use gridway_e2e::{LIMIT, Layout, Pair};
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{Behaviour, NatDiscovery, StunServer};
use gridway_lab::{EchoServer, Lab, Namespace, Side};

const SHARED: Ipv4Addr = Ipv4Addr::new(172, 16, 9, 1);

/// No NAT but gw-b's of side A's hosts.
fn fragment(side: Side) -> String {
    let rest = match side {
        // The way to the shared address is what hairpinning needs.
        Side::A => {
            "[[vnet.route]]\nto = \"10.2.0.0/24\"\nvia = \"gw-b\"\n\
             [[vnet.route]]\nto = \"172.16.9.0/24\"\nvia = \"gw-b\"\n"
        }
        Side::B => {
            "[[vnet.outside_nat]]\nvirtual = \"10.1.0.0/24\"\nlocal = \"172.16.9.1/32\"\n\
             [[vnet.route]]\nto = \"10.1.0.0/24\"\nvia = \"gw-a\"\n"
        }
    };
    let vnet = "[[vnet]]\nname = \"stun\"\ncidr = [\"10.0.0.0/14\", \"172.16.9.0/24\"]\n";
    format!("{vnet}{rest}{}", vnets::ALLOW_ALL)
}

#[test]
fn mapping_and_filtering_are_endpoint_independent_and_hairpinning_works() {
    let pair = Pair::built(Lab::builder().hosts(Side::A, 2), Layout::Combined, fragment);
    let addresses = [Side::B.host(0), Side::B.host(1)];
    pair.lab.h2().ip(&format!("addr add {}/24 dev eth0", addresses[1])).unwrap();
    let _server = StunServer::start(pair.lab.h2(), addresses).unwrap();

    let (client, h1) = (Side::A.host(0), pair.lab.h1());
    let discovery = |port| NatDiscovery::new(addresses[0], client, port);
    let because = |error| panic!("{error}\n{}", pair.evidence());
    let mapping = discovery(40_000).mapping(h1).unwrap_or_else(because);
    assert_eq!(mapping, Behaviour::EndpointIndependent);
    let filtering = discovery(41_000).filtering(h1).unwrap_or_else(because);
    assert_eq!(filtering, Behaviour::EndpointIndependent);
    assert!(discovery(42_000).hairpinning(h1).unwrap(), "{}", pair.evidence());
    assert_eq!(pair.b.drops("pat_no_mapping").unwrap(), 0);
    pair.finish();
}

/// Two hosts behind one address talk to each other by it (RFC 4787, REQ-9), and see each other's mapped port.
#[test]
fn hosts_behind_one_address_reach_each_other_by_it() {
    let pair = Pair::built(Lab::builder().hosts(Side::A, 2), Layout::Combined, fragment);
    let server = EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 7000).into()).unwrap();
    let open = |host: &Namespace| {
        let socket = host.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 40_001))).unwrap().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.send_to(b"hello", server.address()).unwrap();
        let mut buffer = [0; 64];
        socket.recv_from(&mut buffer).unwrap();
        (socket, *server.clients().last().unwrap())
    };
    let (first, mapped_first) = open(pair.lab.host(Side::A, 0));
    let (second, mapped_second) = open(pair.lab.host(Side::A, 1));
    assert_eq!((mapped_first.ip(), mapped_second.ip()), (SHARED.into(), SHARED.into()));
    assert_ne!(mapped_first.port(), mapped_second.port());

    let mut buffer = [0; 64];
    second.send_to(b"over here", mapped_first).unwrap();
    let (len, from) = first.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (&b"over here"[..], mapped_second));
    first.send_to(b"I see", from).unwrap();
    let (len, from) = second.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (&b"I see"[..], mapped_first));
    pair.finish();
}
