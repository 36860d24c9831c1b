//! At which hook the steering program is: that of tc without a vnet, where connectors lose nothing by it, and XDP with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use gridway_control::{Proposal, Reply, Request};
use gridway_e2e::layer4::{connector, dial, near, published, service, target};
use gridway_e2e::{LIMIT, Layout, Pair, configs};
use gridway_lab::gateway::{Gateway, start_pair, vnets};
use gridway_lab::{DATA_INTERFACE, EchoServer, Iperf3, Iperf3Server, Lab, Ping, Side, wait_until};

const PORT: u16 = 7000;

/// Whether the kernel has an XDP program on a node's data NIC, and what the node says of its own.
fn hook(node: &Gateway) -> (bool, String) {
    let shown = node.namespace().command("ip").args(["link", "show", "dev", DATA_INTERFACE]).run();
    let status = node.status().expect("the node answers");
    let attached = shown.expect("ip shows it").stdout.contains("xdp");
    (attached, status.data.expect("the node has a data NIC").attach_mode)
}

fn at_tc() -> (bool, String) {
    (false, "tc".to_owned())
}

fn in_driver() -> (bool, String) {
    (true, "native".to_owned())
}

/// Frames that a node's steering dropped as being for nobody.
fn for_nobody(node: &Gateway) -> u64 {
    node.counters().expect("the node answers").drops["drop_no_vnet"]
}

fn assert_echoes(session: &mut TcpStream, pair: &Pair) {
    let mut answer = [0; 5];
    let exchanged = session.write_all(b"hello").and_then(|()| session.read_exact(&mut answer));
    exchanged.unwrap_or_else(|error| panic!("{error}\n{}", pair.evidence()));
    assert_eq!(&answer, b"hello");
}

#[test]
fn the_first_vnet_brings_xdp_and_connectors_work_before_and_after() {
    let mut pair = Pair::with(Layout::Combined, published("tcp", PORT));
    let _echo = EchoServer::tcp(pair.lab.h2(), target(PORT)).unwrap();
    let mut old = dial(pair.lab.h1(), near(PORT)).unwrap();
    assert_echoes(&mut old, &pair);
    for node in [&pair.a, &pair.b] {
        assert_eq!(hook(node), at_tc());
    }

    for (side, node) in Side::BOTH.into_iter().zip([&mut pair.a, &mut pair.b]) {
        let config = node.config().clone().with(&vnets::corp(side));
        node.set_config(config).unwrap();
        assert_eq!(node.reload().unwrap(), None, "the vnet is taken");
        assert_eq!(hook(node), in_driver());
    }
    let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(3);
    let answered = || ping.run(pair.lab.h1()).ok()?.all_answered().then_some(());
    wait_until("answers through the new vnet", LIMIT, answered).unwrap();
    assert_echoes(&mut old, &pair);
    assert_echoes(&mut dial(pair.lab.h1(), near(PORT)).unwrap(), &pair);

    let config = pair.a.config().clone().without_fragments().with(&published("tcp", PORT)(Side::A));
    pair.a.set_config(config).unwrap();
    assert_eq!(pair.a.reload().unwrap(), None);
    let moved =
        wait_until("the last vnet to take it along", LIMIT, || (hook(&pair.a) == at_tc()).then_some(()));
    moved.unwrap();
    assert_echoes(&mut old, &pair);
    pair.finish();
}

#[test]
fn a_first_vnet_that_nobody_confirms_leaves_no_xdp() {
    let pair = Pair::with(Layout::Combined, published("tcp", PORT));
    let _echo = EchoServer::tcp(pair.lab.h2(), target(PORT)).unwrap();
    let mut session = dial(pair.lab.h1(), near(PORT)).unwrap();
    let toml = std::fs::read_to_string(pair.a.config_path()).unwrap() + &vnets::corp(Side::A);
    let proposal = Proposal { toml, confirm_within_s: Some(2), base: None, by: None };
    let applied = pair.a.ask(&Request::Apply(proposal)).unwrap();
    assert!(matches!(applied, Reply::ConfigState(_)), "{applied:?}");
    assert_eq!(hook(&pair.a), in_driver());
    assert_echoes(&mut session, &pair);
    wait_until("the change to be undone", LIMIT, || (hook(&pair.a) == at_tc()).then_some(())).unwrap();
    assert_echoes(&mut session, &pair);
    let events = pair.a.events(0).unwrap().rows;
    let moves: u64 =
        events.iter().filter(|row| row.kind.starts_with("steered_by_")).map(|row| row.count).sum();
    assert_eq!(moves, 2, "there and back: {events:?}");
    pair.finish();
}

