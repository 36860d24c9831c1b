//! The way through the overlay, as tools for finding ways show it.
//!
//! ```text
//! h1 -- gwa == gwb -- h2
//!       |      |
//!       |      172.16.2.254, its address in the vnet as h1 knows it
//!       10.1.0.1, its data address
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::IpAddr;

use gridway_e2e::{Layout, Pair, in_both_layouts};
use gridway_lab::Side;
use gridway_lab::gateway::vnets;
use gridway_lab::tools::{Probe, Tracepath, Traceroute, tracepath};

/// The near node, the far node and the host, as a host of `side` knows them, in both families.
fn ways(side: Side) -> [[IpAddr; 3]; 2] {
    let far = side.other();
    [
        [side.data().into(), vnets::outside_gateway(far).into(), vnets::outside_host(far, 0).into()],
        [side.data6().into(), vnets::outside_gateway6(far).into(), vnets::outside_host6(far, 0).into()],
    ]
}

in_both_layouts! {
    fn traceroute_shows_both_nodes_and_the_host(layout) {
        let pair = Pair::with(layout, vnets::dual);
        for side in Side::BOTH {
            for (way, probe) in ways(side).into_iter().flat_map(|way| [(way, Probe::Icmp), (way, Probe::Udp)]) {
                let trace = Traceroute::new(way[2]).probe(probe).max_hops(5);
                let hops = trace.run(pair.lab.host(side, 0)).unwrap();
                let seen: Vec<_> = hops.iter().map(|hop| (hop.address, hop.mark.as_deref())).collect();
                assert_eq!(seen, way.map(|hop| (Some(hop), None)), "{probe:?}\n{}", pair.evidence());
            }
        }
        pair.finish();
    }
}

#[test]
fn tracepath_finds_the_path_mtu() {
    let pair = Pair::with(Layout::Combined, |side| vnets::dual_with(side, "mtu = 1300") + vnets::ALLOW_ALL);
    for side in Side::BOTH {
        for [.., host] in ways(side) {
            let found = tracepath(pair.lab.host(side, 0), host).unwrap();
            assert_eq!(found, Tracepath { mtu: 1300, hops: 3 }, "{host}\n{}", pair.evidence());
        }
    }
    pair.finish();
}
