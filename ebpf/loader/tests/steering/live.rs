//! The program on a veth pair with a host at the other end.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use aya::programs::loaded_programs;
use gridway_steer::{Attach, AttachedMode, Fate, SteerError};

use crate::common::{
    OWN, address, attach, load,
    netns::{DATA, MAC, data_link, sh, silent_veth, veth_to_host, wait_until},
};

#[test]
fn attaches_in_native_mode() {
    silent_veth();
    for wanted in [Attach::Auto, Attach::Native] {
        let steer = attach(wanted).expect("attach");
        assert_eq!(steer.hooks.mode(), Some(AttachedMode::Native));
        assert!(data_link().contains(" xdp "), "driver mode: {}", data_link());
    }
    wait_until("the program goes with its owner", || !data_link().contains("xdp"));
}

#[test]
fn attaches_in_generic_mode() {
    silent_veth();
    let steer = attach(Attach::Generic).expect("attach");
    assert_eq!(steer.hooks.mode(), Some(AttachedMode::Generic));
    assert!(data_link().contains(" xdpgeneric "), "generic mode: {}", data_link());
}

#[test]
fn falls_back_to_generic_mode_where_native_is_refused() {
    silent_veth();
    // veth refuses native XDP while its peer may send what does not fit one buffer.
    sh("ip link set host0 mtu 9000");
    let error = attach(Attach::Native).expect_err("native mode is refused").to_string();
    assert!(error.contains("3506") && error.contains("MTU 1500"), "{error}");
    assert_eq!(attach(Attach::Auto).expect("attach").hooks.mode(), Some(AttachedMode::Generic));
}

#[test]
fn refuses_to_displace_another_program() {
    silent_veth();
    let _first = attach(Attach::Native).expect("attach");
    for wanted in [Attach::Auto, Attach::Native, Attach::Generic] {
        let error = attach(wanted).expect_err("occupied");
        assert!(matches!(error, SteerError::Attach { .. }));
        assert!(error.to_string().contains("another XDP program"), "{error}");
    }
}

#[test]
fn the_program_is_gone_when_the_process_is_killed() {
    silent_veth();
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_gridway-steer-watch"))
        .arg(DATA)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the watcher");
    let mut line = String::new();
    BufReader::new(watcher.stdout.take().expect("piped")).read_line(&mut line).expect("its first line");
    assert_eq!(line, "attached to data0 in native mode, MTU 1500\n");
    assert!(data_link().contains("xdp"), "{}", data_link());

    watcher.kill().expect("SIGKILL");
    watcher.wait().expect("it ends");
    wait_until("the program goes with the process", || !data_link().contains("xdp"));
    assert_eq!(sh("cat /proc/sys/net/ipv4/conf/data0/forwarding"), "0\n");
}

#[test]
fn counts_what_a_real_host_sends() {
    for mode in [Attach::Native, Attach::Generic] {
        let host = veth_to_host();
        let mut steer = attach(mode).expect("attach");
        steer.set_own_addresses(&OWN.map(address)).expect("own addresses");
        steer.set_proxied(&["10.1.0.128/25".parse().expect("a prefix")]).expect("proxied");

        host.sh("ping -c 3 -i 0.1 -W 2 10.1.0.1");
        host.sh("ping -c 3 -i 0.1 -W 2 2001:db8:1::1");
        // No socket: a remote destination, and the question for a proxied neighbour.
        assert!(!host.try_sh("ping -c 2 -i 0.1 -W 0.2 198.51.100.9").status.success());
        let before = steer.counters().expect("counters");
        assert!(before.get(Fate::ToKernelArp) >= 1, "{mode:?}: {before:?}");
        assert!(before.get(Fate::ToKernelNeighbourDiscovery) >= 1, "{mode:?}: {before:?}");
        assert!(before.get(Fate::ToKernelOwnAddress) >= 6, "{mode:?}: {before:?}");
        assert!(before.get(Fate::DropNoSocket) >= 2, "{mode:?}: {before:?}");
        assert_eq!(before.total(), before.iter().map(|(_, frames)| frames).sum::<u64>());

        assert!(!host.try_sh("ping -c 1 -W 0.2 10.1.0.200").status.success());
        let after = steer.counters().expect("counters");
        assert!(after.get(Fate::DropNoSocket) > before.get(Fate::DropNoSocket), "{mode:?}: the proxied ARP");
        let cpus: u64 = after.per_cpu(Fate::ToKernelOwnAddress).iter().sum();
        assert_eq!(cpus, after.get(Fate::ToKernelOwnAddress));
    }
}

#[test]
fn follows_a_change_of_the_mac() {
    let host = veth_to_host();
    let mut steer = attach(Attach::Native).expect("attach");
    steer.set_own_addresses(&OWN.map(address)).expect("own addresses");
    assert_eq!(steer.mac(), MAC);
    assert_eq!(steer.ifindex().to_string(), sh("ip -o link show data0 | cut -d: -f1").trim());

    sh("ip link set data0 address 02:00:00:00:00:77");
    host.sh("ip neigh flush all");
    assert!(!host.try_sh("ping -c 1 -W 0.3 10.1.0.1").status.success());
    assert!(steer.counters().expect("counters").get(Fate::DropForeignMac) >= 1);

    assert_eq!(steer.refresh_mac().expect("refresh"), [2, 0, 0, 0, 0, 0x77]);
    host.sh("ping -c 1 -W 2 10.1.0.1");
}

/// Kernels follow a million instructions at most, and differ in how many they need.
#[test]
fn the_verifier_is_far_from_its_limit() {
    silent_veth();
    let _loaded = load();
    let mut followed = Vec::new();
    for program in loaded_programs().flatten() {
        let name = program.name_as_str().unwrap_or_default();
        if name.starts_with("gridway_steer") {
            followed.push(program.verified_instruction_count().expect("Linux 5.16 tells"));
        }
    }
    assert!(followed.len() >= 2 && followed.iter().all(|&count| count < 60_000), "{followed:?}");
}
