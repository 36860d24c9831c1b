//! `ping` (iputils).

use std::net::IpAddr;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;

/// Added to the time a series should take before ping counts as hung. On a busy machine ping falls far behind its
/// interval: requests then go out every 10 to 20 ms.
const HUNG: Duration = Duration::from_secs(60);

/// A series of echo requests. Defaults: 5 of them, 10 ms apart, 56 bytes of payload, 1 s to wait for the last reply.
#[derive(Debug, Clone)]
pub struct Ping {
    destination: IpAddr,
    count: u32,
    interval: Option<Duration>,
    wait: Duration,
    extra: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct PingReport {
    /// Requests sent.
    pub sent: u32,
    /// Requests that were answered (duplicates not counted).
    pub received: u32,
    /// Round-trip times in order of arrival.
    pub rtts: Vec<Duration>,
    /// Sequence number of the request that each of them is of, from 1.
    pub sequences: Vec<u32>,
    /// Lines about ICMP errors, such as `From 10.1.0.1 icmp_seq=1 Destination Net Unreachable`, and local errors.
    pub errors: Vec<String>,
}

impl Ping {
    /// Pings an IPv4 or IPv6 address.
    #[must_use]
    pub fn new(destination: impl Into<IpAddr>) -> Self {
        Self {
            destination: destination.into(),
            count: 5,
            interval: None,
            wait: Duration::from_secs(1),
            extra: Vec::new(),
        }
    }

    /// Number of requests, at least 1.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count.max(1);
        self
    }

    /// Time between requests; without it they are sent at once.
    ///
    /// With it ping waits for the last replies no longer than this or twice the longest round trip so far, whatever
    /// [`Self::wait`] says: a machine that is busy for a moment loses them.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// How long to wait for replies after the last request.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Bytes of payload; the IPv4 packet is 28 bytes longer, the IPv6 packet 48.
    #[must_use]
    pub fn payload(self, bytes: usize) -> Self {
        self.extra(["-s".to_owned(), bytes.to_string()])
    }

    /// Forbids fragmentation on the way and here (`IP_PMTUDISC_DO`).
    #[must_use]
    pub fn dont_fragment(self) -> Self {
        self.extra(["-M".to_owned(), "do".to_owned()])
    }

    /// Time to live, or hop limit.
    #[must_use]
    pub fn ttl(self, ttl: u8) -> Self {
        self.extra(["-t".to_owned(), ttl.to_string()])
    }

    /// The identifier that its requests carry.
    #[must_use]
    pub fn identifier(self, identifier: u16) -> Self {
        self.extra(["-e".to_owned(), identifier.to_string()])
    }

    /// Source address or interface.
    #[must_use]
    pub fn source(self, source: &str) -> Self {
        self.extra(["-I".to_owned(), source.to_owned()])
    }

    /// Lets everyone on the way fragment the requests (`-M dont`), the sender included.
    #[must_use]
    pub fn may_be_fragmented(self) -> Self {
        self.extra(["-M".to_owned(), "dont".to_owned()])
    }

    /// Type of service or traffic class: DSCP and ECN in one byte.
    #[must_use]
    pub fn class(self, class: u8) -> Self {
        self.extra(["-Q".to_owned(), class.to_string()])
    }

    /// Has the way there and back recorded in an IPv4 option (RFC 791, record route).
    #[must_use]
    pub fn record_route(mut self) -> Self {
        self.extra.push("-R".to_owned());
        self
    }

    fn extra(mut self, args: [String; 2]) -> Self {
        self.extra.extend(args);
        self
    }

