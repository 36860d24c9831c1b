//! Packets that are larger than the way they go.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::net::IpAddr;
use std::time::Duration;

use gridway_e2e::{LIMIT, Layout, Pair, configs};
use gridway_lab::gateway::{start_pair, vnets};
use gridway_lab::tools::{echo_tcp, echo_udp};
use gridway_lab::{
    Capture, DATA_INTERFACE, EchoServer, End, HOST_INTERFACE, Iperf3, Iperf3Server, Lab, LinkSpec, Namespace,
    Ping, Rate, Side, connect, wait_until,
};

fn narrow(side: Side) -> String {
    vnets::dual_with(side, "mtu = 1300") + vnets::ALLOW_ALL
}

/// The first host of a side as the other side knows it, in both families.
fn outside(side: Side) -> [IpAddr; 2] {
    [vnets::outside_host(side, 0).into(), vnets::outside_host6(side, 0).into()]
}

/// A ping that fills packets of 1500 bytes, not to be fragmented.
fn full(to: IpAddr) -> Ping {
    let payload = if to.is_ipv4() { 1472 } else { 1452 };
    Ping::new(to).count(3).payload(payload).dont_fragment().wait(Duration::from_millis(300))
}

/// What ping says when `router` tells it of a smaller MTU.
fn says(router: IpAddr, mtu: u32) -> String {
    match router {
        IpAddr::V4(_) => format!("From {router} icmp_seq=1 Frag needed and DF set (mtu = {mtu})"),
        IpAddr::V6(_) => format!("From {router} icmp_seq=1 Packet too big: mtu={mtu}"),
    }
}

/// Sends what is too big from `host`, and insists that `router` says so and the kernel takes it to heart.
fn assert_lowered(pair: &Pair, host: &Namespace, to: IpAddr, router: IpAddr, mtu: u32) {
    let report = full(to).run(host).unwrap();
    assert_eq!(report.received, 0, "{report:?}");
    assert!(report.errors.contains(&says(router, mtu)), "{report:?}\n{}", pair.evidence());
    let route = host.ip(&format!("route get {to}")).unwrap().stdout;
    assert!(route.contains(&format!(" mtu {mtu} ")), "{route}");
}

#[test]
fn the_near_node_says_what_fits() {
    let pair = Pair::with(Layout::Combined, narrow);
    for side in Side::BOTH {
        let routers = [side.data().into(), side.data6().into()];
        for (to, router) in outside(side.other()).into_iter().zip(routers) {
            assert_lowered(&pair, pair.lab.host(side, 0), to, router, 1300);
        }
    }
    assert!(pair.a.drops("too_big").unwrap() >= 2);
    pair.finish();
}

/// The far node's data link takes 1400 bytes; the near node knows that from its hello.
#[test]
fn the_near_node_knows_the_far_data_link() {
    let lab = Lab::new().unwrap();
    lab.gwb().ip(&format!("link set {DATA_INTERFACE} mtu 1400")).unwrap();
    lab.h2().ip(&format!("link set {HOST_INTERFACE} mtu 1400")).unwrap();
    let [a, b] = start_pair(&lab, configs(Layout::Combined, vnets::dual)).unwrap();
    let pair = Pair { a, b, lab };
    let [v4, v6] = outside(Side::B);
    assert_lowered(&pair, pair.lab.h1(), v4, Side::A.data().into(), 1400);
    assert_lowered(&pair, pair.lab.h1(), v6, Side::A.data6().into(), 1400);
    // What is as large as may be passes.
    for (to, payload) in [(v4, 1372), (v6, 1352)] {
        let report = full(to).payload(payload).run(pair.lab.h1()).unwrap();
        assert!(report.all_answered(), "{report:?}");
    }
    pair.finish();
}

