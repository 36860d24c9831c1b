//! `traceroute`: who answers at which distance.

use std::net::IpAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// Kind of probe packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Echo requests.
    Icmp,
    /// UDP to rising ports from 33434 on.
    Udp,
    /// TCP SYN to a port.
    Tcp(u16),
}

/// A trace with one probe a hop. Defaults: ICMP, 8 hops, 1 s a probe.
#[derive(Debug, Clone)]
pub struct Traceroute {
    destination: IpAddr,
    probe: Probe,
    max_hops: u8,
}

/// What one distance answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Distance, from 1.
    pub ttl: u8,
    /// Who answered; `None` for silence.
    pub address: Option<IpAddr>,
    /// traceroute's mark for an error other than "time exceeded": `!N`, `!H`, `!X`, …
    pub mark: Option<String>,
}

/// Traces with echo requests that may end in silence before the silence is believed.
const ATTEMPTS: u32 = 3;

impl Traceroute {
    /// Traces the way to an address.
    #[must_use]
    pub fn new(destination: impl Into<IpAddr>) -> Self {
        Self { destination: destination.into(), probe: Probe::Icmp, max_hops: 8 }
    }

    /// Kind of probe.
    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// Farthest distance tried.
    #[must_use]
    pub fn max_hops(mut self, hops: u8) -> Self {
        self.max_hops = hops.max(1);
        self
    }

    /// Traces.
    ///
    /// With echo requests all probes share a socket. The kernel queues an ICMP error there before it sets the
    /// socket's error; a traceroute that reads in between finds the error set and nothing queued for ever after, and
    /// takes no reply any more. Such a trace is made again.
    ///
    /// # Errors
    /// [`LabError::Failed`], [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<Vec<Hop>> {
        let is_silent = |hops: &[Hop]| hops.last().is_some_and(|hop| hop.address.is_none());
        let mut hops = self.trace(from)?;
        for _ in 1..ATTEMPTS {
            if !matches!(self.probe, Probe::Icmp) || !is_silent(&hops) {
                break;
            }
            hops = self.trace(from)?;
        }
        Ok(hops)
    }

    fn trace(&self, from: &Namespace) -> Result<Vec<Hop>> {
        let command = from
            .command("traceroute")
            // One probe in flight: the order of answers is the order of hops, and ICMP rate limits stay away.
            .args(["-n", "-q", "1", "-N", "1", "-w", "1", "-m", &self.max_hops.to_string()]);
        let command = match self.probe {
            Probe::Icmp => command.arg("-I"),
            Probe::Udp => command,
            Probe::Tcp(port) => command.args(["-T", "-p", &port.to_string()]),
        };
        let limit = Duration::from_secs(u64::from(self.max_hops) * 2 + 10);
        parse(&command.arg(self.destination.to_string()).timeout(limit).run()?.stdout)
    }
}

/// Reads lines such as ` 2  192.0.2.2  0.280 ms !X` and ` 3  *`.
fn parse(stdout: &str) -> Result<Vec<Hop>> {
    let unreadable =
        || LabError::Parse { tool: "traceroute", expected: "N  ADDRESS  MS ms", output: stdout.to_owned() };
    let hop = |line: &str| {
        let mut words = line.split_whitespace();
        let ttl = words.next()?.parse().ok()?;
        let address = match words.next()? {
            "*" => None,
            text => Some(text.parse().ok()?),
        };
        let mark = words.find(|word| word.starts_with('!')).map(str::to_owned);
        Some(Hop { ttl, address, mark })
    };
    let lines = stdout.lines().filter(|line| !line.starts_with("traceroute to") && !line.trim().is_empty());
    let hops = lines.map(hop).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
    if hops.is_empty() { Err(unreadable()) } else { Ok(hops) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_silence_and_marks() {
        let text = "traceroute to 10.2.0.2 (10.2.0.2), 8 hops max, 60 byte packets\n \
            1  10.1.0.1  0.280 ms\n 2  *\n 3  192.0.2.2  0.5 ms !X\n";
        let hops = parse(text).unwrap();
        assert_eq!(hops[0].address, Some("10.1.0.1".parse().unwrap()));
        assert_eq!(hops[1].address, None);
        assert_eq!(hops[2].mark.as_deref(), Some("!X"));
        assert_eq!(hops[2].ttl, 3);
    }
}
