//! A web server on h2, and `wrk` on h1 that asks it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gridway_lab::{Lab, Process, Side, wait_until};
use serde::Serialize;

use crate::contender::{Contender, WEB};

/// A request as it is sent where `wrk` is not the client.
pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h2\r\n\r\n";
/// The last bytes of the answer.
pub(super) const ANSWER_END: &[u8] = b"\r\n\r\nok\n";

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(10);
/// What `wrk` takes more than it was told to.
const SLACK: Duration = Duration::from_secs(30);

/// nginx with one worker, which is its only process. No connection ends by its own rules while it is measured.
const CONFIGURATION: &str = r#"
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  server {
    listen LISTEN backlog=4096;
    location / { return 200 "ok\n"; }
  }
}
"#;

/// A running nginx on h2.
pub(super) struct WebServer {
    /// Ends with this guard.
    _process: Process,
}

impl WebServer {
    pub(super) fn start(lab: &Lab) -> Result<Self> {
        let address = SocketAddr::from((Side::B.host(0), WEB));
        let directory = lab.path().display().to_string();
        let file = lab.path().join("nginx.conf");
        std::fs::write(&file, CONFIGURATION.replace("LISTEN", &address.to_string()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let server = lab.h2().command("nginx").args(["-p", &directory, "-c", "nginx.conf"]);
        let process = server.spawn().context("cannot start nginx")?;
        let listens = || lab.h2().enter(|| std::net::TcpStream::connect(address)).ok()?.ok();
        wait_until("nginx listens", START, listens)
            .with_context(|| process.stderr().text().unwrap_or_default())?;
        Ok(Self { _process: process })
    }
}

/// What `wrk` counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Requests {
    pub(super) per_second: f64,
    /// Connections that could not be made or broke, requests that were not answered in time or not well.
    pub(super) errors: u64,
}

impl std::fmt::Display for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} requests/s ({} errors)", self.per_second, self.errors)
    }
}

/// A measurement by `wrk`, with one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrk {
    contender: Contender,
    duration: Duration,
    connections: u32,
    closing: bool,
}

impl Wrk {
    pub(super) fn new(contender: Contender, duration: Duration) -> Self {
        Self { contender, duration, connections: 1, closing: false }
    }

    /// Connections at once.
    pub(super) fn connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// A connection ends with its first answer.
    pub(super) fn closing(self) -> Self {
        Self { closing: true, ..self }
    }

    pub(super) fn run(self, lab: &Lab) -> Result<Requests> {
        let [connections, seconds] =
            [u64::from(self.connections), self.duration.as_secs()].map(|number| number.to_string());
        let mut command =
            lab.h1().command("wrk").args(["-t", "1", "-c", &connections, "-d", &seconds, "--timeout", "5"]);
        if self.closing {
            command = command.args(["-H", "Connection: close"]);
        }
        let url = format!("http://{}:{WEB}/", self.contender.target());
        let said = command.arg(url).timeout(self.duration + SLACK).run()?.stdout;
        let requests = read(&said).with_context(|| format!("wrk said {said}"))?;
        if requests.per_second <= 0.0 {
            bail!("nothing was answered: wrk said {said}");
        }
        Ok(requests)
    }
}

/// Reads `wrk`'s report. It mentions errors only if there were some.
fn read(report: &str) -> Option<Requests> {
    let after = |label: &str| report.lines().find_map(|line| line.trim().strip_prefix(label));
    let broken: u64 = after("Socket errors:")
        .into_iter()
        .flat_map(|kinds| kinds.split(','))
        .filter_map(|kind| kind.split_whitespace().last()?.parse::<u64>().ok())
        .sum();
    let refused: u64 =
        after("Non-2xx or 3xx responses:").and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    Some(Requests { per_second: after("Requests/sec:")?.trim().parse().ok()?, errors: broken + refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_kinds_count() {
        let report = "  1000 requests in 1.00s\n  Socket errors: connect 1, read 2, write 4, timeout 8\n  Non-2xx or 3xx responses: 16\nRequests/sec:   998.50\n";
        assert_eq!(read(report), Some(Requests { per_second: 998.5, errors: 31 }));
        assert_eq!(read("Requests/sec: 7\n"), Some(Requests { per_second: 7.0, errors: 0 }));
        assert_eq!(read("unable to connect"), None);
    }
}
