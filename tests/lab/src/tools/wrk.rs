//! `wrk`: many HTTP connections at once.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// A load by wrk on one path of a web server.
#[derive(Debug, Clone)]
pub struct Wrk {
    url: String,
    connections: u32,
    duration: Duration,
}

/// What wrk counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WrkReport {
    /// Requests that were answered.
    pub requests: u64,
    /// Of them, answered with a status of 400 or above.
    pub refused: u64,
    /// What went wrong with connections.
    pub errors: SocketErrors,
    /// Answered requests a second.
    pub requests_per_second: f64,
}

/// Connections that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketErrors {
    /// Did not come about.
    pub connect: u64,
    /// Were cut while reading.
    pub read: u64,
    /// Were cut while writing.
    pub write: u64,
    /// Answers that took longer than 10 s.
    pub timeout: u64,
}

impl Wrk {
    /// 10 connections for 2 s.
    #[must_use]
    pub fn new(server: SocketAddr, path: &str) -> Self {
        let url = format!("http://{server}{path}");
        Self { url, connections: 10, duration: Duration::from_secs(2) }
    }

    /// How many connections at once.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// How long.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Measures.
    ///
    /// # Errors
    /// [`LabError::Failed`] with wrk's own message, [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<WrkReport> {
        let (connections, seconds) = (self.connections.to_string(), self.duration.as_secs().to_string());
        let command = from
            .command("prlimit")
            .args(["--nofile=16384:", "wrk", "--threads", "1", "--timeout", "10s"])
            .args(["--connections", &connections, "--duration", &seconds, &self.url]);
        let output = command.timeout(self.duration + Duration::from_secs(30)).run()?.stdout;
        read(&output).ok_or(LabError::Parse { tool: "wrk", expected: "its report", output })
    }
}

fn read(output: &str) -> Option<WrkReport> {
    let after = |name: &str| output.lines().find_map(|line| line.trim().strip_prefix(name));
    let requests = output.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let refused = match after("Non-2xx or 3xx responses:") {
        Some(count) => count.trim().parse().ok()?,
        None => 0,
    };
    let errors = match after("Socket errors:") {
        Some(list) => socket_errors(list)?,
        None => SocketErrors::default(),
    };
    let requests_per_second = after("Requests/sec:")?.trim().parse().ok()?;
    Some(WrkReport { requests, refused, errors, requests_per_second })
}

/// `connect 0, read 1, write 0, timeout 0`
fn socket_errors(list: &str) -> Option<SocketErrors> {
    let mut counts = list.split(',').map(|entry| entry.trim().rsplit_once(' ')?.1.parse().ok());
    let mut next = || counts.next().flatten();
    Some(SocketErrors { connect: next()?, read: next()?, write: next()?, timeout: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_errors_is_read() {
        let text = "Running 1s test @ http://10.1.0.1:80/\n  1 threads and 100 connections\n\
            \x20 7130 requests in 1.10s, 5.75MB read\n\
            \x20 Socket errors: connect 1, read 2, write 3, timeout 4\n\
            \x20 Non-2xx or 3xx responses: 5\nRequests/sec:   6479.56\nTransfer/sec:      5.23MB\n";
        let errors = SocketErrors { connect: 1, read: 2, write: 3, timeout: 4 };
        let expected = WrkReport { requests: 7130, refused: 5, errors, requests_per_second: 6479.56 };
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("unable to connect"), None);
    }
}
