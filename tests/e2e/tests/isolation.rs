//! What must not leave, and what must not be reachable.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::time::Duration;

use gridway_e2e::{Layout, Pair, configs, in_both_layouts};
use gridway_lab::gateway::{start_pair, vnets};
use gridway_lab::tools::{PortState, Scan};
use gridway_lab::{Capture, Lab, Marker, Ping, Side, WAN_INTERFACE};

in_both_layouts! {
    /// With `ip_forward=1` set before the node started, nothing of a local host's traffic is on the
    /// WAN after the data plane was killed.
    fn a_killed_data_plane_forwards_nothing_in_clear(layout) {
        let lab = Lab::builder().queues(layout.queues()).build().unwrap();
        for gateway in [lab.gwa(), lab.gwb()] {
            gateway.sysctl("net/ipv4/ip_forward", "1").unwrap();
            gateway.sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
            // The kernel would know the way.
            gateway.ip("route add default dev wan0").unwrap();
        }
        let [mut a, b] = start_pair(&lab, configs(layout, vnets::plain)).unwrap();
        let answered = Ping::new(Side::B.host(0)).count(3).run(lab.h1()).unwrap();
        assert!(answered.all_answered(), "{answered:?}");

        let capture = Capture::start(lab.gwa(), WAN_INTERFACE, "").unwrap();
        a.kill().unwrap();
        let marker = Marker::random();
        for destination in [Side::B.host(0).into(), std::net::IpAddr::from(Side::B.host6(0))] {
            let ping = lab
                .h1()
                .command("ping")
                .args(["-n", "-c", "20", "-i", "0.05", "-W", "1", "-s", "64", "-p", &marker.hex16()])
                .arg(destination.to_string())
                .run_unchecked()
                .unwrap();
            assert!(ping.stdout.contains(" 0 received"), "{}", ping.stdout);
        }
        let mut capture = capture;
        capture.stop().unwrap();
        assert!(!capture.contains(&marker.bytes()[..16]).unwrap(), "clear traffic on the WAN");
        let source = Side::A.host(0).octets();
        assert!(!capture.contains(&source).unwrap(), "a local host's address on the WAN");
        drop(b);
    }
}

#[test]
fn a_local_host_finds_no_port_of_the_gateway() {
    let pair = Pair::corp(Layout::Combined);
    let ports = "1-1024,8443,9443";
    for address in [Side::A.data(), Side::A.wan()] {
        let report = Scan::tcp(address, ports).run(pair.lab.h1()).unwrap();
        assert_eq!(report.in_state(PortState::Open), [0u16; 0], "open on {address}");
        assert_eq!(report.ports.len(), 1026);
    }
    // On the WAN side the tunnel's port is there, or the scan above proved nothing.
    let wan = Scan::tcp(Side::A.wan(), "8443").run(pair.lab.gwb()).unwrap();
    assert_eq!(wan.state(8443), Some(PortState::Open));
    // Nor does the WAN's address answer a ping from the data side.
    let ping = Ping::new(Side::A.wan()).count(3).wait(Duration::from_millis(300)).run(pair.lab.h1());
    assert!(ping.is_err() || ping.is_ok_and(|report| report.received == 0));
    pair.finish();
}
