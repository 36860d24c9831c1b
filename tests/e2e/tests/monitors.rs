//! Routes whose monitors ask whether what is behind the tunnel still answers.
//!
//! ```text
//!                 192.0.2.0/24
//! h1 -- data -- gwa ==+== gwb -- data -- h2 10.2.0.2, 10.9.0.2
//!                     |
//!                    gwh -- data -- h3 10.3.0.2, 10.9.0.2
//! ```
//!
//! Two sites serve the same prefix. All tunnels stay up throughout.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::{IpAddr, Ipv4Addr};

use gridway_e2e::{LIMIT, Trio};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::tools::{echo_tcp, echo_udp};
use gridway_lab::{EchoServer, Hub, Namespace, Side, wait_until};

/// What both sites serve.
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// What the monitor asks: in the same prefix, and only at the first site.
const TARGET: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 3);
const COUNT: u64 = 3;

/// Vnet `twin` of a node: addresses stay as they are.
fn vnet(address: &str, routes: &str) -> String {
    format!(
        "[[vnet]]\nname = \"twin\"\ncidr = \"10.0.0.0/12\"\nnat = false\naddress = \"{address}\"\n{routes}{}",
        vnets::ALLOW_ALL
    )
}

fn route(to: &str, via: &str, rest: &str) -> String {
    format!("  [[vnet.route]]\n  to = \"{to}\"\n  via = \"{via}\"\n{rest}\n")
}

/// A prefers B; the hub stands by.
fn trio(monitor: &str) -> Trio {
    let monitor = format!(
        "  metric = 10\n  monitor = {{ {monitor}, target = \"{TARGET}\", interval = \"100ms\", max_latency = \"90ms\", count = {COUNT} }}\n"
    );
    let routes =
        route("10.9.0.0/24", Side::B.node(), &monitor) + &route("10.9.0.0/24", Hub::NODE, "  metric = 20\n");
    // The way back, to the hosts and to the node that asks.
    let back = route(Side::A.network(), Side::A.node(), "") + &route("10.8.1.0/24", Side::A.node(), "");
    let trio = Trio::mesh([&vnet("10.8.1.1", &routes), &vnet("10.8.2.1", &back), &vnet("10.8.3.1", &back)]);
    for (host, gateway, next_hop) in [
        (trio.lab.h2(), trio.lab.gwb(), IpAddr::from(Side::B.host(0))),
        (trio.lab.hub().host(), trio.lab.hub().gateway(), Hub::HOST.into()),
    ] {
        host.ip(&format!("addr add {SERVICE}/32 dev eth0")).unwrap();
        gateway.ip(&format!("route add 10.9.0.0/24 via {next_hop} dev data0")).unwrap();
    }
    trio.lab.h2().ip(&format!("addr add {TARGET}/32 dev eth0")).unwrap();
    trio
}

/// Servers at both sites; the last of their clients tells who answered.
struct Sites {
    first: EchoServer,
    second: EchoServer,
}

impl Sites {
    fn start(trio: &Trio) -> Self {
        let start = |host: &Namespace| EchoServer::udp(host, (SERVICE, 7000).into()).unwrap();
        Self { first: start(trio.lab.h2()), second: start(trio.lab.hub().host()) }
    }

    /// Asks once, and says which site was asked and by whom.
    fn ask(&self, from: &Namespace) -> &'static str {
        let seen = || [self.first.clients().len(), self.second.clients().len()];
        let before = seen();
        echo_udp(from, (SERVICE, 7000).into(), b"who is there", LIMIT).unwrap();
        let after = seen();
        match [after[0] - before[0], after[1] - before[1]] {
            [1, 0] => "first",
            [0, 1] => "second",
            other => panic!("answers of both sites: {other:?}"),
        }
    }
}

/// The monitored route as `gridway routes --json` shows it: available, chosen, monitor up, failures.
fn monitored(node: &Gateway) -> (bool, bool, bool, u64) {
    let rows = node.cli(&["routes"]).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["metric"] == 10).unwrap();
    let monitor = &row["monitor"];
    assert_eq!((&monitor["target"], &monitor["count"]), (&TARGET.to_string().into(), &COUNT.into()));
    let [available, chosen, up] =
        [&row["available"], &row["chosen"], &monitor["up"]].map(|value| value.as_bool().unwrap());
    (available, chosen, up, monitor["failures"].as_u64().unwrap())
}

/// The route goes down, stays down and comes back with what its monitor asks, and traffic with it.
fn follows_its_target(trio: Trio, stop: impl FnOnce(&Trio), start: impl FnOnce(&Trio)) {
    let sites = Sites::start(&trio);
    // The first probes may have come before what they ask for.
    wait_until("a probe that was answered", LIMIT, || {
        let mut monitors = trio.a.routes().unwrap().into_iter().filter_map(|row| row.monitor);
        monitors.any(|monitor| monitor.latency_us.is_some() && monitor.failures == 0).then_some(())
    })
    .unwrap();
    assert_eq!(monitored(&trio.a), (true, true, true, 0), "{}", trio.evidence());
    assert_eq!(sites.ask(trio.lab.h1()), "first");

    stop(&trio);
    wait_until("the route to go down", LIMIT, || (!monitored(&trio.a).0).then_some(())).unwrap();
    assert_eq!(monitored(&trio.a), (false, false, false, COUNT), "{}", trio.evidence());
    assert_eq!(sites.ask(trio.lab.h1()), "second", "{}", trio.evidence());
    for peer in [Side::B.node(), Hub::NODE] {
        assert_eq!(trio.a.peer(peer).unwrap().connections, 1, "the tunnels stay up");
    }

    start(&trio);
    wait_until("the route to come back", LIMIT, || monitored(&trio.a).0.then_some(())).unwrap();
    assert_eq!(monitored(&trio.a), (true, true, true, 0), "{}", trio.evidence());
    assert_eq!(sites.ask(trio.lab.h1()), "first", "{}", trio.evidence());
    trio.finish();
}

#[test]
fn a_target_that_answers_no_echo_takes_the_route_down() {
    follows_its_target(
        trio("protocol = \"icmp\""),
        |trio| drop(trio.lab.h2().ip(&format!("addr del {TARGET}/32 dev eth0")).unwrap()),
        |trio| drop(trio.lab.h2().ip(&format!("addr add {TARGET}/32 dev eth0")).unwrap()),
    );
}

/// The address still answers: with a reset.
#[test]
fn a_port_on_which_nobody_listens_takes_the_route_down() {
    let trio = trio("protocol = \"tcp\", port = 8443");
    let listen = |trio: &Trio| EchoServer::tcp(trio.lab.h2(), (TARGET, 8443).into()).unwrap();
    let listener = listen(&trio);
    let mut again = None;
    assert_eq!(echo_tcp(trio.lab.h2(), listener.address(), b"hello", LIMIT).unwrap(), b"hello");
    follows_its_target(trio, |_| drop(listener), |trio| again = Some(listen(trio)));
    drop(again);
}
