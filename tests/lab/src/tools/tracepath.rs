//! `tracepath` (iputils): the path MTU, found as an ordinary program would find it.

use std::net::IpAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// What it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracepath {
    /// Largest packet that reaches the destination whole, in bytes.
    pub mtu: u32,
    /// Distance of the destination.
    pub hops: u32,
}

/// Finds the path MTU to an address that answers UDP with "port unreachable".
///
/// # Errors
/// [`LabError::Failed`], [`LabError::Timeout`], [`LabError::Parse`] when the destination was not reached.
pub fn tracepath(from: &Namespace, to: impl Into<IpAddr>) -> Result<Tracepath> {
    let command = from.command("tracepath").args(["-n", "-m", "8", &to.into().to_string()]);
    let stdout = command.timeout(Duration::from_secs(60)).run()?.stdout;
    parse(&stdout).ok_or(LabError::Parse {
        tool: "tracepath",
        expected: "Resume: pmtu N hops M",
        output: stdout,
    })
}

/// Reads the last line, `     Resume: pmtu 1300 hops 3 back 3 `.
fn parse(stdout: &str) -> Option<Tracepath> {
    let mut words = stdout.lines().rev().find(|line| line.trim().starts_with("Resume:"))?.split_whitespace();
    let mut number = |label| {
        words.find(|word| *word == label)?;
        words.next()?.parse().ok()
    };
    Some(Tracepath { mtu: number("pmtu")?, hops: number("hops")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_summary_and_refuses_one_without_hops() {
        let reached = " 1?: [LOCALHOST]    pmtu 1500\n 3:  172.16.2.2   0.3ms reached\n     Resume: pmtu 1300 hops 3 back 3 \n";
        assert_eq!(parse(reached), Some(Tracepath { mtu: 1300, hops: 3 }));
        assert_eq!(parse("     Too many hops: pmtu 1500\n     Resume: pmtu 1500 \n"), None);
    }
}
