//! What an idle session costs in memory.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::{Lab, Side};

use super::web::{ANSWER_END, REQUEST};
use crate::contender::{Contender, WEB};
use crate::memory::{resident, sockets};

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
    let programs: u64 = pids.iter().map(|pid| resident(*pid)).sum::<Result<_>>()?;
    let of_side = |side| sockets(lab.gateway(side));
    Ok(programs + Side::BOTH.map(of_side).into_iter().sum::<Result<u64>>()?)
}
