//! The kernel: its version, and what it was built with.

use crate::finding::Finding;
use crate::system::System;

/// Oldest kernel that has what the data path needs.
const OLDEST: (u32, u32) = (6, 1);

/// Oldest kernel that takes the steering program at the ingress of tc by a link (TCX).
const OLDEST_WITH_TCX: (u32, u32) = (6, 6);

pub(crate) fn version() -> Finding {
    judge_version(&release())
}

/// Whether the steering program can be elsewhere than at the XDP hook.
pub(crate) fn has_tcx() -> bool {
    numbers(&release()) >= OLDEST_WITH_TCX
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Major and minor number; zero where there are none.
fn numbers(release: &str) -> (u32, u32) {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn judge_version(release: &str) -> Finding {
    const ID: &str = "kernel.version";
    if numbers(release) < OLDEST {
        let (major, minor) = OLDEST;
        let found = format!("kernel {release} is too old for AF_XDP as it is used here");
        return Finding::problem(ID, "", found, format!("install {major}.{minor} or newer"));
    }
    Finding::ok(ID, "", format!("Linux {release}"))
}

pub(crate) fn features(system: &System) -> Vec<Finding> {
    vec![jit(system), types(system), congestion_control(system)]
}

fn jit(system: &System) -> Finding {
    const ID: &str = "kernel.bpf_jit";
    match system.sysctl("net.core.bpf_jit_enable", "").as_deref() {
        Some("0") => Finding::warning(
            ID,
            "",
            "the steering program is interpreted, which costs several times as much for every frame",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::ok(ID, "", "BPF programs are compiled"),
        // Kernels without the switch always compile.
        None => Finding::ok(ID, "", "BPF programs are compiled; there is no switch"),
    }
}

fn types(system: &System) -> Finding {
    const ID: &str = "kernel.btf";
    if system.exists("/sys/kernel/btf/vmlinux") {
        return Finding::ok(ID, "", "the kernel describes its types");
    }
    Finding::warning(
        ID,
        "",
        "the kernel does not describe its types: the node works, tools such as bpftool show less of it",
        "use a kernel with CONFIG_DEBUG_INFO_BTF, as those of distributions are",
    )
}

fn congestion_control(system: &System) -> Finding {
    const ID: &str = "kernel.bbr";
    let available = system.sysctl("net.ipv4.tcp_available_congestion_control", "").unwrap_or_default();
    if available.split_whitespace().any(|name| name == "bbr") {
        return Finding::ok(ID, "", "tunnels use BBR");
    }
    Finding::warning(
        ID,
        "",
        format!("BBR is not loaded (there is: {available}): tunnels over lossy lines are slower"),
        "modprobe tcp_bbr; to have it after a restart: echo tcp_bbr > /etc/modules-load.d/gridway.conf",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn kernels_older_than_6_1_are_a_problem() {
        for (release, status) in [
            ("6.1.0-28-amd64", Status::Ok),
            ("6.18.5", Status::Ok),
            ("7.0-rc1", Status::Ok),
            ("6.0.19", Status::Problem),
            ("5.15.0-generic", Status::Problem),
            ("unknown", Status::Problem),
        ] {
            assert_eq!(judge_version(release).status, status, "{release}");
        }
    }

    #[test]
    fn an_interpreted_program_and_a_missing_bbr_are_warned_of() {
        let root = tempfile::tempdir().unwrap();
        let system = System::below(root.path());
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/sys/net/core/bpf_jit_enable", "0\n");
        write("proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic\n");
        assert!(features(&system).iter().all(|finding| finding.status == Status::Warning));
        write("proc/sys/net/core/bpf_jit_enable", "1\n");
        write("proc/sys/net/ipv4/tcp_available_congestion_control", "reno bbr cubic\n");
        write("sys/kernel/btf/vmlinux", "");
        assert!(features(&system).iter().all(|finding| finding.status == Status::Ok));
    }
}
