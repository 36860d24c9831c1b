//! Layer 4 and the way: what bulk leaves to Layer 3, and how much of a long path one stream fills.
//!
//! ```text
//! h1 ---- connector gwa == wan, 200 Mbit/s == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_e2e::layer4::published;
use gridway_e2e::{Layout, Pair, configs, in_both_layouts};
use gridway_lab::gateway::{start_pair, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Ping, Rate, Shape, Side};

/// Of the WAN, Mbit/s.
const RATE: u64 = 200;
/// Of the long path, one way: a round trip takes twice that.
const DELAY: Duration = Duration::from_millis(40);

in_both_layouts! {
    fn bulk_on_layer_4_loses_no_ping_on_layer_3(layout) {
        let pair = Pair::with(layout, |side| published("tcp", 5201)(side) + &vnets::corp(side));
        pair.lab.wan().set_shape(Some(Shape::new(Rate::mbit(RATE)))).unwrap();
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(100).interval(Duration::from_millis(20));
        let quiet = ping.run(pair.lab.h1()).unwrap();
        let bulk = Iperf3::tcp(Side::A.data()).parallel(4).duration(Duration::from_secs(5));
        let mut running = bulk.start(pair.lab.h1()).unwrap();
        // Slow start is over by then.
        std::thread::sleep(Duration::from_secs(1));
        let loaded = ping.run(pair.lab.h1()).unwrap();
        let report = bulk.finish(pair.lab.h1(), &mut running).unwrap();
        let of = |report: &gridway_lab::PingReport| [0.5, 0.99].map(|quantile| report.quantile(quantile));
        println!(
            "ping p50, p99: {:?} quiet, {:?} beside {:.0} Mbit/s on Layer 4",
            of(&quiet),
            of(&loaded),
            report.mbps()
        );
        assert!(quiet.all_answered(), "{quiet:?}");
        assert!(loaded.all_answered(), "{loaded:?}\n{}", pair.evidence());
        assert!(report.mbps() > RATE as f64 / 2.0, "{:.1} Mbit/s\n{}", report.mbps(), pair.evidence());
        pair.finish();
    }
}

/// Mbit/s of one stream in both directions, once it has settled.
fn one_stream(lab: &Lab, server: &mut Iperf3Server, address: std::net::Ipv4Addr) -> [f64; 2] {
    let load = Iperf3::tcp(address).omit(3).duration(Duration::from_secs(5));
    [load.clone(), load.reverse()].map(|load| {
        let report = load.run(lab.h1()).unwrap();
        server.wait_idle().unwrap();
        report.mbps()
    })
}

#[test]
fn one_stream_fills_a_long_path_as_it_does_without_gridway() {
    let lab = Lab::builder().wan_delay(DELAY).build().unwrap();
    // A queue as long as the path, so that one stream can fill it.
    lab.wan().set_shape(Some(Shape { rate: Rate::mbit(RATE), latency: 2 * DELAY })).unwrap();
    let mut server = Iperf3Server::start(lab.h2(), 5201).unwrap();
    lab.kernel_forwarding(true).unwrap();
    let kernel = one_stream(&lab, &mut server, Side::B.host(0));
    lab.kernel_forwarding(false).unwrap();
    let [a, b] = start_pair(&lab, configs(Layout::Combined, published("tcp", 5201))).unwrap();
    let pair = Pair { a, b, lab };
    let gridway = one_stream(&pair.lab, &mut server, Side::A.data());
    println!(
        "one stream over {RATE} Mbit/s and {DELAY:?} one way: kernel {kernel:.0?}, Layer 4 {gridway:.0?} Mbit/s"
    );
    for (gridway, kernel) in gridway.into_iter().zip(kernel) {
        assert!(gridway > kernel * 0.75, "{gridway:.1} and {kernel:.1} Mbit/s\n{}", pair.evidence());
    }
    pair.finish();
}
