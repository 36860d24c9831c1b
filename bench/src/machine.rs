//! Where a measurement was made.

use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

/// Conditions of a measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    kernel: String,
    commit: String,
    /// Day on which it began, UTC.
    date: String,
    /// What TCP sockets use that do not ask for another one.
    congestion_control: String,
    /// Most bytes of a socket's buffers that a program may ask for.
    rmem_max: String,
    wmem_max: String,
    version: &'static str,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cpu: model.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: setting("kernel/osrelease"),
            commit: said_by(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"])),
            date: said_by(Command::new("date").args(["--utc", "+%F"])),
            congestion_control: setting("net/ipv4/tcp_congestion_control"),
            rmem_max: setting("net/core/rmem_max"),
            wmem_max: setting("net/core/wmem_max"),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A setting of the kernel; nothing of one that it does not have.
fn setting(name: &str) -> String {
    let value = std::fs::read_to_string(std::path::Path::new("/proc/sys").join(name));
    value.unwrap_or_default().trim().to_owned()
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu, cpus, kernel, commit, date, .. } = self;
        write!(f, "{cpu}, {cpus} CPUs, Linux {kernel}, commit {commit}, {date}")
    }
}

/// As many open files as the machine allows, for this process and all that it starts.
pub(crate) fn raise_open_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the limit of open files")
}

/// What a program prints; nothing of one that fails.
pub(crate) fn said_by(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
