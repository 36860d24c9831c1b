//! Round trips of single bytes over one TCP connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gridway_lab::Lab;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::contender::{Contender, ECHO};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Round trips, milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct RoundTrip {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) most: f64,
}

impl RoundTrip {
    fn of(nanoseconds: &Histogram<u64>) -> Self {
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        Self {
            p50: milliseconds(nanoseconds.value_at_quantile(0.5)),
            p99: milliseconds(nanoseconds.value_at_quantile(0.99)),
            most: milliseconds(nanoseconds.max()),
        }
    }
}

impl std::fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "50 % {:.2} ms, 99 % {:.2} ms", self.p50, self.p99)
    }
}

/// Sends a byte from h1 each `interval` and waits until the echo server on h2 has sent it back.
///
/// A byte that is due while another one is on its way counts as if it had been sent in time: HdrHistogram's correction
/// for what a client that waits for answers would leave out.
pub(super) fn ping_pong(
    lab: &Lab,
    contender: Contender,
    duration: Duration,
    interval: Duration,
) -> Result<RoundTrip> {
    let to = SocketAddr::from((contender.target(), ECHO));
    let measured = lab.h1().enter(|| exchange(to, duration, interval))?;
    Ok(RoundTrip::of(&measured.with_context(|| format!("round trips of single bytes to {to}"))?))
}

fn exchange(to: SocketAddr, duration: Duration, interval: Duration) -> io::Result<Histogram<u64>> {
    let mut stream = TcpStream::connect_timeout(&to, ANSWER)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut round_trips = Histogram::new(3).expect("three digits are in range");
    let between = nanoseconds(interval);
    let mut byte = [0];
    // The first one may wait for the far end of the connection.
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)?;
    let (start, mut due) = (Instant::now(), Instant::now());
    while start.elapsed() < duration {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        round_trips.record_correct(nanoseconds(sent.elapsed()), between).map_err(io::Error::other)?;
        due = sent + interval;
    }
    Ok(round_trips)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
