//! A network namespace of the test's own, with a veth pair in it.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Interface that the program is attached to.
pub(crate) const DATA: &str = "data0";
/// MAC of the data end.
pub(crate) const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// The calling thread enters a namespace of its own, which goes with it, with a veth pair. The data end is up
/// (2 queues), the other end down: nothing is ever received.
///
/// ```text
///   data0 -------- host0
/// ```
pub(crate) fn silent_veth() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace of its own; are we root?");
    sh("ip link add data0 address 02:00:00:00:00:01 numrxqueues 2 numtxqueues 2 type veth peer name host0");
    sh("ip link set data0 up");
}

/// As [`silent_veth`], with the other end up in the namespace of a host:
///
/// ```text
///   data0 10.1.0.1/24, 2001:db8:1::1/64  --------  host0 10.1.0.2/24, 2001:db8:1::2/64; default route: data0
/// ```
pub(crate) fn veth_to_host() -> Host {
    silent_veth();
    let host = Host::new();
    sh("ip addr add 10.1.0.1/24 dev data0 && ip addr add 2001:db8:1::1/64 dev data0 nodad");
    sh(&format!("ip link set host0 netns {}", host.0.id()));
    host.sh("ip addr add 10.1.0.2/24 dev host0 && ip addr add 2001:db8:1::2/64 dev host0 nodad");
    host.sh("ip link set host0 up && ip route add default via 10.1.0.1");
    host.sh("ip -6 route add default via 2001:db8:1::1");
    host
}

/// Another namespace, held by a sleeping process.
pub(crate) struct Host(Child);

impl Host {
    fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().expect("unshare");
        let host = Self(child);
        let ours = fs::read_link("/proc/thread-self/ns/net").expect("our namespace");
        wait_until("the host has its namespace", || {
            fs::read_link(format!("/proc/{}/ns/net", host.0.id())).is_ok_and(|theirs| theirs != ours)
        });
        host
    }

    /// Runs a command line there, and expects success.
    pub(crate) fn sh(&self, line: &str) -> String {
        success(line, &self.try_sh(line))
    }

    /// Starts a program there.
    pub(crate) fn start(&self, line: &str) -> Running {
        let pid = self.0.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-n"]).args(line.split(' ')).stdout(Stdio::piped());
        Running(command.spawn().expect("nsenter"))
    }

    /// Runs a command line there.
    pub(crate) fn try_sh(&self, line: &str) -> Output {
        let pid = self.0.id().to_string();
        Command::new("nsenter").args(["-t", &pid, "-n", "sh", "-c", line]).output().expect("nsenter")
    }
}

/// A program that runs in the namespace of a host.
pub(crate) struct Running(Child);

impl Running {
    /// Interrupts it, and returns what it said.
    pub(crate) fn interrupt(self) -> String {
        let pid = i32::try_from(self.0.id()).expect("a process number");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is ours");
        let output = self.0.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.kill().expect("the sleeper is ours");
        self.0.wait().expect("the sleeper ends");
    }
}

/// Runs a command line in the namespace of the calling thread, and expects success.
pub(crate) fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().expect("a shell");
    success(line, &output)
}

fn success(line: &str, output: &Output) -> String {
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits up to ten seconds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The line of `ip link` about the data end, which names an attached XDP program.
pub(crate) fn data_link() -> String {
    sh("ip -d link show data0")
}
