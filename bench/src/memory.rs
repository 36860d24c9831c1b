//! What programs and sockets hold in memory.

use anyhow::{Context, Result};
use gridway_lab::Namespace;

/// Bytes of a program's resident set.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    resident_in(&status).with_context(|| format!("{file} says nothing of a resident set"))
}

/// Bytes that the TCP sockets of a namespace hold.
pub(crate) fn sockets(namespace: &Namespace) -> Result<u64> {
    let sockets = namespace.run("ss", ["--no-header", "--oneline", "--tcp", "--all", "--memory"])?;
    Ok(sockets.stdout.lines().filter_map(socket_memory).sum())
}

/// Bytes of `VmRSS` in `/proc/PID/status` (proc(5)).
fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Bytes that a socket holds, from a line of `ss --memory` (ss(8)): received (r), forward allocation (f), queued to be
/// sent (w), options (o) and backlog (bl). The rest of `skmem` are limits, drops, and what is queued below the socket
/// and already in w.
fn socket_memory(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("skmem:(")?;
    let fields = rest.split_once(')')?.0.split(',');
    let value = |field: &str| {
        let name = field.trim_end_matches(|c: char| c.is_ascii_digit());
        let held = ["r", "f", "w", "o", "bl"].contains(&name);
        held.then(|| field[name.len()..].parse::<u64>().ok()).flatten()
    };
    Some(fields.filter_map(value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_sets_are_kibibytes() {
        assert_eq!(resident_in("VmSize:\t  9000 kB\nVmRSS:\t     12 kB\n"), Some(12 << 10));
        assert_eq!(resident_in("State:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_socket_holds_what_is_in_its_queues() {
        let line = "ESTAB 0 0 10.1.0.1:8080 10.1.0.2:40000 skmem:(r1,rb131072,t2,tb87040,f4,w8,o16,bl32,d64)";
        assert_eq!(socket_memory(line), Some(1 + 4 + 8 + 16 + 32));
        assert_eq!(socket_memory("LISTEN 0 4096 10.1.0.1:8080 0.0.0.0:*"), None);
    }
}
