//! What an idle session costs in memory.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{Lab, Side};

use super::web::{ANSWER_END, REQUEST};
use crate::contender::{Contender, WEB};

/// Sessions whose memory is counted.
const MORE: u32 = 1000;
/// Sessions that are there before, so that what a program sets up for its first ones is not counted.
const BEFORE: u32 = 100;
/// Until programs have given back what the making of sessions took.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a session may take to be made.
const ANSWER: Duration = Duration::from_secs(10);

/// KiB of one more idle session, of both ends together: resident set of their programs and memory of their sockets.
/// `None` of the kernel, which has no programs.
///
/// A session counts once h2's web server has answered a request over it; it is then left alone.
pub(super) fn idle_session(lab: &Lab, contender: Contender, pids: &[u32]) -> Result<Option<f64>> {
    if pids.is_empty() {
        return Ok(None);
    }
    let to = SocketAddr::from((contender.target(), WEB));
    let open = |count: u32| -> Result<Vec<TcpStream>> {
        let sessions = lab.h1().enter(|| (0..count).map(|_| session(to)).collect::<io::Result<_>>())?;
        sessions.with_context(|| format!("{count} sessions to {to}"))
    };
    let _first = open(BEFORE)?;
    let before = memory(lab, pids)?;
    let _more = open(MORE)?;
    let after = memory(lab, pids)?;
    Ok(Some((after as f64 - before as f64) / f64::from(MORE) / 1024.0))
}

fn session(to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !answer.ends_with(ANSWER_END) {
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&part[..len]),
        }
    }
    Ok(stream)
}

/// Bytes of the programs and of the sockets in the gateways' namespaces.
fn memory(lab: &Lab, pids: &[u32]) -> Result<u64> {
    std::thread::sleep(SETTLE);
    let mut bytes = 0;
    for pid in pids {
        let file = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        bytes += resident(&status).with_context(|| format!("{file} says nothing of a resident set"))?;
    }
    for side in Side::BOTH {
        let sockets =
            lab.gateway(side).run("ss", ["--no-header", "--oneline", "--tcp", "--all", "--memory"])?;
        bytes += sockets.stdout.lines().filter_map(socket_memory).sum::<u64>();
    }
    Ok(bytes)
}

/// Bytes of `VmRSS` in `/proc/PID/status` (proc(5)).
fn resident(status: &str) -> Option<u64> {
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
        assert_eq!(resident("VmSize:\t  9000 kB\nVmRSS:\t     12 kB\n"), Some(12 << 10));
        assert_eq!(resident("State:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_socket_holds_what_is_in_its_queues() {
        let line = "ESTAB 0 0 10.1.0.1:8080 10.1.0.2:40000 skmem:(r1,rb131072,t2,tb87040,f4,w8,o16,bl32,d64)";
        assert_eq!(socket_memory(line), Some(1 + 4 + 8 + 16 + 32));
        assert_eq!(socket_memory("LISTEN 0 4096 10.1.0.1:8080 0.0.0.0:*"), None);
    }
}
