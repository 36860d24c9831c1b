//! The data plane as a service: confined as its unit file says, and watched.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gridway_control::{Proposal, Request};
use gridway_e2e::layer4::{near, published, target};
use gridway_e2e::unit::Unit;
use gridway_e2e::{LIMIT, Layout, configs};
use gridway_lab::gateway::{Gateway, Pki, vnets};
use gridway_lab::tools::echo_tcp;
use gridway_lab::{EchoServer, Lab, Ping, Side, wait_until};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd/gridway@.service")
}

#[test]
fn the_data_plane_does_all_its_work_within_what_its_unit_leaves_it() {
    let lab = Lab::new().unwrap();
    // So that a node has to write what the unit leaves writable.
    lab.kernel_forwarding(true).unwrap();
    let pki = Pki::of(&lab).unwrap();
    let with_service = |side| vnets::corp(side) + &published("tcp", 7000)(side);
    let [a, b] = configs(Layout::Combined, with_service);
    // The name needs the system's resolver; nobody answers there.
    let configs = [a.peer("gw-x", &["localhost:9"]), b];
    let [mut a, mut b] = Side::BOTH.map(|side| {
        let config = configs[side.index()].clone();
        let mut node = Gateway::prepare(&lab, side, &pki, config).unwrap();
        let (confined, unit) = (Path::new(env!("CARGO_BIN_EXE_gridway-confined")), unit());
        node.start_through([confined, &unit, lab.path()]);
        node.start().unwrap();
        node
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", a.pid().unwrap())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    assert_eq!(
        (field("Seccomp:"), field("NoNewPrivs:"), field("Gid:")),
        (Some("2"), Some("1"), Some("4242\t4242\t4242\t4242"))
    );

    for (node, peer) in [(&a, "gw-b"), (&b, "gw-a")] {
        node.wait_peer_up(peer, LIMIT).unwrap();
        node.wait_streams_up(peer, LIMIT).unwrap();
    }
    let report = Ping::new(vnets::outside_host(Side::B, 0)).count(5).run(lab.h1()).unwrap();
    assert_eq!(report.received, 5, "{report:?}");
    let server = EchoServer::tcp(lab.h2(), target(7000)).unwrap();
    assert_eq!(echo_tcp(lab.h1(), near(7000), b"hello", LIMIT).unwrap(), b"hello");
    drop(server);
    wait_until("the resolver's answer", LIMIT, || a.log().ok()?.contains("gw-x").then_some(())).unwrap();

    assert_eq!(a.reload().unwrap(), None);
    // The file is the group root's, which the node is not in: a change is saved all the same.
    let toml = std::fs::read_to_string(a.config_path()).unwrap() + "\n# changed\n";
    let change = Proposal { toml: toml.clone(), confirm_within_s: Some(30), base: None, by: None };
    a.ask(&Request::Apply(change)).unwrap();
    a.ask(&Request::Confirm { digest: None, by: None }).unwrap();
    assert_eq!(std::fs::read_to_string(a.config_path()).unwrap(), toml);
    a.stop().unwrap();
    b.stop().unwrap();
}

#[test]
fn the_unit_leaves_no_system_call_that_changes_the_machine() {
    let allowed = Unit::read(&unit()).system_calls();
    for call in ["bpf", "capset", "socket", "mmap"] {
        assert!(allowed.contains(call), "{call}");
    }
    for call in [
        "mount",
        "reboot",
        "init_module",
        "ptrace",
        "setuid",
        "swapon",
        "kexec_load",
        "keyctl",
        "clock_settime",
    ] {
        assert!(!allowed.contains(call), "{call}");
    }
}

/// The thread of a node with that name.
fn thread(node: &Gateway, name: &str) -> Pid {
    let tasks = format!("/proc/{}/task", node.pid().unwrap());
    let mut tasks = std::fs::read_dir(tasks).unwrap().flatten().map(|entry| entry.path());
    let task = tasks.find(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == name);
    Pid::from_raw(task.unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap())
}

#[test]
fn signs_of_life_end_when_one_worker_stands_still_and_come_back_with_it() {
    let lab = Lab::builder().queues(2).build().unwrap();
    let [config, _] = configs(Layout::Separate, vnets::corp);
    let mut node = Gateway::prepare(&lab, Side::A, &Pki::of(&lab).unwrap(), config).unwrap();
    node.start_through(["env", "WATCHDOG_USEC=1500000"]);
    node.start().unwrap();
    let alive = || node.announced("WATCHDOG=1").unwrap();
    for _ in 0..3 {
        wait_until("a sign of life", LIMIT, || alive().then_some(())).unwrap();
    }

    let worker = thread(&node, "worker-1");
    ptrace::seize(worker, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(worker).unwrap();
    waitpid(worker, Some(WaitPidFlag::__WALL)).unwrap();
    wait_until("a word in the log", LIMIT, || node.log().ok()?.contains("stands still").then_some(()))
        .unwrap();
    alive();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert!(!alive(), "a node with a worker that stands still says that it is alive");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The rest of the node goes on.
    assert_eq!(node.status().unwrap().workers.len(), 3);

    ptrace::detach(worker, None).unwrap();
    wait_until("a sign of life", LIMIT, || alive().then_some(())).unwrap();
    node.stop().unwrap();
}
