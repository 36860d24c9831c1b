//! Live change under load.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::vnets;
use gridway_lab::{Iperf3, Iperf3Server, Ping, Rate, Side, wait_until};

const DENY_UDP: &str = r#"
  [[vnet.acl]]
  line = 5
  action = "drop"
  protocol = "udp"
  ports = "5301"
"#;

in_both_layouts! {
    fn a_new_rule_stops_a_live_flow_and_leaves_the_others(layout) {
        let mut pair = Pair::corp(layout);
        let server = vnets::outside_host(Side::B, 0);
        let _kept = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let load = Iperf3::udp(server, Rate::mbit(20)).length(1000).duration(Duration::from_secs(6));
        let mut running = load.start(pair.lab.h1()).unwrap();
        let denied = gridway_lab::EchoServer::udp(pair.lab.h2(), (Side::B.host(0), 5301).into()).unwrap();
        let to = (server, denied.address().port()).into();
        let ask = || gridway_lab::tools::echo_udp(pair.lab.h1(), to, b"hello", Duration::from_millis(500));
        wait_until("an answer", LIMIT, || ask().ok()).unwrap();
        let generation = pair.a.status().unwrap().policy_generation;

        let config = pair.a.config().clone().with(DENY_UDP);
        pair.a.set_config(config).unwrap();
        assert_eq!(pair.a.reload().unwrap(), None, "the new configuration is taken");

        let ask = || gridway_lab::tools::echo_udp(pair.lab.h1(), to, b"hello", Duration::from_millis(500));
        assert!(ask().is_err(), "the flow was judged again and stopped");
        assert_eq!(pair.a.status().unwrap().policy_generation, generation + 1);
        assert!(pair.a.drops("acl_deny").unwrap() > 0);
        let acl = pair.a.acl().unwrap();
        assert!(acl.iter().any(|rule| rule.line == 5 && rule.hits > 0), "{acl:?}");
        assert!(acl.iter().any(|rule| rule.line == 10 && rule.hits > 0), "kept its hits: {acl:?}");
        let report = load.finish(pair.lab.h1(), &mut running).unwrap();
        // What a machine that is busy elsewhere had no room for is counted; the change lost nothing.
        let (lost, _) = report.datagrams.unwrap();
        assert_eq!(lost.saturating_sub(pair.without_room()), 0, "allowed traffic lost packets: {report:?}");
        pair.finish();
    }

    fn a_route_that_is_taken_away_stops_its_traffic(layout) {
        let mut pair = Pair::corp(layout);
        let ping = || {
            let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(2).wait(Duration::from_millis(300));
            ping.run(pair.lab.h1()).is_ok_and(|report| report.received > 0)
        };
        assert!(ping());
        let without = vnets::corp(Side::A).replace("to = \"10.200.2.0/24\"", "to = \"10.200.7.0/24\"");
        let config = pair.a.config().clone().without_fragments().with(&without);
        pair.a.set_config(config).unwrap();
        assert_eq!(pair.a.reload().unwrap(), None);
        let gone = Ping::new(vnets::outside_host(Side::B, 0)).count(2).wait(Duration::from_millis(300));
        assert!(gone.run(pair.lab.h1()).map_or(true, |report| report.received == 0));
        assert!(pair.a.drops("no_route").unwrap() > 0);
        gridway_lab::gateway::check_books(&pair.a, LIMIT).unwrap();
    }
}

#[test]
fn a_field_that_needs_a_restart_is_refused_whole() {
    let mut pair = Pair::corp(Layout::Combined);
    let before = pair.a.status().unwrap().policy_generation;
    let config = pair.a.config().clone().polling("busy").with(DENY_UDP);
    pair.a.set_config(config).unwrap();
    let error = pair.a.reload().unwrap().expect("it must be refused");
    assert!(error.contains("workers.polling"), "{error}");
    assert_eq!(pair.a.status().unwrap().policy_generation, before);
    assert!(pair.a.acl().unwrap().iter().all(|rule| rule.line != 5), "nothing of it was applied");
    let report = Ping::new(vnets::outside_host(Side::B, 0)).count(3).run(pair.lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}");
    pair.finish();
}

#[test]
fn a_broken_file_changes_nothing_and_says_what_is_wrong() {
    let mut pair = Pair::corp(Layout::Combined);
    pair.a.write_raw_config("[node]\nname = \"gw-a\"\nnonsense = 1\n").unwrap();
    let error = pair.a.reload().unwrap().expect("it must be refused");
    assert!(error.contains("nonsense") && error.contains('3'), "{error}");
    let report = Ping::new(vnets::outside_host(Side::B, 0)).count(3).run(pair.lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}");
    pair.finish();
}
