//! Delay of the WAN. Alone in its file: other tests beside it would take its cores and make it late.

use std::time::Duration;

use gridway_lab::{Lab, Ping, Side};

#[test]
fn delay_shows_in_the_round_trip_and_the_relay_vouches_for_it() {
    const ONE_WAY: Duration = Duration::from_millis(20);
    let lab = Lab::builder().wan_delay(ONE_WAY).build().unwrap();
    lab.kernel_forwarding(true).unwrap();
    let relay = lab.wan().relay().unwrap();
    let ping = Ping::new(Side::B.host(0)).count(100).interval(Duration::from_millis(5));

    // Resolves the neighbours.
    assert!(ping.clone().count(1).run(lab.h1()).unwrap().all_answered());
    relay.reset();
    let report = ping.run(lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}");
    let (fastest, median) = (report.quantile(0.0).unwrap(), report.quantile(0.5).unwrap());
    assert!(fastest >= 2 * ONE_WAY, "a round trip of {fastest:?} is faster than the delay");
    assert!(median < 2 * ONE_WAY + Duration::from_millis(5), "median round trip {median:?}");
    let relayed = relay.check_punctual(Duration::from_millis(5)).unwrap();
    assert!(relayed.forwarded >= 200 && relayed.dropped == 0, "{relayed:?}");
    assert!(relay.check_punctual(Duration::ZERO).is_err(), "no relay is never late");

    relay.set_delay(Duration::from_millis(1));
    let quick = ping.run(lab.h1()).unwrap().quantile(0.5).unwrap();
    assert!((Duration::from_millis(2)..Duration::from_millis(10)).contains(&quick), "{quick:?}");
}