#[test]
fn what_may_be_fragmented_arrives_in_fragments() {
    let pair = Pair::with(Layout::Combined, narrow);
    for side in Side::BOTH {
        let (from, far) = (pair.lab.host(side, 0), pair.lab.host(side.other(), 0));
        let mut capture = Capture::start_inbound(far, HOST_INTERFACE, "").unwrap();
        let [v4, v6] = outside(side.other());
        for payload in [1300, 3000, 9000] {
            let report = Ping::new(v4).payload(payload).may_be_fragmented().run(from).unwrap();
            assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
        }
        // IPv6 is fragmented by its sender alone, and whoever answers is one too: both have to be told first.
        let ask = Ping::new(v6).payload(3000).count(1).wait(Duration::from_millis(200));
        wait_until("both to know", LIMIT, || {
            ask.run(from).is_ok_and(|report| report.received == 1).then_some(())
        })
        .unwrap();
        let report = Ping::new(v6).payload(3000).run(from).unwrap();
        assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
        capture.stop().unwrap();
        assert_eq!(capture.fields("frame.len > 1314", &["frame.number"]).unwrap(), [[""; 0]; 0]);
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
        let requests = capture.fields("icmp.type == 8 && data.len > 2900", &["ip.src"]).unwrap();
        assert_eq!(requests.len(), 10, "{requests:?}");
    }
    pair.finish();
}

/// A sender of UDP hears the true MTU with every fragment that is refused.
#[test]
fn refused_fragments_do_not_announce_an_mtu_of_nothing() {
    let pair = Pair::with(Layout::Combined, narrow);
    let mut capture = Capture::start(pair.lab.h1(), HOST_INTERFACE, "icmp6").unwrap();
    let to = (vnets::outside_host6(Side::B, 0), 7000).into();
    let limit = Duration::from_millis(300);
    echo_udp(pair.lab.h1(), to, &[7; 4000], limit).unwrap_err();
    capture.stop().unwrap();
    let told = capture.fields("icmpv6.type == 2", &["icmpv6.mtu"]).unwrap();
    assert!(!told.is_empty());
    assert!(told.iter().flatten().all(|mtu| mtu == "1300"), "{told:?}");
    pair.finish();
}

/// Only A's side of the vnet is narrow, so what B's hosts announce is clamped on its way in.
#[test]
fn tcp_never_meets_the_limit() {
    let pair = Pair::with(Layout::Combined, |side| match side {
        Side::A => narrow(side),
        Side::B => vnets::dual(side),
    });
    let _servers = [pair.lab.h1(), pair.lab.h2()].map(|host| Iperf3Server::start(host, 5201).unwrap());
    let mut captures = [pair.lab.h1(), pair.lab.h2()]
        .map(|host| Capture::start_inbound(host, HOST_INTERFACE, "tcp").unwrap());
    for side in Side::BOTH {
        for to in outside(side.other()) {
            let load = Iperf3::tcp(to).rate(Rate::mbit(20)).duration(Duration::from_secs(2));
            let report = load.run(pair.lab.host(side, 0)).unwrap();
            assert!(report.mbps() > 15.0, "{report:?}\n{}", pair.evidence());
        }
    }
    for capture in &mut captures {
        capture.stop().unwrap();
        let announced = |filter: &str| capture.fields(filter, &["tcp.options.mss_val"]).unwrap();
        for (version, most) in [("ip", "1260"), ("ipv6", "1240")] {
            let sizes = announced(&format!("{version} && tcp.flags.syn == 1"));
            // Two connections each way: iperf3's control and its data.
            assert_eq!(sizes.len(), 4, "{version}: {sizes:?}");
            assert!(sizes.iter().flatten().all(|size| size == most), "{version}: {sizes:?}");
        }
        assert_eq!(capture.fields("frame.len > 1314", &["frame.number"]).unwrap(), [[""; 0]; 0]);
        assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
    }
    for node in [&pair.a, &pair.b] {
        assert_eq!(node.drops("too_big").unwrap(), 0);
    }
    pair.finish();
}

