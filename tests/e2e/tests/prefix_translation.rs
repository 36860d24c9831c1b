//! IPv6 between sites whose prefixes are translated (RFC 6296).
//!
//! | | local | in the vnet | as the other site knows it |
//! |---|---|---|---|
//! | h1 | fd00:1::2 | fd00:200:1:0:fdff::2 | fd00:c0:1:0:ff3f::2 |
//! | h2 | fd00:2::2 | fd00:200:2:0:fdff::2 | fd00:c0:2:0:ff3f::2 |
//!
//! By hand: `fd00 + 1 = fd01` and `fd00 + 200 + 1 = ff01`, so the fifth word gets `fd01 - ff01 = fdff` (ones'
//! complement); out of the vnet `ff01 - (fd00 + c0 + 1) = 140`, and `fdff + 140 = ff3f`.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use gridway_e2e::{LIMIT, Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{echo_tcp, echo_udp};
use gridway_lab::{Capture, EchoServer, HOST_INTERFACE, Iperf3, Iperf3Server, Ping, Rate, Side};

const H1: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc0, 1, 0, 0xff3f, 0, 0, 2);
const H2: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc0, 2, 0, 0xff3f, 0, 0, 2);

in_both_layouts! {
    fn hosts_know_each_other_by_neutral_addresses(layout) {
        let pair = Pair::with(layout, vnets::dual);
        let mut capture = Capture::start_inbound(pair.lab.h2(), HOST_INTERFACE, "ip6").unwrap();
        for (from, to) in [(pair.lab.h1(), H2), (pair.lab.h2(), H1)] {
            let report = Ping::new(to).count(20).run(from).unwrap();
            assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
        }
        let local = Side::B.host6(0);
        let tcp = EchoServer::tcp(pair.lab.h2(), (local, 7000).into()).unwrap();
        let udp = EchoServer::udp(pair.lab.h2(), (local, 7000).into()).unwrap();
        let payload = [7; 100_000];
        assert_eq!(echo_tcp(pair.lab.h1(), (H2, 7000).into(), &payload, LIMIT).unwrap(), payload);
        assert_eq!(echo_udp(pair.lab.h1(), (H2, 7000).into(), &payload[..1000], LIMIT).unwrap(), &payload[..1000]);
        for server in [&tcp, &udp] {
            assert!(server.clients().iter().all(|client| client.ip() == H1), "{:?}", server.clients());
        }
        capture.stop().unwrap();
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
        let flows = pair.a.flows().unwrap();
        let known = flows.iter().any(|flow| flow.virtual_tuple.dst == IpAddr::from(vnets::virtual_host6(Side::B, 0)));
        assert!(known, "{flows:?}");
        pair.finish();
    }

    fn iperf3_crosses_translated_prefixes(layout) {
        let pair = Pair::with(layout, vnets::dual);
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let second = Duration::from_secs(1);
        let tcp = Iperf3::tcp(H2).duration(second).run(pair.lab.h1()).unwrap();
        assert!(tcp.mbps() > 10.0, "{tcp:?}");
        let back = Iperf3::tcp(H2).duration(second).reverse().run(pair.lab.h1()).unwrap();
        assert!(back.mbps() > 10.0, "{back:?}");
        let udp = Iperf3::udp(H2, Rate::mbit(10)).length(1200).duration(second);
        assert_eq!(pair.lost_on_the_way(&udp), 0, "{}", pair.evidence());
        pair.finish();
    }

    /// Hosts that take the far prefix to be on their own link ask for its addresses, and the node answers.
    fn the_node_answers_for_prefixes_that_seem_on_link(layout) {
        let pair = Pair::with(layout, vnets::dual);
        let h1 = pair.lab.h1();
        h1.ip_batch("route add 172.16.2.0/24 dev eth0\nroute add fd00:c0:2::/64 dev eth0").unwrap();
        let to: [IpAddr; 2] = [vnets::outside_host(Side::B, 0).into(), H2.into()];
        for to in to {
            let report = Ping::new(to).run(h1).unwrap();
            assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
            let neighbour = h1.ip(&format!("neigh show {to} dev eth0")).unwrap().stdout;
            assert!(neighbour.contains("lladdr"), "{neighbour}");
        }
        assert!(pair.a.counters().unwrap().outbound.answered >= 2);
        pair.finish();
    }
}
