//! One trial: packets at a rate for a time, and what became of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::endpoint::{Endpoint, Plan, Sent};
use super::frame::Route;
use super::pattern::Sizes;
use super::stamp::Clock;
use super::tally::Tally;

/// How long the sink goes on behind the last packet.
const DRAIN: Duration = Duration::from_millis(300);
/// Packets a second that a sink is prepared to tell apart.
const MOST_PER_SECOND: f64 = 20e6;

/// What is sent in every trial of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) sizes: Sizes,
    pub(crate) flows: u32,
}

/// What became of the packets of a trial.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trial {
    /// Packets a second that were asked for; `None`: as many as go.
    pub(crate) asked: Option<f64>,
    /// Packets a second that were sent.
    pub(crate) offered: f64,
    /// Packets a second that came, each counted once.
    pub(crate) delivered: f64,
    /// Share that was lost, 0 to 1, without what the sink itself had no room for.
    pub(crate) loss: f64,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// Packets that the sink had no room for.
    pub(crate) overrun: u64,
    /// Mbit/s delivered, of Ethernet frames without check sequence.
    pub(crate) mbps: f64,
    /// Microseconds from generator to sink at 50, 90, 99, 99.9 and 100 %.
    pub(crate) latency_us: [f64; 5],
    #[serde(skip)]
    pub(crate) latency: Histogram<u64>,
}

/// Shares of packets in [`Trial::latency_us`].
pub(crate) const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// Generator and sink.
pub(crate) struct Bench {
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    pub(crate) route: Route,
    clock: Clock,
    /// Number of the last trial.
    trial: u16,
}

impl Bench {
    pub(crate) fn new(from: Endpoint, to: Endpoint, route: Route) -> Self {
        Self { from, to, route, clock: Clock::start(), trial: 0 }
    }

    /// Sends at `rate` packets a second (`None`: flat out) for `time`.
    pub(crate) fn trial(&mut self, traffic: Traffic, rate: Option<f64>, time: Duration) -> Result<Trial> {
        self.trial = self.trial.wrapping_add(1);
        let trial = self.trial;
        let most = rate.unwrap_or(MOST_PER_SECOND).min(MOST_PER_SECOND) * (time.as_secs_f64() + 1.0);
        let mut tally = Tally::new(trial, most as u64, traffic.flows);
        let plan = Plan {
            route: self.route,
            trial,
            rate,
            time,
            flows: traffic.flows,
            lengths: traffic.sizes.lengths(),
        };
        let (clock, overrun) = (self.clock, self.to.overrun());
        let until = AtomicU64::new(u64::MAX);
        let Self { from, to, .. } = self;
        let sent: Result<Sent> = std::thread::scope(|scope| {
            let sink = scope
                .spawn(|| to.receive(&mut tally, clock, || clock.now() >= until.load(Ordering::Acquire)));
            let sent = from.send(&plan, clock);
            until.store(clock.now() + DRAIN.as_nanos() as u64, Ordering::Release);
            sink.join().expect("the sink does not panic").context("the sink failed")?;
            sent
        });
        let (sent, overrun) = (sent?, self.to.overrun() - overrun);
        let lost = sent.packets.saturating_sub(tally.unique + overrun);
        let seconds = sent.nanoseconds as f64 / 1e9;
        let share = tally.unique as f64 / sent.packets.max(1) as f64;
        Ok(Trial {
            asked: rate,
            offered: sent.rate(),
            delivered: tally.unique as f64 / seconds,
            loss: lost as f64 / sent.packets.max(1) as f64,
            sent: sent.packets,
            lost,
            duplicates: tally.duplicates,
            reordered: tally.reordered,
            overrun,
            mbps: sent.bytes as f64 * 8.0 / 1e6 / seconds * share,
            latency_us: QUANTILES.map(|quantile| tally.latency.value_at_quantile(quantile) as f64 / 1e3),
            latency: tally.latency,
        })
    }
}
