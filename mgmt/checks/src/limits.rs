//! What this process may do and have; a service's unit file grants the same.

use caps::{CapSet, Capability};
use gridway_config::Config;
use rustix::process::{Resource, getrlimit};

use crate::finding::Finding;

/// Needed to start with a data NIC. Without PERFMON the verifier refuses the steering program, which spills pointers
/// and calculates with them.
const NEEDED: [Capability; 6] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_IPC_LOCK,
    Capability::CAP_NET_BIND_SERVICE,
];
/// Needed to start without one: sockets are all there is.
const NEEDED_FOR_SOCKETS: [Capability; 1] = [Capability::CAP_NET_BIND_SERVICE];
/// Descriptors that a node needs beside those of its sessions.
const DESCRIPTORS: u64 = 1024;
/// Locked memory that counts where it is limited at all: UMEM and rings of one queue, bytes.
const LOCKED: u64 = 64 << 20;

pub(crate) fn capabilities(has_data: bool) -> Finding {
    const ID: &str = "process.capabilities";
    let needed = if has_data { &NEEDED[..] } else { &NEEDED_FOR_SOCKETS };
    let missing: Vec<String> = needed
        .iter()
        .filter(|capability| !caps::has_cap(None, CapSet::Effective, **capability).unwrap_or(false))
        .map(|capability| capability.to_string())
        .collect();
    if missing.is_empty() {
        return Finding::ok(ID, "", "all that a node needs");
    }
    let found = format!("capabilities missing: {}", missing.join(", "));
    Finding::problem(ID, "", found, "run as root, or grant them in the service's unit")
}

/// Descriptors that a node with `sessions` Layer 4 sessions needs.
#[must_use]
pub fn descriptors_wanted(sessions: u32) -> u64 {
    u64::from(sessions) + DESCRIPTORS
}

pub(crate) fn of_service(config: &Config) -> Vec<Finding> {
    let raises = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_RESOURCE).unwrap_or(false);
    // No limit at all is enough.
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let mut findings = vec![descriptors(hard, descriptors_wanted(config.limits.sessions), raises)];
    if config.data.is_some() {
        let locks = caps::has_cap(None, CapSet::Effective, Capability::CAP_IPC_LOCK).unwrap_or(false);
        findings.push(locked_memory(getrlimit(Resource::Memlock).maximum, locks));
    }
    findings
}

fn descriptors(hard: u64, wanted: u64, raises: bool) -> Finding {
    const ID: &str = "limits.descriptors";
    if hard >= wanted || raises {
        return Finding::ok(ID, "", format!("enough for the {wanted} that limits.sessions asks for"));
    }
    Finding::warning(
        ID,
        "",
        format!(
            "{hard} file descriptors, and {wanted} are needed for as many sessions as limits.sessions says"
        ),
        format!("LimitNOFILE={wanted} in the service's unit, or `ulimit -n {wanted}` in this shell"),
    )
}

fn locked_memory(limit: Option<u64>, exempt: bool) -> Finding {
    const ID: &str = "limits.memlock";
    match limit {
        None => Finding::ok(ID, "", "locked memory is not limited"),
        Some(_) if exempt => Finding::ok(ID, "", "CAP_IPC_LOCK: the limit of locked memory does not count"),
        Some(limit) if limit >= LOCKED => Finding::ok(ID, "", format!("{limit} bytes of locked memory")),
        Some(limit) => Finding::problem(
            ID,
            "",
            format!("{limit} bytes may be locked, too few for the frames of AF_XDP"),
            "LimitMEMLOCK=infinity in the service's unit, or `ulimit -l unlimited` in this shell",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn few_descriptors_are_a_warning_unless_the_process_may_raise_them() {
        assert_eq!(descriptors(1024, 17_408, false).status, Status::Warning);
        assert_eq!(descriptors(1024, 17_408, true).status, Status::Ok);
        assert_eq!(descriptors(17_408, 17_408, false).status, Status::Ok);
    }

    #[test]
    fn locked_memory_matters_without_the_capability_only() {
        assert_eq!(locked_memory(Some(8 << 20), false).status, Status::Problem);
        assert_eq!(locked_memory(Some(8 << 20), true).status, Status::Ok);
        assert_eq!(locked_memory(Some(LOCKED), false).status, Status::Ok);
        assert_eq!(locked_memory(None, false).status, Status::Ok);
    }
}