/// ```text
/// h1 -- gwa == gwb -- h2 -- h3
///                        1280
/// ```
#[test]
fn a_router_behind_the_far_node_lowers_the_senders_mtu() {
    let lab = Lab::new().unwrap();
    let (h2, h3) = (lab.h2(), Namespace::create("h3", &lab.id()).unwrap());
    let ends = [End { namespace: h2, interface: "eth1" }, End { namespace: &h3, interface: HOST_INTERFACE }];
    connect(ends[0], ends[1], LinkSpec { mtu: 1280, ..LinkSpec::default() }).unwrap();
    h2.ip_batch("addr add 10.2.0.129/25 dev eth1\naddr add fd00:2:0:0:1::1/80 dev eth1 nodad").unwrap();
    h2.sysctl("net/ipv4/ip_forward", "1").unwrap();
    h2.sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
    h3.ip_batch(
        "addr add 10.2.0.130/25 dev eth0\naddr add fd00:2:0:0:1::2/80 dev eth0 nodad\n\
         route add default via 10.2.0.129\nroute add ::/0 via fd00:2:0:0:1::1",
    )
    .unwrap();
    lab.gwb()
        .ip_batch(
            "route add 10.2.0.128/25 via 10.2.0.2 dev data0\n\
             route add fd00:2:0:0:1::/80 via fd00:2::2 dev data0",
        )
        .unwrap();
    let [a, b] = start_pair(&lab, configs(Layout::Combined, vnets::dual)).unwrap();
    let pair = Pair { a, b, lab };
    let h1 = pair.lab.h1();
    let [router, router6] = outside(Side::B);
    // fd00:2:0:0:1::2 with ff3f added to the fifth word.
    let (host, host6): (IpAddr, IpAddr) =
        ("172.16.2.130".parse().unwrap(), "fd00:c0:2:0:ff40::2".parse().unwrap());
    let mut capture = Capture::start(h1, HOST_INTERFACE, "").unwrap();
    // h3 announces segments that its own link does not take, so TCP depends on what the router says.
    h3.ip_batch(
        "route replace default via 10.2.0.129 advmss 1460\nroute replace ::/0 via fd00:2:0:0:1::1 advmss 1440",
    )
    .unwrap();
    for (to, local) in [(host, "10.2.0.130"), (host6, "fd00:2:0:0:1::2")] {
        let _server = EchoServer::tcp(&h3, (local.parse::<IpAddr>().unwrap(), 7000).into()).unwrap();
        let payload = [7; 200_000];
        assert_eq!(echo_tcp(h1, (to, 7000).into(), &payload, LIMIT).unwrap(), payload, "{}", pair.evidence());
        let route = h1.ip(&format!("route get {to}")).unwrap().stdout;
        assert!(route.contains(" mtu 1280 "), "{route}");
    }
    h1.ip("-4 route flush cache").unwrap();
    h1.ip("-6 route flush cache").unwrap();
    assert_lowered(&pair, h1, host, router, 1280);
    assert_lowered(&pair, h1, host6, router6, 1280);
    for to in [host, host6] {
        let report = Ping::new(to).payload(3000).may_be_fragmented().run(h1).unwrap();
        assert!(report.all_answered(), "{report:?}\n{}", pair.evidence());
    }
    // A router whose own address has no translation: the node's stands in.
    pair.lab
        .h2()
        .ip_batch("addr add 192.168.77.1/32 dev lo\nroute replace default via 10.2.0.1 src 192.168.77.1")
        .unwrap();
    let other: IpAddr = "172.16.2.131".parse().unwrap();
    h3.ip("addr add 10.2.0.131/25 dev eth0").unwrap();
    assert_lowered(&pair, h1, other, vnets::outside_gateway(Side::B).into(), 1280);
    capture.stop().unwrap();
    // What the errors quote is what h1 had sent, to the last bit of a checksum.
    let segments = |filter: &str| capture.fields(filter, &["tcp.checksum"]).unwrap();
    let sent = segments("tcp && !icmp && !icmpv6 && frame.len > 1500");
    for quoted in [segments("tcp && icmp.type == 3"), segments("tcp && icmpv6.type == 2")] {
        assert!(!quoted.is_empty());
        assert!(quoted.iter().all(|segment| sent.contains(segment)), "{quoted:?} of {sent:?}");
    }
    assert_eq!(capture.bad_checksums().unwrap(), [[""; 0]; 0]);
    pair.finish();
}
