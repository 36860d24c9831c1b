//! Everyday programs through connectors and services.
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_e2e::layer4::{assert_same, near, published, target, wait_no_sessions};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::tools::{Dig, Dnsmasq, Nginx, PgBench, Postgres, SocketErrors, Sshd, Wrk, random_file};
use gridway_lab::{Iperf3, Iperf3Server, LabError, Side};

/// The value, or all there is to know about why there is none.
fn expect<T>(pair: &Pair, result: Result<T, LabError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()))
}

#[test]
fn pgbench_loads_a_database() {
    let pair = Pair::with(Layout::Combined, published("tcp", 5432));
    let _postgres = Postgres::start(pair.lab.h2(), target(5432)).unwrap();
    let bench = PgBench::new(near(5432)).load(8, 100);
    expect(&pair, bench.fill(pair.lab.h1()));
    assert_eq!(expect(&pair, bench.run(pair.lab.h1())), 800);
    // Every transaction on a connection of its own.
    let connections = pair.a.connector("app").unwrap().accepted;
    assert_eq!(expect(&pair, bench.load(4, 50).reconnect().run(pair.lab.h1())), 200);
    let after = pair.a.connector("app").unwrap().accepted;
    assert!(after >= connections + 200, "{connections} and {after} connections");
    wait_no_sessions(&pair, LIMIT);
    pair.finish();
}

#[test]
fn ssh_runs_commands_and_scp_copies_both_ways() {
    let pair = Pair::with(Layout::Combined, published("tcp", 22));
    let sshd = Sshd::start(pair.lab.h2(), target(22)).unwrap();
    let client = sshd.client(near(22));
    let output = expect(&pair, client.run(pair.lab.h1(), "echo $SSH_CLIENT"));
    assert!(output.stdout.starts_with(&Side::B.data().to_string()), "{output:?}");
    let path = |name: &str| pair.lab.path().join(name);
    random_file(&path("file"), 16 << 20).unwrap();
    expect(&pair, client.copy_to(pair.lab.h1(), &path("file"), &path("there")));
    assert_same(&path("there"), &path("file"));
    expect(&pair, client.copy_from(pair.lab.h1(), &path("there"), &path("back")));
    assert_same(&path("back"), &path("file"));
    pair.finish();
}

in_both_layouts! {
    fn dig_asks_over_udp_and_tcp_at_one_address(layout) {
        let pair = Pair::with(layout, |side| {
            published("udp", 53)(side) + &published("tcp", 53)(side).replace("\"app\"", "\"app-tcp\"")
        });
        let long = "x".repeat(200);
        let records = ["--host-record=db.example,10.2.0.9,fd00:2::9".to_owned(),
            format!("--txt-record=long.example,{long},{long},{long}")];
        let _dns = Dnsmasq::start(pair.lab.h2(), target(53), &records.each_ref().map(String::as_str)).unwrap();
        for dig in [Dig::udp(near(53)), Dig::tcp(near(53))] {
            for _ in 0..20 {
                assert_eq!(expect(&pair, dig.ask(pair.lab.h1(), "db.example", "A")), ["10.2.0.9"]);
            }
            // Over UDP the answer is cut, and dig asks again over TCP.
            let text = expect(&pair, dig.ask(pair.lab.h1(), "long.example", "TXT"));
            assert_eq!(text, [format!("\"{long}\" \"{long}\" \"{long}\"")]);
        }
        pair.finish();
    }

    fn a_thousand_connections_are_busy_at_once(layout) {
        let pair = Pair::with(layout, published("tcp", 80));
        let nginx = Nginx::start(pair.lab.h2(), target(80)).unwrap();
        std::fs::write(nginx.root().join("page"), "x".repeat(1000)).unwrap();
        let load = Wrk::new(near(80), "/page").connections(1000).duration(Duration::from_secs(4));
        let report = expect(&pair, load.run(pair.lab.h1()));
        println!("{:.0} requests a second", report.requests_per_second);
        assert!(report.requests > 2000 && report.refused == 0, "{report:?}\n{}", pair.evidence());
        assert_eq!(report.errors, SocketErrors::default(), "{}", pair.evidence());
        wait_no_sessions(&pair, LIMIT);
        pair.finish();
    }

    fn iperf3_runs_streams_in_both_directions(layout) {
        let pair = Pair::with(layout, published("tcp", 5201));
        let mut server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let load = Iperf3::tcp(Side::A.data()).parallel(4).duration(Duration::from_secs(2));
        for load in [load.clone(), load.reverse()] {
            let report = expect(&pair, load.run(pair.lab.h1()));
            println!("{:.0} Mbit/s", report.mbps());
            assert!(report.mbps() > 10.0, "{report:?}");
            server.wait_idle().unwrap();
        }
        pair.finish();
    }
}
