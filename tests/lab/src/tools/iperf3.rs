//! `iperf3`: bulk throughput.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::rate::Rate;
use crate::wait::try_wait_until;

/// A running `iperf3 -s`; serves one client after another until dropped.
#[derive(Debug)]
pub struct Iperf3Server {
    process: Process,
}

impl Iperf3Server {
    /// Starts a server and waits until it listens on `port`.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        let mut process =
            namespace.command("iperf3").args(["-s", "--forceflush", "-p", &port.to_string()]).spawn()?;
        process.wait_for_output("Server listening", Duration::from_secs(10))?;
        Ok(Self { process })
    }

    /// Waits until it is done with its last client, which may have ended before. It turns others away until then,
    /// with a word or with a reset.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said.
    pub fn wait_idle(&mut self) -> Result<()> {
        let idle = try_wait_until("iperf3 done with its last client", Duration::from_secs(10), || {
            let said = self.process.stdout().text()?;
            Ok((said.rfind("Server listening") > said.rfind("Accepted connection")).then_some(()))
        });
        idle.map_err(|error| match error {
            LabError::Timeout { what, after, .. } => {
                LabError::Timeout { what, after, detail: self.process.last_words() }
            }
            other => other,
        })
    }

    /// The process, for its log and pid.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A measurement. Defaults: TCP, one stream, 5 s, port 5201, client to server.
#[derive(Debug, Clone)]
pub struct Iperf3 {
    server: IpAddr,
    port: u16,
    duration: Duration,
    extra: Vec<String>,
}

/// The figures that the tests compare; everything else is in `json`.
#[derive(Debug, Clone)]
pub struct Iperf3Report {
    /// Bits a second that the sender handed over.
    pub sent_bps: f64,
    /// Bits a second that arrived.
    pub received_bps: f64,
    /// TCP segments sent again; `None` for UDP.
    pub retransmits: Option<u64>,
    /// UDP datagrams lost and sent; `None` for TCP.
    pub datagrams: Option<(u64, u64)>,
    /// UDP jitter; `None` for TCP.
    pub jitter: Option<Duration>,
    /// The whole report of `iperf3 -J`.
    pub json: Value,
}

impl Iperf3Report {
    /// Received megabits (10^6) a second.
    #[must_use]
    pub fn mbps(&self) -> f64 {
        self.received_bps / 1e6
    }

    /// Share of UDP datagrams lost, 0 to 1; `None` for TCP or when none were sent.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        self.datagrams.filter(|(_, sent)| *sent > 0).map(|(lost, sent)| lost as f64 / sent as f64)
    }
}

impl Iperf3 {
    /// TCP to a server at that address.
    #[must_use]
    pub fn tcp(server: impl Into<IpAddr>) -> Self {
        Self { server: server.into(), port: 5201, duration: Duration::from_secs(5), extra: Vec::new() }
    }

    /// UDP to a server at that address, at that rate.
    #[must_use]
    pub fn udp(server: impl Into<IpAddr>, rate: Rate) -> Self {
        Self::tcp(server).arg("-u").rate(rate)
    }

    /// The server's port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long to send; whole seconds, at least 1.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration.max(Duration::from_secs(1));
        self
    }

    /// Parallel streams.
    #[must_use]
    pub fn parallel(self, streams: u32) -> Self {
        self.arg("-P").arg(&streams.to_string())
    }

    /// Target rate of each stream.
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        self.arg("-b").arg(&rate.bits_per_second().to_string())
    }

    /// Bytes of a read or write, or of a UDP datagram's payload.
    #[must_use]
    pub fn length(self, bytes: u32) -> Self {
        self.arg("-l").arg(&bytes.to_string())
    }

    /// The server sends, the client receives.
    #[must_use]
    pub fn reverse(self) -> Self {
        self.arg("-R")
    }

    /// Leaves the first seconds out of the figures.
    #[must_use]
    pub fn omit(self, seconds: u32) -> Self {
        self.arg("-O").arg(&seconds.to_string())
    }

    /// Any other argument of `iperf3`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.extra.push(arg.to_owned());
        self
    }

    /// Measures. A server that is still busy with the test before is asked again.
    ///
    /// # Errors
    /// [`LabError::Failed`] with iperf3's own message, [`LabError::Timeout`], [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<Iperf3Report> {
        const BUSY: &str = "the server is busy";
        try_wait_until("a server that is free", Duration::from_secs(10), || {
            let mut process = self.start(from)?;
            match self.finish(from, &mut process) {
                Err(LabError::Failed { stdout, .. }) if stdout.contains(BUSY) => Ok(None),
                outcome => outcome.map(Some),
            }
        })
    }

    /// Starts the client without waiting, to do something else meanwhile; [`Iperf3::finish`] gets the report.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn start(&self, from: &Namespace) -> Result<Process> {
        from.command("iperf3")
            .args(["-c", &self.server.to_string(), "-p", &self.port.to_string(), "-J"])
            .args(["-t", &self.duration.as_secs().to_string(), "--connect-timeout", "5000"])
            .args(&self.extra)
            .spawn()
    }

    /// Waits for a client that [`Iperf3::start`] started and reads its report.
    ///
    /// # Errors
    /// As [`Iperf3::run`].
    pub fn finish(&self, from: &Namespace, process: &mut Process) -> Result<Iperf3Report> {
        let status = process.wait(self.duration + Duration::from_secs(30))?;
        let stdout = process.stdout().text()?;
        let json: Value = serde_json::from_str(&stdout).map_err(|_| LabError::Parse {
            tool: "iperf3",
            expected: "a JSON report",
            output: stdout.clone(),
        })?;
        if !status.success() || json.get("error").is_some() {
            return Err(LabError::Failed {
                namespace: from.name().to_owned(),
                command: process.line().to_owned(),
                status,
                stdout: json["error"].as_str().unwrap_or_default().to_owned(),
                stderr: process.stderr().tail(20)?,
            });
        }
        read(json)
    }
}

fn read(json: Value) -> Result<Iperf3Report> {
    let end = &json["end"];
    let udp = json["start"]["test_start"]["protocol"] == "UDP";
    let number = |value: &Value, expected: &'static str| {
        value.as_f64().ok_or_else(|| LabError::Parse { tool: "iperf3", expected, output: end.to_string() })
    };
    if udp {
        // One summary: bits_per_second is what the sender offered; lost_packets and packets are the receiver's.
        let sum = &end["sum"];
        let sent_bps = number(&sum["bits_per_second"], "end.sum.bits_per_second")?;
        let lost = number(&sum["lost_packets"], "end.sum.lost_packets")?;
        let packets = number(&sum["packets"], "end.sum.packets")?;
        let jitter = number(&sum["jitter_ms"], "end.sum.jitter_ms")?;
        let arrived = if packets > 0.0 { 1.0 - lost.max(0.0) / packets } else { 0.0 };
        return Ok(Iperf3Report {
            sent_bps,
            received_bps: sent_bps * arrived,
            retransmits: None,
            datagrams: Some((lost.max(0.0) as u64, packets as u64)),
            jitter: Some(Duration::from_secs_f64(jitter.max(0.0) / 1000.0)),
            json,
        });
    }
    Ok(Iperf3Report {
        sent_bps: number(&end["sum_sent"]["bits_per_second"], "end.sum_sent.bits_per_second")?,
        received_bps: number(&end["sum_received"]["bits_per_second"], "end.sum_received.bits_per_second")?,
        retransmits: end["sum_sent"]["retransmits"].as_u64(),
        datagrams: None,
        jitter: None,
        json,
    })
}
