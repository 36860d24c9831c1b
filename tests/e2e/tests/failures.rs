//! Cut links and killed processes.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::{Duration, Instant};

use gridway_e2e::{LIMIT, Layout, Pair, configs, in_both_layouts};
use gridway_lab::gateway::{Gateway, start_pair, vnets};
use gridway_lab::{Lab, Namespace, Ping, Side, wait_until};

/// Starts a pair with the liveness that nodes have when nothing is configured.
fn pair_with_default_liveness(layout: Layout) -> (Lab, [Gateway; 2]) {
    let lab = Lab::builder().queues(layout.queues()).build().unwrap();
    let configs = configs(layout, vnets::corp).map(|config| config.liveness("1s", "3s"));
    let nodes = start_pair(&lab, configs).unwrap();
    (lab, nodes)
}

fn answers(from: &Namespace, side: Side) -> bool {
    let ping = Ping::new(vnets::outside_host(side, 0)).count(1).wait(Duration::from_millis(200));
    ping.run(from).is_ok_and(|report| report.received == 1)
}

in_both_layouts! {
    fn a_cut_wan_is_noticed_within_4_s_and_mended_within_3_s(layout) {
        let (lab, [mut a, mut b]) = pair_with_default_liveness(layout);
        assert!(answers(lab.h1(), Side::B));
        lab.wan().cut().unwrap();
        let cut = Instant::now();
        for (node, peer) in [(&a, "gw-b"), (&b, "gw-a")] {
            let row = node.wait_peer_down(peer, Duration::from_secs(4)).unwrap();
            assert!(row.reason.is_some(), "{row:?}");
        }
        assert!(cut.elapsed() <= Duration::from_secs(4));
        // Long enough that attempts to dial have failed and backed off.
        std::thread::sleep(Duration::from_secs(4));
        lab.wan().restore().unwrap();
        let restored = Instant::now();
        a.wait_peer_up("gw-b", Duration::from_secs(3)).unwrap();
        b.wait_peer_up("gw-a", Duration::from_secs(3)).unwrap();
        wait_until("traffic", LIMIT, || answers(lab.h1(), Side::B).then_some(())).unwrap();
        assert!(restored.elapsed() <= Duration::from_secs(4), "{:?}", restored.elapsed());
        for node in [&a, &b] {
            gridway_lab::gateway::check_books(node, LIMIT).unwrap();
        }
        a.stop().unwrap();
        b.stop().unwrap();
    }

    fn traffic_is_back_3_s_after_a_killed_node_restarted(layout) {
        let (lab, [mut a, mut b]) = pair_with_default_liveness(layout);
        for node in [&mut a, &mut b] {
            assert!(answers(lab.h1(), Side::B));
            node.kill().unwrap();
            node.start().unwrap();
            let started = Instant::now();
            wait_until("traffic", Duration::from_secs(3), || answers(lab.h1(), Side::B).then_some(()))
                .unwrap_or_else(|error| panic!("{}: {error}", node.config().name()));
            assert!(started.elapsed() <= Duration::from_secs(3), "{:?}", started.elapsed());
        }
        a.stop().unwrap();
        b.stop().unwrap();
    }

    /// A peer that went away drops packets with its own reason, and flows go on when it is back.
    fn packets_for_a_peer_that_is_down_are_counted_as_such(layout) {
        let Pair { mut a, mut b, lab } = Pair::corp(layout);
        assert!(answers(lab.h1(), Side::B));
        b.stop().unwrap();
        let row = a.wait_peer_down("gw-b", LIMIT).unwrap();
        assert!(row.reason.as_deref().is_some_and(|reason| reason.contains("shutting_down")), "{row:?}");
        assert!(!answers(lab.h1(), Side::B));
        assert!(a.drops("peer_down").unwrap() >= 1);
        gridway_lab::gateway::check_books(&a, LIMIT).unwrap();
        b.start().unwrap();
        a.wait_peer_up("gw-b", LIMIT).unwrap();
        wait_until("traffic", LIMIT, || answers(lab.h1(), Side::B).then_some(())).unwrap();
        a.stop().unwrap();
        b.stop().unwrap();
    }
}

#[test]
fn a_second_instance_refuses_to_start() {
    let Pair { a, lab, b: _b } = Pair::corp(Layout::Combined);
    let binary = gridway_lab::gateway::find_binary("gridway-dataplane").unwrap();
    let second = lab.gwa().command(binary).arg("--config").arg(a.config_path()).run_unchecked().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stderr.contains("another instance"), "{}", second.stderr);
    assert!(answers(lab.h1(), Side::B), "the first one must not notice");
}
