//! `scapy`: packets that no ordinary program sends, and what they meet.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::side::{DATA_INTERFACE, HOST_INTERFACE};
use crate::tools::raw::RawSender;

/// Debian's own interpreter: another one, first in the path, would not see Debian's scapy.
const PYTHON: &str = "/usr/bin/python3";
/// Scapy takes seconds to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const IMPORTS: &str = "\
import logging, sys
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.inet import *
from scapy.layers.inet6 import *
from scapy.layers.l2 import *
from scapy.layers.sctp import *
from scapy.packet import Raw
from scapy.sendrecv import sendp, sr1
";
/// Reads the receiver's address and an expression, and sends the packets it stands for, a moment apart.
const SEND: &str = "\
mac, interface, packets = sys.argv[1:]
sendp([Ether(dst=mac) / packet for packet in eval(packets)], iface=interface, inter=0.002, verbose=False)
";
/// Sends the packet that its argument stands for, and says what came back within 3 s.
const ASK: &str = "\
answer = sr1(eval(sys.argv[1]), timeout=3, verbose=False)
if answer is not None and IPerror in answer:
    print(answer.src, answer[ICMP].type, answer[ICMP].code, answer[IPerror].src, answer[IPerror].dst)
";

/// Sends packets from a host to its gateway.
#[derive(Debug)]
pub struct Scapy {
    from: Namespace,
    gateway: String,
}

impl Scapy {
    /// A sender on a host's interface.
    ///
    /// # Errors
    /// As [`RawSender::open`].
    pub fn new(host: &Namespace, gateway: &Namespace) -> Result<Self> {
        let mac = RawSender::open(gateway, DATA_INTERFACE)?.mac().map(|byte| format!("{byte:02x}"));
        Ok(Self { from: host.clone(), gateway: mac.join(":") })
    }

    /// Sends what a Python expression stands for: a list of IP packets, such as
    /// `fragment(IP(src='10.1.0.2', dst='172.16.2.2')/UDP()/Raw(bytes(3000)), 800)[::-1]`. They go out as they are,
    /// in that order; checksums and lengths that the expression leaves open are filled in.
    ///
    /// # Errors
    /// [`LabError::Failed`] with Python's message.
    pub fn send(&self, packets: &str) -> Result<()> {
        run(&self.from, SEND, &[&self.gateway, HOST_INTERFACE, packets]).map(drop)
    }
}

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
    let output = run(from, ASK, &[packet])?;
    if output.trim().is_empty() {
        return Ok(None);
    }
    let unreadable =
        || LabError::Parse { tool: "scapy", expected: "five words about an answer", output: output.clone() };
    parse(&output).map(Some).ok_or_else(unreadable)
}

fn run(from: &Namespace, script: &str, arguments: &[&str]) -> Result<String> {
    let command = from.command(PYTHON).args(["-W", "ignore", "-c", &[IMPORTS, script].concat()]);
    Ok(command.args(arguments).timeout(LIMIT).run()?.stdout)
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
