//! `turnserver` as a STUN server, and `turnutils_natdiscovery`: how a NAT behaves (RFC 5780). Both are coturn's.

use std::net::Ipv4Addr;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::try_wait_until;

/// How long the server may take to start, and a discovery to end.
const LIMIT: Duration = Duration::from_secs(30);

/// A running STUN server with an alternate address and port.
#[derive(Debug)]
pub struct StunServer {
    /// Ends with this guard.
    _process: Process,
    /// Its database, which it insists on.
    _dir: TempDir,
}

impl StunServer {
    /// Starts it on ports 3478 and 3479 of two addresses that the namespace has.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not come up.
    pub fn start(namespace: &Namespace, addresses: [Ipv4Addr; 2]) -> Result<Self> {
        let dir = tempfile::tempdir().map_err(LabError::io("create a directory for turnserver"))?;
        let mut command = namespace.command("turnserver").args(["-n", "-S", "-l", "stdout", "--simple-log"]);
        for address in addresses {
            command = command.args(["-L", &address.to_string()]);
        }
        let process = command
            .args(["--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--db"])
            .arg(dir.path().join("db"))
            .arg("--pidfile")
            .arg(dir.path().join("pid"))
            .current_dir(dir.path())
            .spawn()?;
        try_wait_until("turnserver to listen", LIMIT, || {
            let sockets = namespace.run("ss", ["-Hlun"])?.stdout;
            let listens =
                |port| addresses.iter().all(|address| sockets.contains(&format!("{address}:{port} ")));
            Ok((listens(3478) && listens(3479)).then_some(()))
        })?;
        Ok(Self { _process: process, _dir: dir })
    }
}

/// What depends on whom a host behind the NAT talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing.
    EndpointIndependent,
    /// It is the same for all ports of a remote address.
    AddressDependent,
    /// It is another for every remote port.
    AddressAndPortDependent,
}

/// Discovers how the NAT between a client and a [`StunServer`] behaves.
#[derive(Debug, Clone, Copy)]
pub struct NatDiscovery {
    server: Ipv4Addr,
    client: Ipv4Addr,
    port: u16,
}

impl NatDiscovery {
    /// From an address and port of the client.
    #[must_use]
    pub fn new(server: Ipv4Addr, client: Ipv4Addr, port: u16) -> Self {
        Self { server, client, port }
    }

    /// How the port that stands for the client's depends on whom it talks to.
    ///
    /// # Errors
    /// [`LabError::Parse`] with all it said when it comes to no conclusion; likewise below.
    pub fn mapping(&self, from: &Namespace) -> Result<Behaviour> {
        conclusion(&self.run(from, "-m")?, "Mapping")
    }

    /// Who may send to the client once it has talked to the server.
    ///
    /// # Errors
    /// [`LabError::Parse`].
    pub fn filtering(&self, from: &Namespace) -> Result<Behaviour> {
        conclusion(&self.run(from, "-f")?, "Filtering")
    }

    /// Whether the client reaches itself at its own mapped address.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn hairpinning(&self, from: &Namespace) -> Result<bool> {
        Ok(self.run(from, "-H")?.contains("successful hairpinning"))
    }

    fn run(&self, from: &Namespace, what: &str) -> Result<String> {
        let (client, port) = (self.client.to_string(), self.port.to_string());
        let command = from.command("turnutils_natdiscovery").args([what, "-L", &client, "-l", &port]);
        // Its exit code says nothing about its conclusion.
        let output = command.arg(self.server.to_string()).timeout(LIMIT).run_unchecked()?;
        Ok(output.stdout + &output.stderr)
    }
}

/// The last conclusion: the first one, before the alternate address was asked, only tells that there is a NAT.
fn conclusion(output: &str, about: &str) -> Result<Behaviour> {
    let end = format!(" {about}!");
    let line =
        output.lines().rev().find_map(|line| line.trim().strip_prefix("NAT with ")?.strip_suffix(&end));
    match line {
        Some("Endpoint Independent") => Ok(Behaviour::EndpointIndependent),
        Some("Address Dependent") => Ok(Behaviour::AddressDependent),
        Some("Address and Port Dependent") => Ok(Behaviour::AddressAndPortDependent),
        _ => Err(LabError::Parse {
            tool: "turnutils_natdiscovery",
            expected: "a conclusion",
            output: output.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_conclusion_counts() {
        let text = "-= Filtering Behavior Discovery =-\nRFC 5780 response 1\nNo NAT! (Endpoint Independent Mapping)\n\
            NAT with Address Dependent Filtering!\n====\nNAT with Endpoint Independent Filtering!\n====\n";
        assert_eq!(conclusion(text, "Filtering").unwrap(), Behaviour::EndpointIndependent);
        assert!(conclusion(text, "Mapping").is_err());
    }
}
