//! The data side reaches neither what lies behind the kernel nor the kernel's other addresses.

use gridway_steer::{Attach, Fate, SteerError};

use crate::common::{
    OWN, Program, address, attach, attach_tc,
    netns::{Host, sh, veth_to_host},
};

/// Packets that the kernel forwarded, IPv4 and IPv6.
fn forwarded() -> [u64; 2] {
    ["v4", "v6"].map(|counter| {
        let text = sh(&format!("nft list counter inet watch {counter}"));
        let (_, rest) = text.split_once("packets ").expect("a counter");
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    })
}

fn ping_the_wan(host: &Host) {
    for target in ["198.51.100.9", "2001:db8:99::9"] {
        assert!(
            !host.try_sh(&format!("ping -c 2 -i 0.1 -W 0.2 {target}")).status.success(),
            "nobody answers"
        );
    }
}

/// Counts what passes the forward hook, which is behind the kernel's decision to forward.
const NFT_WATCH: &str = "nft 'table inet watch {
    counter v4 {}
    counter v6 {}
    chain forward {
        type filter hook forward priority 0;
        meta nfproto ipv4 counter name v4
        meta nfproto ipv6 counter name v6
    }
}'";

/// ```text
///   host0 ------ data0 [kernel, told to forward] wan0 ------ wan1 (nobody answers)
/// ```
#[test]
fn the_kernel_forwards_nothing_once_start_up_has_run() {
    let host = veth_to_host();
    sh("ip link add wan0 type veth peer name wan1 && ip link set wan0 up && ip link set wan1 up");
    sh("ip addr add 198.51.100.1/24 dev wan0 && ip addr add 2001:db8:99::1/64 dev wan0 nodad");
    for target in ["198.51.100.9", "2001:db8:99::9"] {
        sh(&format!("ip neigh add {target} lladdr 02:00:00:00:00:09 nud permanent dev wan0"));
    }
    sh(NFT_WATCH);
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    ping_the_wan(&host);
    let leaked = forwarded();
    assert!(leaked[0] > 0 && leaked[1] > 0, "the danger is real: {leaked:?}");

    let steer = attach(Attach::Native).expect("attach");
    ping_the_wan(&host);
    assert_eq!(forwarded(), leaked, "while attached");

    drop(steer);
    ping_the_wan(&host);
    assert_eq!(forwarded(), leaked, "after the program is gone");
}

/// Linux answers for any of its addresses on any interface, and to group MACs as well.
#[test]
fn a_host_cannot_reach_the_address_of_another_interface() {
    for (load, nobodys) in [(attach_natively as fn() -> _, Fate::DropNoSocket), (attach_tc, Fate::DropNoVnet)]
    {
        let host = veth_to_host();
        sh("ip link add wan0 type veth peer name wan1 && ip link set wan0 up && ip link set wan1 up");
        sh("ip addr add 198.51.100.1/24 dev wan0");
        host.sh("ip route add 198.51.100.1 dev host0");
        let reaches = |mac: &str| {
            host.sh(&format!("ip neigh replace 198.51.100.1 lladdr {mac} nud permanent dev host0"));
            host.try_sh("ping -c 1 -W 0.5 198.51.100.1").status.success()
        };
        let macs = ["02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"];
        assert!(macs.map(reaches).contains(&true), "the danger is real");
        assert!(reaches(macs[0]) && reaches(macs[1]), "by unicast and by broadcast MAC");

        let mut steer = load().expect("attach");
        steer.set_own_addresses(&OWN.map(address)).expect("own addresses");
        assert_eq!(macs.map(reaches), [false; 3]);
        let counters = steer.counters().expect("counters");
        assert_eq!((counters.get(nobodys), counters.get(Fate::DropGroupUnicast)), (1, 2));
        host.sh("ping -c 1 -W 2 10.1.0.1");
    }
}

fn attach_natively() -> Result<Program, SteerError> {
    attach(Attach::Native)
}
