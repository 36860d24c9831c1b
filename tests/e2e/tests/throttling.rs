//! Rate limits of a node.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_e2e::{Layout, Pair, configs};
use gridway_lab::gateway::{NodeConfig, start_pair, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Rate, Side};

/// Mbit/s.
const RATE: u32 = 20;

/// One way.
const DELAY: Duration = Duration::from_millis(5);

/// Vnet `corp`, and a limit of side A's node in one direction.
fn throttled(direction: &str, mbps: u32) -> String {
    format!("[throttle]\n{direction} = {mbps}\n{}", vnets::corp(Side::A))
}

fn pair(layout: Layout, direction: &str) -> Pair {
    let lab = Lab::builder().queues(layout.queues()).wan_delay(DELAY).build().unwrap();
    let fragment = |side| if side == Side::A { throttled(direction, RATE) } else { vnets::corp(side) };
    let [a, b] = start_pair(&lab, configs(layout, fragment)).unwrap();
    Pair { a, b, lab }
}

/// TCP from A to B for egress, from B to A for ingress: Mbit/s once it has settled.
fn tcp(pair: &Pair, reverse: bool) -> f64 {
    let tcp =
        Iperf3::tcp(vnets::outside_host(Side::B, 0)).parallel(4).omit(1).duration(Duration::from_secs(3));
    let tcp = if reverse { tcp.reverse() } else { tcp };
    tcp.run(pair.lab.h1()).unwrap().mbps()
}

/// Never above; TCP's headers and what it has yet to find are below.
fn assert_near(mbps: f64, limit: u32) {
    let share = mbps / f64::from(limit);
    assert!((0.85..=1.05).contains(&share), "{mbps:.1} of {limit} Mbit/s");
}

fn set_limit(pair: &mut Pair, direction: &str, mbps: u32) {
    let config: NodeConfig = pair.a.config().clone().without_fragments().with(&throttled(direction, mbps));
    pair.a.set_config(config).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
}

/// Twice the limit by UDP: half of it is dropped, here and nowhere else, and counted.
fn udp_above_the_limit(pair: &Pair, reverse: bool) {
    let rate = Rate::mbit(u64::from(2 * RATE));
    let udp =
        Iperf3::udp(vnets::outside_host(Side::B, 0), rate).length(1200).duration(Duration::from_secs(4));
    let udp = if reverse { udp.reverse() } else { udp };
    let before = pair.a.counters().unwrap();
    let report = udp.run(pair.lab.h1()).unwrap();
    let after = pair.a.counters().unwrap();
    let dropped = |reason: &str| after.drops[reason] - before.drops[reason];
    let (lost, sent) = report.datagrams.unwrap();
    let share = lost as f64 / sent as f64;
    // The limit counts IP packets, of which 28 bytes are headers; what half a second lets through more is in it.
    assert!((0.40..0.60).contains(&share), "{lost} of {sent} lost\n{}", pair.evidence());
    let (throttled, early) = (dropped("throttled"), dropped("early_drop"));
    assert!(
        throttled > 0 && (throttled + early).abs_diff(lost) <= lost / 20 + 10,
        "{throttled}, {early}, {lost}"
    );
}

#[test]
fn egress_keeps_to_its_limit_and_a_reload_changes_it() {
    let mut pair = pair(Layout::Combined, "egress_mbps");
    let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
    assert_near(tcp(&pair, false), RATE);
    udp_above_the_limit(&pair, false);
    // The other direction is free.
    assert!(tcp(&pair, true) > f64::from(RATE) * 1.3);
    set_limit(&mut pair, "egress_mbps", 10);
    assert_near(tcp(&pair, false), 10);
    set_limit(&mut pair, "egress_mbps", 0);
    assert!(tcp(&pair, false) > f64::from(RATE) * 1.3);
    pair.finish();
}

#[test]
fn ingress_keeps_to_its_limit() {
    let pair = pair(Layout::Separate, "ingress_mbps");
    let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
    assert_near(tcp(&pair, true), RATE);
    udp_above_the_limit(&pair, true);
    pair.finish();
}
