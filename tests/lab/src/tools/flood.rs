//! `hping3`: more SYNs than anybody wants.

use std::net::IpAddr;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;

/// How long hping3 may take to end.
const LIMIT: Duration = Duration::from_secs(10);

/// A running flood of TCP SYNs, each from another random source.
#[derive(Debug)]
pub struct SynFlood {
    process: Process,
}

impl SynFlood {
    /// Starts it as fast as the generator can.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn start(from: &Namespace, target: impl Into<IpAddr>, port: u16) -> Result<Self> {
        Self::paced(from, target, port, &["--flood"])
    }

    /// Starts one that leaves a pause between two packets.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn with_pause(
        from: &Namespace,
        target: impl Into<IpAddr>,
        port: u16,
        pause: Duration,
    ) -> Result<Self> {
        Self::paced(from, target, port, &["-i", &format!("u{}", pause.as_micros())])
    }

    fn paced(from: &Namespace, target: impl Into<IpAddr>, port: u16, pace: &[&str]) -> Result<Self> {
        let process = from
            .command("hping3")
            .args(pace)
            .args(["--rand-source", "--syn", "--numeric", "--quiet"])
            .args(["--destport", &port.to_string(), &target.into().to_string()])
            .spawn()?;
        Ok(Self { process })
    }

    /// Ends it and returns how many packets it sent.
    ///
    /// # Errors
    /// [`LabError::Parse`], [`LabError::Timeout`].
    pub fn stop(mut self) -> Result<u64> {
        // It counts at an interruption, and not at its termination.
        self.process.signal(Signal::SIGINT)?;
        self.process.wait(LIMIT)?;
        let said = self.process.stdout().text()? + &self.process.stderr().text()?;
        parse(&said)
    }
}

/// `1234 packets transmitted, 0 packets received, 100% packet loss`.
fn parse(said: &str) -> Result<u64> {
    said.lines().find_map(|line| line.split_once(" packets transmitted")?.0.trim().parse().ok()).ok_or_else(
        || LabError::Parse { tool: "hping3", expected: "N packets transmitted", output: said.to_owned() },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_count() {
        let text = "--- 10.2.0.2 hping statistic ---\n\
            91843 packets transmitted, 0 packets received, 100% packet loss\n";
        assert_eq!(parse(text).unwrap(), 91_843);
        assert!(parse("hping in flood mode, no replies will be shown").is_err());
    }
}
