//! The laboratory comes up as drawn.

use std::time::Duration;

use gridway_lab::tools::Traceroute;
use gridway_lab::{DATA_INTERFACE, HOST_INTERFACE, Lab, Ping, Side, WAN_INTERFACE};

#[test]
fn hosts_reach_their_gateway_and_no_further_without_forwarding() {
    let lab = Lab::new().unwrap();
    for side in Side::BOTH {
        let host = lab.host(side, 0);
        assert!(Ping::new(side.data()).run(host).unwrap().all_answered());
        assert!(Ping::new(side.data6()).run(host).unwrap().all_answered());
        let far =
            Ping::new(side.other().host(0)).count(2).wait(Duration::from_millis(200)).run(host).unwrap();
        assert_eq!(far.received, 0, "a gateway forwards although nothing told it to");
    }
    assert!(Ping::new(Side::B.wan()).run(lab.gwa()).unwrap().all_answered());
    assert!(Ping::new(Side::A.wan6()).run(lab.gwb()).unwrap().all_answered());
}

#[test]
fn kernel_forwarding_connects_the_sides_in_both_families_until_it_is_turned_off() {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    assert!(Ping::new(Side::B.host(0)).run(lab.h1()).unwrap().all_answered());
    assert!(Ping::new(Side::A.host6(0)).run(lab.h2()).unwrap().all_answered());
    let hops = Traceroute::new(Side::B.host(0)).run(lab.h1()).unwrap();
    let seen: Vec<_> = hops.iter().map(|hop| hop.address.unwrap().to_string()).collect();
    assert_eq!(seen, ["10.1.0.1", "192.0.2.2", "10.2.0.2"]);

    for gateway in [lab.gwa(), lab.gwb()] {
        assert_eq!(
            gateway.run("nft", ["list", "ruleset"]).unwrap().stdout,
            "",
            "the baseline has no nftables"
        );
    }

    lab.kernel_forwarding(false).unwrap();
    let off = Ping::new(Side::B.host(0)).count(2).wait(Duration::from_millis(200)).run(lab.h1()).unwrap();
    assert_eq!(off.received, 0);
}

#[test]
fn data_links_are_wire_like_with_the_queues_asked_for_and_the_wan_keeps_its_offloads() {
    let lab = Lab::builder().queues(4).data_mtu(1400).build().unwrap();
    let features = |namespace: &gridway_lab::Namespace, interface| {
        namespace.run("ethtool", ["-k", interface]).unwrap().stdout
    };
    for (namespace, interface) in [(lab.gwa(), DATA_INTERFACE), (lab.h1(), HOST_INTERFACE)] {
        let shown = features(namespace, interface);
        for feature in [
            "tx-checksumming",
            "tcp-segmentation-offload",
            "generic-segmentation-offload",
            "generic-receive-offload",
        ] {
            assert!(shown.contains(&format!("{feature}: off")), "{feature} of {interface}: {shown}");
        }
        // The namespace's own /sys: the machine's would not know these interfaces.
        let queues = namespace.run("ls", [format!("/sys/class/net/{interface}/queues")]).unwrap().stdout;
        assert_eq!(queues.lines().filter(|name| name.starts_with("rx-")).count(), 4, "{queues}");
        assert_eq!(queues.lines().filter(|name| name.starts_with("tx-")).count(), 4, "{queues}");
        let mtu = namespace.run("cat", [format!("/sys/class/net/{interface}/mtu")]).unwrap().stdout;
        assert_eq!(mtu.trim(), "1400");
    }
    let wan = features(lab.gwa(), WAN_INTERFACE);
    assert!(wan.contains("tcp-segmentation-offload: on"), "{wan}");
}

#[test]
fn several_hosts_of_a_side_reach_each_other_and_their_gateway_through_a_switch() {
    let lab = Lab::builder().hosts(Side::A, 3).build().unwrap();
    lab.kernel_forwarding(true).unwrap();
    let last = lab.host(Side::A, 2);
    for target in [Side::A.host(0), Side::A.host(1), Side::A.data(), Side::B.host(0)] {
        let report = Ping::new(target).run(last).unwrap();
        assert!(report.all_answered(), "{target}: {report:?}");
    }
    assert!(Ping::new(Side::A.host6(0)).run(last).unwrap().all_answered());
}

#[test]
fn a_laboratory_without_hosts_is_refused() {
    let error = Lab::builder().hosts(Side::B, 0).build().unwrap_err();
    assert!(error.to_string().contains("not 0"), "{error}");
}
