//! DNS: `dnsmasq` serves, `dig` asks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::error::Result;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, wait_until_listening};

/// A running `dnsmasq` that knows its records and asks nobody.
#[derive(Debug)]
pub struct Dnsmasq {
    /// Ends with this guard.
    _process: Process,
}

impl Dnsmasq {
    /// Starts it on an address, UDP and TCP, with arguments such as `--host-record=db.example,10.2.0.2` or
    /// `--txt-record=long.example,text`.
    ///
    /// # Errors
    /// [`crate::LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr, records: &[&str]) -> Result<Self> {
        let mut process = namespace
            .command("dnsmasq")
            // One process that keeps its user and writes no file.
            .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"])
            .arg(format!("--listen-address={}", address.ip()))
            .arg(format!("--port={}", address.port()))
            .args(records)
            .spawn()?;
        for transport in [Transport::Udp, Transport::Tcp] {
            wait_until_listening(&mut process, namespace, transport, address)?;
        }
        Ok(Self { _process: process })
    }
}

/// A question by `dig`, without cookies and other options of EDNS.
#[derive(Debug, Clone)]
pub struct Dig {
    server: SocketAddr,
    tcp: bool,
}

impl Dig {
    /// Over UDP. An answer that does not fit into 512 bytes is asked for again over TCP.
    #[must_use]
    pub fn udp(server: SocketAddr) -> Self {
        Self { server, tcp: false }
    }

    /// Over TCP.
    #[must_use]
    pub fn tcp(server: SocketAddr) -> Self {
        Self { server, tcp: true }
    }

    /// The lines of the answer's data; none when the name has none of that type.
    ///
    /// # Errors
    /// [`crate::LabError::Failed`] with dig's own message when there is no answer at all.
    pub fn ask(&self, from: &Namespace, name: &str, kind: &str) -> Result<Vec<String>> {
        let (server, port) = (format!("@{}", self.server.ip()), self.server.port().to_string());
        let transport = if self.tcp { "+tcp" } else { "+notcp" };
        let options = ["+short", "+noedns", "+tries=2", "+time=3", transport];
        let command = from.command("dig").args(["-p", &port, &server, name, kind]).args(options);
        let output = command.timeout(Duration::from_secs(20)).run()?.stdout;
        Ok(output.lines().map(str::to_owned).collect())
    }

    /// The addresses of a name, of one family.
    ///
    /// # Errors
    /// As [`Dig::ask`].
    pub fn address(&self, from: &Namespace, name: &str) -> Result<Vec<IpAddr>> {
        Ok(self.ask(from, name, "A")?.iter().filter_map(|line| line.parse().ok()).collect())
    }
}