#[test]
fn a_last_vnet_whose_end_nobody_confirms_still_has_xdp() {
    let pair = Pair::with(Layout::Combined, |side| published("tcp", PORT)(side) + &vnets::corp(side));
    let _echo = EchoServer::tcp(pair.lab.h2(), target(PORT)).unwrap();
    let toml = std::fs::read_to_string(pair.a.config_path()).unwrap();
    let (without, _vnet) = toml.split_once("[[vnet]]").unwrap();
    let proposal = Proposal { toml: without.to_owned(), confirm_within_s: Some(2), base: None, by: None };
    let applied = pair.a.ask(&Request::Apply(proposal)).unwrap();
    assert!(matches!(applied, Reply::ConfigState(_)), "{applied:?}");
    assert_eq!(hook(&pair.a), in_driver(), "whoever undoes it must not need it again");
    let ping = Ping::new(vnets::outside_host(Side::B, 0)).count(1);
    let answered = || ping.run(pair.lab.h1()).ok()?.all_answered().then_some(());
    wait_until("the vnet to be back", LIMIT, answered).unwrap();
    assert_eq!(hook(&pair.a), in_driver());
    assert_echoes(&mut dial(pair.lab.h1(), near(PORT)).unwrap(), &pair);
    pair.finish();
}

/// Linux takes packets for any of its addresses on any interface.
#[test]
fn without_a_vnet_hosts_still_do_not_reach_the_management_side() {
    let pair = Pair::with(Layout::Combined, published("tcp", PORT));
    let _echo = EchoServer::tcp(pair.lab.h2(), target(PORT)).unwrap();
    let management = (Side::A.wan(), PORT).into();
    let _listener = EchoServer::tcp(pair.a.namespace(), management).unwrap();
    let dropped = for_nobody(&pair.a);
    assert!(dial(pair.lab.h1(), management).is_err(), "{}", pair.evidence());
    assert!(for_nobody(&pair.a) > dropped, "{}", pair.evidence());
    assert_echoes(&mut dial(pair.lab.h1(), near(PORT)).unwrap(), &pair);
    assert_eq!(hook(&pair.a), at_tc());
    pair.finish();
}

#[test]
fn a_mode_that_is_asked_for_or_a_deny_list_has_xdp_from_the_start() {
    let lab = Lab::builder().build().unwrap();
    let [a, b] = configs(Layout::Combined, published("tcp", PORT));
    let [a, b] = start_pair(&lab, [a.attach("native"), b.deny(&["203.0.113.0/24"])]).unwrap();
    assert_eq!([&a, &b].map(hook), [in_driver(), in_driver()]);
}

/// A data NIC as cloud networks have it.
#[test]
fn frames_beyond_one_xdp_buffer_are_for_nodes_without_a_vnet_alone() {
    const IPERF: u16 = 5201;
    let fragment = |side| match side {
        Side::A => connector("bulk", "tcp", near(IPERF), Side::B.node(), "bulk"),
        Side::B => service("bulk", "tcp", target(IPERF)),
    };
    let mut pair = Pair::built(Lab::builder().data_mtu(9000), Layout::Combined, fragment);
    assert_eq!([&pair.a, &pair.b].map(hook), [at_tc(), at_tc()]);
    let mut server = Iperf3Server::start(pair.lab.h2(), IPERF).unwrap();
    let load = Iperf3::tcp(near(IPERF).ip()).port(IPERF).duration(Duration::from_secs(2));
    for load in [load.clone(), load.reverse()] {
        let carried = load.run(pair.lab.h1()).unwrap();
        assert!(carried.mbps() > 1.0, "{carried:?}\n{}", pair.evidence());
        server.wait_idle().unwrap();
    }
    assert_eq!(pair.a.counters().unwrap().drops["drop_malformed"], 0, "{}", pair.evidence());

    let config = pair.a.config().clone().with(&vnets::corp(Side::A));
    pair.a.set_config(config).unwrap();
    let refused = pair.a.reload().unwrap().expect("a vnet needs XDP");
    assert!(refused.contains("9000") && refused.contains("3506"), "{refused}");
    assert_eq!(hook(&pair.a), at_tc());
    pair.finish();
}
