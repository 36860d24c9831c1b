//! Real traffic between the hosts of two nodes.
//!
//! ```text
//! h1 -- data -- gwa == wan == gwb -- data -- h2
//! ```

use std::time::Duration;

use gridway_e2e::{Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::{Iperf3, Iperf3Server, Ping, Rate, Side};

in_both_layouts! {
    fn ping_crosses_nat_both_ways(layout) {
        let pair = Pair::corp(layout);
        for (from, to) in [
            (pair.lab.h1(), vnets::outside_host(Side::B, 0)),
            (pair.lab.h2(), vnets::outside_host(Side::A, 0)),
        ] {
            let report = Ping::new(to).count(20).interval(Duration::from_millis(10)).run(from).unwrap();
            assert!(report.all_answered(), "{report:?}");
        }
        pair.finish();
    }

    fn iperf3_tcp_and_udp_cross_nat(layout) {
        let pair = Pair::corp(layout);
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let server = vnets::outside_host(Side::B, 0);
        let second = Duration::from_secs(2);
        let tcp = Iperf3::tcp(server).duration(second).run(pair.lab.h1()).unwrap();
        assert!(tcp.mbps() > 10.0, "{tcp:?}");
        let back = Iperf3::tcp(server).duration(second).reverse().parallel(4).run(pair.lab.h1()).unwrap();
        assert!(back.mbps() > 10.0, "{back:?}");
        let udp = Iperf3::udp(server, Rate::mbit(20)).length(1200).duration(second).run(pair.lab.h1()).unwrap();
        assert_eq!(udp.loss(), Some(0.0), "{udp:?}");
        pair.finish();
    }
}
