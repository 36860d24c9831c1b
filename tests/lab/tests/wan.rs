//! Rate, loss and cuts of the WAN do what they say.

use std::time::Duration;

use gridway_lab::{Iperf3, Iperf3Server, Lab, Loss, Ping, Rate, Shape, Side};

#[test]
fn rate_limit_holds_in_both_directions_and_can_be_lifted() {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    let _server = Iperf3Server::start(lab.h2(), 5201).unwrap();
    let measure = Iperf3::tcp(Side::B.host(0)).duration(Duration::from_secs(2));

    lab.wan().set_shape(Some(Shape::new(Rate::mbit(50)))).unwrap();
    for run in [measure.clone(), measure.clone().reverse()] {
        let report = run.run(lab.h1()).unwrap();
        assert!((30.0..52.0).contains(&report.mbps()), "{} Mbit/s at a limit of 50", report.mbps());
    }

    lab.wan().set_shape(None).unwrap();
    // Twice: lifting what is not there is not an error.
    lab.wan().set_shape(None).unwrap();
    let free = measure.run(lab.h1()).unwrap();
    assert!(free.mbps() > 100.0, "{} Mbit/s without a limit", free.mbps());
}

#[test]
fn loss_takes_about_the_share_asked_for_and_stops() {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    let ping = Ping::new(Side::B.host(0)).count(1000).interval(Duration::from_millis(1));

    // Resolves the neighbours: a lost ARP request costs a second, and with it every echo request of that second.
    assert!(ping.clone().count(1).run(lab.h1()).unwrap().all_answered());
    lab.wan().set_loss(Some(Loss::percent(20.0))).unwrap();
    let report = ping.run(lab.h1()).unwrap();
    let lost = f64::from(report.sent - report.received) / f64::from(report.sent);
    // Both directions lose: 1 - 0.8^2 = 0.36, standard deviation 0.015.
    assert!((0.28..0.44).contains(&lost), "lost {lost}");
    let counted: u64 = Side::BOTH.iter().map(|side| lab.wan().lost_towards(*side).unwrap()).sum();
    assert!(counted >= u64::from(report.sent - report.received), "counted {counted}, {report:?}");

    lab.wan().set_loss(None).unwrap();
    assert!(Ping::new(Side::B.host(0)).count(50).run(lab.h1()).unwrap().all_answered());
    assert!(lab.wan().lost_towards(Side::A).is_err(), "the counter goes with the rule");
}

#[test]
fn a_cut_stops_everything_until_it_is_restored() {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    let ping = Ping::new(Side::B.host(0)).count(5).wait(Duration::from_millis(200));
    assert!(ping.run(lab.h1()).unwrap().all_answered());

    lab.wan().cut().unwrap();
    assert_eq!(ping.run(lab.h1()).unwrap().received, 0);
    lab.wan().restore().unwrap();
    assert!(ping.run(lab.h1()).unwrap().all_answered());

    lab.wan().cut_towards(Side::A).unwrap();
    assert_eq!(ping.run(lab.h1()).unwrap().received, 0, "requests arrive, replies do not");
    lab.wan().restore().unwrap();
    assert!(ping.run(lab.h1()).unwrap().all_answered());
}

#[test]
fn delay_rate_and_loss_combine() {
    let lab = Lab::builder().wan_delay(Duration::from_millis(2)).build().unwrap();
    lab.kernel_forwarding(true).unwrap();
    lab.wan().set_shape(Some(Shape::new(Rate::mbit(20)))).unwrap();
    lab.wan().set_loss(Some(Loss::percent(0.1))).unwrap();
    let _server = Iperf3Server::start(lab.h2(), 5201).unwrap();
    let report = Iperf3::tcp(Side::B.host(0)).duration(Duration::from_secs(2)).run(lab.h1()).unwrap();
    assert!((5.0..22.0).contains(&report.mbps()), "{} Mbit/s", report.mbps());
}