    /// Sends them; silence is a report like any other.
    ///
    /// # Errors
    /// [`LabError::Failed`] when ping could not even try (no route, bad option), [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<PingReport> {
        let count = self.count.to_string();
        let at_once = ["-l", count.as_str()];
        let (preload, interval, total) = match self.interval {
            Some(interval) => (&at_once[..0], interval, interval * self.count + self.wait),
            // The interval is how long it waits for the last.
            None => (&at_once[..], self.wait, self.wait),
        };
        let command = from
            .command("ping")
            .args(["-n", "-c", &count])
            .args(preload)
            .args(["-i", &format!("{:.4}", interval.as_secs_f64())])
            .args(["-W", &format!("{:.3}", self.wait.as_secs_f64())])
            .args(&self.extra)
            .arg(self.destination.to_string())
            .timeout(total * 2 + HUNG);
        let output = command.run_unchecked()?;
        let errors: Vec<String> = output.stderr.lines().map(str::to_owned).collect();
        match output.status.code() {
            // 1: no reply at all, or fewer than asked for.
            Some(0 | 1) => parse(&output.stdout, errors),
            _ => Err(LabError::Failed {
                namespace: from.name().to_owned(),
                command: format!("ping {}", self.destination),
                status: output.status,
                stdout: output.stdout,
                stderr: output.stderr,
            }),
        }
    }
}

impl PingReport {
    /// True if every request was answered.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.received == self.sent
    }

    /// The round-trip time that a share `quantile` (0 to 1) of the replies did not exceed; `None` without replies.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut sorted = self.rtts.clone();
        sorted.sort_unstable();
        let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// Mean round-trip time; `None` without replies.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.rtts.len()).ok().filter(|count| *count > 0)?;
        Some(self.rtts.iter().sum::<Duration>() / count)
    }
}

fn parse(stdout: &str, mut errors: Vec<String>) -> Result<PingReport> {
    let unreadable = |expected| LabError::Parse { tool: "ping", expected, output: stdout.to_owned() };
    let (mut rtts, mut sequences) = (Vec::new(), Vec::new());
    let mut totals = None;
    for line in stdout.lines() {
        if let Some((_, rest)) = line.split_once(" time=") {
            if line.contains("(DUP!)") {
                continue;
            }
            let ms = rest.split_whitespace().next().and_then(|ms| ms.parse::<f64>().ok());
            rtts.push(Duration::from_secs_f64(ms.ok_or_else(|| unreadable("time=… ms"))? / 1000.0));
            let sequence = line.split_once(" icmp_seq=").and_then(|(_, rest)| rest.split_whitespace().next());
            let sequence = sequence.and_then(|number| number.parse().ok());
            sequences.push(sequence.ok_or_else(|| unreadable("icmp_seq=…"))?);
        } else if line.contains("packets transmitted") {
            let number = |part: &str| part.split_whitespace().next()?.parse::<u32>().ok();
            let mut parts = line.split(", ");
            totals = parts.next().and_then(number).zip(parts.next().and_then(number));
        } else if line.starts_with("From ") {
            errors.push(line.to_owned());
        }
    }
    let (sent, received) = totals.ok_or_else(|| unreadable("N packets transmitted, M received"))?;
    Ok(PingReport { sent, received, rtts, sequences, errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_replies_duplicates_and_errors() {
        let text = "PING 10.2.0.2 (10.2.0.2) 56(84) bytes of data.\n\
            64 bytes from 10.2.0.2: icmp_seq=1 ttl=62 time=0.500 ms\n\
            64 bytes from 10.2.0.2: icmp_seq=1 ttl=62 time=0.900 ms (DUP!)\n\
            From 10.1.0.1 icmp_seq=2 Destination Net Unreachable\n\
            64 bytes from 10.2.0.2: icmp_seq=3 ttl=62 time=1.50 ms\n\n\
            --- 10.2.0.2 ping statistics ---\n\
            3 packets transmitted, 2 received, +1 duplicates, +1 errors, 33% packet loss, time 20ms\n";
        let report = parse(text, Vec::new()).unwrap();
        assert_eq!((report.sent, report.received), (3, 2));
        assert_eq!(report.rtts, [Duration::from_micros(500), Duration::from_micros(1500)]);
        assert_eq!(report.sequences, [1, 3]);
        assert_eq!(report.errors, ["From 10.1.0.1 icmp_seq=2 Destination Net Unreachable"]);
        assert_eq!(report.quantile(0.5), Some(Duration::from_micros(500)));
        assert_eq!(report.quantile(0.99), Some(Duration::from_micros(1500)));
        assert_eq!(report.mean(), Some(Duration::from_micros(1000)));
    }

    #[test]
    fn output_without_totals_is_an_error() {
        assert!(matches!(parse("nonsense", Vec::new()), Err(LabError::Parse { tool: "ping", .. })));
    }
}
