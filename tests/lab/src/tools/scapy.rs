//! `scapy`: packets that no ordinary program sends.

use std::time::Duration;

use crate::error::Result;
use crate::namespace::Namespace;
use crate::side::{DATA_INTERFACE, HOST_INTERFACE};
use crate::tools::raw::RawSender;

/// Debian's own interpreter: another one, first in the path, would not see Debian's scapy.
pub(super) const PYTHON: &str = "/usr/bin/python3";
/// Reads the receiver's address and an expression, and sends the packets it stands for, a moment apart.
const SCRIPT: &str = "\
import logging, sys
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.inet import *
from scapy.layers.inet6 import *
from scapy.layers.l2 import *
from scapy.layers.sctp import *
from scapy.packet import Raw
from scapy.sendrecv import sendp
mac, interface, packets = sys.argv[1:]
sendp([Ether(dst=mac) / packet for packet in eval(packets)], iface=interface, inter=0.002, verbose=False)
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
    /// [`crate::LabError::Failed`] with Python's message.
    pub fn send(&self, packets: &str) -> Result<()> {
        let command = self.from.command(PYTHON).args(["-c", SCRIPT, &self.gateway, HOST_INTERFACE, packets]);
        command.timeout(Duration::from_secs(60)).run().map(drop)
    }
}
