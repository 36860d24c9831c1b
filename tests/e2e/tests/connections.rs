//! Why a tunnel is slow: its connections, and how busy its workers are.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_control::{ConnectionRow, TcpInfo};
use gridway_e2e::{LIMIT, Layout, Pair, configs, in_both_layouts, layer4};
use gridway_lab::gateway::{Gateway, start_pair, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Loss, Rate, Shape, Side, wait_until};

const MBPS: u64 = 50;

fn packets(node: &Gateway) -> ConnectionRow {
    let mut rows = node.connections().unwrap();
    rows.retain(|row| row.carries == "packets");
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

in_both_layouts! {
    fn a_lossy_path_shows_in_what_the_kernel_says_of_the_connection(layout) {
        let pair = Pair::corp(layout);
        pair.lab.wan().set_shape(Some(Shape::new(Rate::mbit(MBPS)))).unwrap();
        pair.lab.wan().set_loss(Some(Loss::percent(1.0))).unwrap();
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let load = Iperf3::tcp(vnets::outside_host(Side::B, 0)).duration(Duration::from_secs(4));
        let mut running = load.start(pair.lab.h1()).unwrap();

        let rated = |row: &ConnectionRow| {
            // The estimate is of a moment, now and then that of a burst which passed at once; in another unit it never fits.
            let under_load = |tcp: &TcpInfo| {
                tcp.retransmitted > 0 && (1_000_000..4 * MBPS * 1_000_000).contains(&tcp.delivery_rate_bps)
            };
            row.round_trip.samples > 3 && row.tcp.as_ref().is_some_and(under_load)
        };
        let row = wait_until("segments sent again at a plausible rate", 3 * LIMIT, || Some(packets(&pair.a)).filter(rated)).unwrap();
        let tcp = row.tcp.clone().unwrap();
        assert_eq!(row.peer, "gw-b");
        let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
        assert_eq!(tcp.congestion == "bbr", available.contains("bbr"), "{tcp:?}");
        assert!(tcp.rtt_us > 0 && tcp.min_rtt_us <= tcp.rtt_us && tcp.rtt_us < 1_000_000, "{tcp:?}");
        assert!(tcp.mss > 500 && tcp.congestion_window > 0, "{tcp:?}");
        // At least one segment each.
        assert!(tcp.retransmitted_bytes >= tcp.retransmitted, "{tcp:?}");
        assert!(tcp.unsent_bytes < 1 << 20, "{tcp:?}");
        let trip = row.round_trip;
        assert!(trip.p50_us <= trip.p90_us && trip.p99_us <= trip.max_us, "{trip:?}");
        assert!((1..10_000_000).contains(&trip.last_us), "{trip:?}");
        assert!(row.queue_wait_us < 10_000_000 && row.age_s < 120, "{row:?}");
        load.finish(pair.lab.h1(), &mut running).unwrap();
        pair.finish();
    }

    fn connections_for_streams_are_listed_beside_those_for_packets(layout) {
        let pair = Pair::with(layout, |side| vnets::corp(side) + &layer4::published("tcp", 7000)(side));
        let streams = |node: &Gateway| {
            let mut rows = node.connections().unwrap();
            rows.retain(|row| row.carries == "streams");
            (rows.len() == 2).then_some(rows)
        };
        for node in [&pair.a, &pair.b] {
            let rows = wait_until("both connections for streams", LIMIT, || streams(node)).unwrap();
            assert!(rows.iter().all(|row| row.tcp.is_some() && row.queued_records < 100), "{rows:?}");
            let measured = || Some(packets(node)).filter(|row| row.round_trip.samples > 1);
            let row = wait_until("round trips", LIMIT, measured).unwrap();
            let peer = node.peer(&row.peer).unwrap();
            let smoothed = peer.rtt_us.unwrap();
            assert!(smoothed <= row.round_trip.max_us.max(1) * 2, "{peer:?} {row:?}");
        }
        pair.finish();
    }
}

#[test]
fn a_worker_is_as_busy_as_it_is_awake() {
    let lab = Lab::new().unwrap();
    let [a, b] = configs(Layout::Combined, vnets::corp);
    let [mut idle, mut busy] = start_pair(&lab, [a, b.polling("busy")]).unwrap();
    let load = |node: &Gateway| node.status().unwrap().workers[0].load_permille;
    wait_until("a worker that never sleeps", LIMIT, || (load(&busy) >= 990).then_some(())).unwrap();
    // The first sample comes after a second; before that it is 0.
    let relaxed = || {
        let counters = idle.counters().unwrap();
        (counters.sleeps > 0 && idle.status().unwrap().uptime_s > 2 && load(&idle) < 100).then_some(())
    };
    wait_until("a worker that has little to do", 3 * LIMIT, relaxed).unwrap();
    assert_eq!(busy.counters().unwrap().sleeps, 0);
    let shown = idle.cli(&["counters"]).unwrap();
    assert!(shown["sleeps"].as_u64().unwrap() > 0 && shown["unknown_frames"] == 0, "{shown}");
    idle.stop().unwrap();
    busy.stop().unwrap();
}
