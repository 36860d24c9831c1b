//! `nmap`: which ports answer, and how.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// What a port looked like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Something listens.
    Open,
    /// Refused: TCP reset, or ICMP port unreachable.
    Closed,
    /// No answer, or an ICMP error of another kind.
    Filtered,
    /// No answer where an open UDP port may well be silent.
    OpenOrFiltered,
}

/// A scan of ports without host discovery, name resolution, or guesses about services.
#[derive(Debug, Clone)]
pub struct Scan {
    target: IpAddr,
    ports: String,
    udp: bool,
}

/// One state for each port asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// By port number.
    pub ports: BTreeMap<u16, PortState>,
}

impl ScanReport {
    /// State of a port; `None` if it was not scanned.
    #[must_use]
    pub fn state(&self, port: u16) -> Option<PortState> {
        self.ports.get(&port).copied()
    }

    /// Ports in that state, ascending.
    #[must_use]
    pub fn in_state(&self, state: PortState) -> Vec<u16> {
        self.ports.iter().filter(|(_, seen)| **seen == state).map(|(port, _)| *port).collect()
    }
}

impl Scan {
    /// TCP SYN scan; `ports` as nmap takes them: `"22,80,8000-8010"`.
    #[must_use]
    pub fn tcp(target: impl Into<IpAddr>, ports: &str) -> Self {
        Self { target: target.into(), ports: ports.to_owned(), udp: false }
    }

    /// UDP scan.
    #[must_use]
    pub fn udp(target: impl Into<IpAddr>, ports: &str) -> Self {
        Self { udp: true, ..Self::tcp(target, ports) }
    }

    /// Scans.
    ///
    /// # Errors
    /// [`LabError::Failed`], [`LabError::Timeout`] after 2 minutes, [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<ScanReport> {
        let mut command = from
            .command("nmap")
            .args(["-Pn", "-n", "-T4", "--max-retries", "1", "-oG", "-", "-p", &self.ports])
            // Rate-limited ICMP errors would have it slow down more and more.
            .args(["--min-rate", "200"])
            // So verbose that nmap lists every port and folds none into "not shown".
            .arg("-ddd")
            .arg(if self.udp { "-sU" } else { "-sS" })
            .timeout(Duration::from_secs(120));
        if self.target.is_ipv6() {
            command = command.arg("-6");
        }
        parse(&command.arg(self.target.to_string()).run()?.stdout)
    }
}

/// Reads the grepable form: `Host: 10.1.0.1 ()⇥Ports: 22/open/tcp//ssh///, 80/closed/tcp//http///⇥…`.
fn parse(stdout: &str) -> Result<ScanReport> {
    let unreadable =
        || LabError::Parse { tool: "nmap", expected: "Ports: N/state/…", output: stdout.to_owned() };
    let list = stdout
        .lines()
        .filter(|line| line.starts_with("Host: "))
        .find_map(|line| line.split('\t').find_map(|field| field.strip_prefix("Ports: ")))
        .ok_or_else(unreadable)?;
    let entry = |text: &str| {
        let mut fields = text.trim().split('/');
        let port = fields.next()?.parse().ok()?;
        let state = match fields.next()? {
            "open" => PortState::Open,
            "closed" => PortState::Closed,
            "filtered" => PortState::Filtered,
            "open|filtered" => PortState::OpenOrFiltered,
            _ => return None,
        };
        Some((port, state))
    };
    let ports = list.split(", ").map(entry).collect::<Option<BTreeMap<_, _>>>().ok_or_else(unreadable)?;
    Ok(ScanReport { ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_grepable_form() {
        let text = "# Nmap 7.93 scan\nHost: 10.1.0.1 ()\tStatus: Up\n\
            Host: 10.1.0.1 ()\tPorts: 22/open/tcp//ssh///, 53/open|filtered/udp//domain///\tIgnored State: x\n";
        let report = parse(text).unwrap();
        assert_eq!(report.state(22), Some(PortState::Open));
        assert_eq!(report.state(53), Some(PortState::OpenOrFiltered));
        assert_eq!(report.in_state(PortState::Closed), Vec::<u16>::new());
    }

    #[test]
    fn an_unknown_state_is_an_error() {
        assert!(parse("Host: 10.1.0.1 ()\tPorts: 22/ajar/tcp//ssh///\n").is_err());
    }
}
