//! Scapy's `sr1`: one packet, and the ICMP error that it meets.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::tools::scapy::PYTHON;

/// Scapy takes seconds to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);
/// Sends the packet that its argument stands for, and says what came back within 3 s.
const SCRIPT: &str = "\
import logging, sys
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.inet import *
from scapy.layers.l2 import *
from scapy.packet import Raw
from scapy.sendrecv import sr1
answer = sr1(eval(sys.argv[1]), timeout=3, verbose=False)
if answer is not None and IPerror in answer:
    print(answer.src, answer[ICMP].type, answer[ICMP].code, answer[IPerror].src, answer[IPerror].dst)
";

/// An ICMP error and what it quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpAnswer {
    /// Who sent it.
    pub from: Ipv4Addr,
    /// ICMP type and code.
    pub kind: (u8, u8),
    /// Source and destination of the packet it is about.
    pub about: (Ipv4Addr, Ipv4Addr),
}

/// Sends what a Python expression stands for, such as `IP(dst='172.16.2.2')/GRE()`, the kernel's way. `None`: no
/// ICMP error came within 3 s.
///
/// # Errors
/// [`LabError::Failed`] with Python's message, [`LabError::Timeout`], [`LabError::Parse`].
pub fn sr1(from: &Namespace, packet: &str) -> Result<Option<IcmpAnswer>> {
    let command = from.command(PYTHON).args(["-W", "ignore", "-c", SCRIPT, packet]);
    let output = command.timeout(LIMIT).run()?.stdout;
    if output.trim().is_empty() {
        return Ok(None);
    }
    let unreadable =
        || LabError::Parse { tool: "scapy", expected: "five words about an answer", output: output.clone() };
    parse(&output).map(Some).ok_or_else(unreadable)
}

fn parse(output: &str) -> Option<IcmpAnswer> {
    let mut words = output.split_whitespace();
    Some(IcmpAnswer {
        from: words.next()?.parse().ok()?,
        kind: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
        about: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_answer() {
        let answer = parse("172.16.2.254 3 13 10.1.0.2 172.16.2.2\n").unwrap();
        assert_eq!((answer.from, answer.kind), ("172.16.2.254".parse().unwrap(), (3, 13)));
        assert_eq!(answer.about.0, Ipv4Addr::new(10, 1, 0, 2));
        assert!(parse("172.16.2.254 3").is_none());
    }
}
