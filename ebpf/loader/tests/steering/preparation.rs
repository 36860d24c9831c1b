//! What start-up makes of the NIC, and what it refuses.

use std::fs;

use gridway_steer::{Attach, AttachedMode, SINGLE_BUFFER_MTU, Steer, SteerError};

use crate::common::{
    attach, attach_tc,
    netns::{sh, silent_veth},
};

const SWITCHES: [&str; 3] = [
    "/proc/sys/net/ipv4/conf/data0/forwarding",
    "/proc/sys/net/ipv6/conf/data0/forwarding",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

#[test]
fn switches_forwarding_off_and_leaves_it_so() {
    silent_veth();
    let read = |path: &str| fs::read_to_string(path).expect("a switch");
    for path in SWITCHES {
        fs::write(path, "1\n").expect("a switch");
    }
    for path in SWITCHES {
        assert_eq!(read(path), "1\n", "{path} before");
    }
    let steer = attach(Attach::Native).expect("attach");
    for path in SWITCHES {
        assert_eq!(read(path), "0\n", "{path} while attached");
    }
    drop(steer);
    for path in SWITCHES {
        assert_eq!(read(path), "0\n", "{path} afterwards");
    }
}

#[test]
fn switches_vlan_stripping_off() {
    silent_veth();
    let stripping = || {
        let features = sh("ethtool -k data0");
        let count =
            features.lines().filter(|line| line.starts_with("rx-vlan") && line.contains(": on")).count();
        assert!(features.contains("rx-vlan-offload:"), "{features}");
        count
    };
    assert!(stripping() > 0, "veth strips by default");
    let _steer = attach(Attach::Native).expect("attach");
    assert_eq!(sh("ethtool -k data0 | grep -c 'rx-vlan-offload: off'"), "1\n");
    assert_eq!(sh("ethtool -k data0 | grep -c 'rx-vlan-stag-hw-parse: off'"), "1\n");
}

#[test]
fn refuses_an_mtu_beyond_one_buffer_with_the_number() {
    silent_veth();
    sh(&format!("ip link set data0 mtu {}", SINGLE_BUFFER_MTU + 1));
    for wanted in [Attach::Auto, Attach::Native, Attach::Generic] {
        let error = attach(wanted).expect_err("too large");
        assert!(matches!(error, SteerError::MtuTooLarge { mtu: 3507, .. }), "{error}");
        assert!(error.to_string().contains("3507") && error.to_string().contains("3506"), "{error}");
    }
    sh(&format!("ip link set data0 mtu {SINGLE_BUFFER_MTU} && ip link set host0 mtu {SINGLE_BUFFER_MTU}"));
    let steer = attach(Attach::Native).expect("the largest MTU attaches natively");
    assert_eq!(steer.mtu(), SINGLE_BUFFER_MTU);
}

#[test]
fn xdp_is_refused_when_the_mtu_is_another_one_than_at_the_start() {
    silent_veth();
    sh(&format!("ip link set data0 mtu {}", SINGLE_BUFFER_MTU + 1));
    let mut steer = attach_tc().expect("at the tc hook any frame will do");
    let error = steer.hooks.attach_xdp(Attach::Auto).expect_err("too large");
    assert!(matches!(error, SteerError::MtuTooLarge { mtu: 3507, .. }), "{error}");
    sh("ip link set data0 mtu 1500");
    let error = steer.hooks.attach_xdp(Attach::Auto).expect_err("what was set up for larger ones");
    assert!(matches!(error, SteerError::MtuChanged { mtu: 1500, before: 3507, .. }), "{error}");

    let mut steer = attach_tc().expect("attach");
    sh("ip link set data0 mtu 9000");
    let error = steer.hooks.attach_xdp(Attach::Auto).expect_err("too large by now");
    assert!(matches!(error, SteerError::MtuTooLarge { mtu: 9000, .. }), "{error}");
    assert_eq!(steer.hooks.mode(), Some(AttachedMode::Tc));
}

#[test]
fn refuses_what_is_not_an_ethernet_interface() {
    silent_veth();
    let load = |interface| Steer::load(interface).expect_err("refused");
    for name in ["nowhere0", "", "a-name-that-is-too-long", "../all", "data0\0"] {
        assert!(matches!(load(name), SteerError::UnknownInterface { .. }), "{name:?}: {}", load(name));
    }
    assert!(matches!(load("lo"), SteerError::NotEthernet { hardware_type: 772, .. }));
}
