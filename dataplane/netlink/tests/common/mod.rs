//! A network namespace per test, with the interface under test and a live far end:
//!
//! ```text
//!  near namespace (this thread)          far namespace
//!    data0 10.0.0.1/24, 2001:db8::1/64 ---- far0 10.0.0.2/24, 2001:db8::2/64
//!    other0 10.1.0.1/24                ---- far1
//! ```

#![expect(dead_code, unreachable_pub, reason = "shared by several test programs, each using a part")]
#![expect(clippy::unwrap_used, reason = "only tests use this")]

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gridway_netlink::{Snapshot, Via, Watcher};
use ipnet::IpNet;
use nix::sched::{CloneFlags, setns, unshare};

pub struct Net {
    near: File,
    far: File,
}

impl Net {
    pub fn new() -> Self {
        let far = namespace();
        let near = namespace();
        let net = Self { near, far };
        let far_path = format!("/proc/{}/fd/{}", std::process::id(), net.far.as_raw_fd());
        ip("link set lo up");
        ip(&format!("link add data0 type veth peer name far0 netns {far_path}"));
        ip(&format!("link add other0 type veth peer name far1 netns {far_path}"));
        net.far(|| {
            ip("link set far0 up");
            ip("link set far1 up");
            ip("address add 10.0.0.2/24 dev far0");
            ip("address add 2001:db8::2/64 dev far0 nodad");
        });
        ip("link set data0 up");
        ip("link set other0 up");
        ip("address add 10.0.0.1/24 dev data0");
        ip("address add 2001:db8::1/64 dev data0 nodad");
        ip("address add 10.1.0.1/24 dev other0");
        net
    }

    /// Does something in the far namespace.
    pub fn far(&self, act: impl FnOnce()) {
        setns(&self.far, CloneFlags::CLONE_NEWNET).unwrap();
        act();
        setns(&self.near, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// The MAC address of an interface of the far namespace.
    pub fn far_mac(&self, interface: &str) -> [u8; 6] {
        let mut shown = String::new();
        self.far(|| shown = ip(&format!("-o link show dev {interface}")));
        let text = shown.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }
}

/// Moves this thread into a new network namespace.
fn namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Runs ip(8) in this thread's namespace.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs many ip(8) commands in one process.
pub fn ip_batch(commands: impl Iterator<Item = String>) {
    use std::io::Write;
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(commands.collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Sets a network sysctl of this thread's namespace.
pub fn sysctl(path: &str, value: &str) {
    let status = Command::new("sysctl").args(["-qw", &format!("{path}={value}")]).status().unwrap();
    assert!(status.success(), "sysctl {path}={value}");
}

/// Waits until the snapshot is as wanted.
pub fn until(watcher: &mut Watcher, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let snapshot = watcher.snapshot();
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "not as wanted: {snapshot:#?}");
        watcher.wait(Duration::from_millis(500)).unwrap();
    }
}

/// Follows changes until none comes for a while.
pub fn settle(watcher: &mut Watcher) -> Snapshot {
    while watcher.wait(Duration::from_millis(100)).unwrap() {}
    watcher.snapshot()
}

/// All routes to a prefix: metric, and where they lead.
pub fn routes(snapshot: &Snapshot, prefix: &str) -> Vec<(u32, Via)> {
    let prefix: IpNet = prefix.parse().unwrap();
    snapshot.routes.iter().filter(|route| route.0 == prefix).map(|route| (route.1, route.2)).collect()
}

/// The MAC address of a neighbour.
pub fn neighbour(snapshot: &Snapshot, wanted: &str) -> Option<[u8; 6]> {
    let wanted = address(wanted);
    snapshot.neighbours.iter().find(|(address, _)| *address == wanted).map(|(_, mac)| *mac)
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn router(text: &str) -> Via {
    Via::Router(address(text))
}
