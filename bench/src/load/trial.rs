//! One trial: packets at a rate for a time, and what became of them.

use std::time::Duration;

use anyhow::{Context, Result};
use gridway_wire::mac::MacAddr;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::endpoint::{Endpoint, Finish, Plan, Sent};
use super::flows::Space;
use super::pattern::Sizes;
use super::stamp::Clock;
use super::tally::Tally;
use super::turns::Turns;

/// Packets a second that a sink is prepared to tell apart.
const MOST_PER_SECOND: f64 = 20e6;

/// What is sent in every trial of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) sizes: Sizes,
    pub(crate) turns: Turns,
    /// Whether both ends send: half of the packets each.
    pub(crate) both: bool,
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
    /// The two directions, there and back, where both ends sent. All above is of both together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) directions: Vec<Self>,
}

/// Shares of packets in [`Trial::latency_us`].
pub(crate) const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

impl Trial {
    fn of(asked: Option<f64>, sent: Sent, tally: Tally, overrun: u64) -> Self {
        let lost = sent.packets.saturating_sub(tally.unique + overrun);
        let seconds = sent.nanoseconds as f64 / 1e9;
        let share = tally.unique as f64 / sent.packets.max(1) as f64;
        Self {
            asked,
            offered: sent.rate(),
            delivered: tally.unique as f64 / seconds,
            loss: lost as f64 / sent.packets.max(1) as f64,
            sent: sent.packets,
            lost,
            duplicates: tally.duplicates,
            reordered: tally.reordered,
            overrun,
            mbps: sent.bytes as f64 * 8.0 / 1e6 / seconds * share,
            latency_us: quantiles(&tally.latency),
            latency: tally.latency,
            directions: Vec::new(),
        }
    }

    /// Both directions together.
    fn both(there: Self, back: Self) -> Self {
        let mut latency = there.latency.clone();
        latency.add(&back.latency).expect("histograms of all tallies are alike");
        let (sent, lost) = (there.sent + back.sent, there.lost + back.lost);
        Self {
            asked: there.asked.zip(back.asked).map(|(there, back)| there + back),
            offered: there.offered + back.offered,
            delivered: there.delivered + back.delivered,
            loss: lost as f64 / sent.max(1) as f64,
            sent,
            lost,
            duplicates: there.duplicates + back.duplicates,
            reordered: there.reordered + back.reordered,
            overrun: there.overrun + back.overrun,
            mbps: there.mbps + back.mbps,
            latency_us: quantiles(&latency),
            latency,
            directions: vec![there, back],
        }
    }
}

fn quantiles(latency: &Histogram<u64>) -> [f64; 5] {
    QUANTILES.map(|quantile| latency.value_at_quantile(quantile) as f64 / 1e3)
}

/// Where an end sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) next_hop: MacAddr,
    pub(crate) space: Space,
}

/// Two endpoints with what is between them.
pub(crate) struct Bench {
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    there: Way,
    back: Option<Way>,
    clock: Clock,
    /// Number of the last trial.
    trial: u16,
    /// New flows of all trials, in each direction.
    begun: u64,
}

impl Bench {
    /// `back` is where the far end sends to, if it ever does.
    pub(crate) fn new(from: Endpoint, to: Endpoint, there: Way, back: Option<Way>) -> Self {
        Self { from, to, there, back, clock: Clock::start(), trial: 0, begun: 0 }
    }

    /// Sends at `rate` packets a second in all (`None`: flat out) for `time`.
    pub(crate) fn trial(&mut self, traffic: Traffic, rate: Option<f64>, time: Duration) -> Result<Trial> {
        self.trial = self.trial.wrapping_add(1);
        let back = match traffic.both {
            true => Some(self.back.context("it is not known where the far end sends to")?),
            false => None,
        };
        let senders = if traffic.both { 2 } else { 1 };
        let rate = rate.map(|rate| rate / senders as f64);
        let there = self.plan(self.there, traffic, rate, time)?;
        let back = back.map(|way| self.plan(way, traffic, rate, time)).transpose()?;
        let most = rate.unwrap_or(MOST_PER_SECOND).min(MOST_PER_SECOND) * (time.as_secs_f64() + 1.0);
        let tally = |plan: &Plan| Tally::new(self.trial, most as u64, plan.schedule);
        let (mut far, mut near) = (tally(&there), back.as_ref().map(tally));
        let (clock, finish) = (self.clock, Finish::of(senders));
        let overrun = [self.from.overrun()?, self.to.overrun()?];
        let Self { from, to, .. } = self;
        let [sent_there, sent_back]: [Result<Sent>; 2] = std::thread::scope(|scope| {
            let far = scope.spawn(|| to.work(back.as_ref(), Some(&mut far), clock, &finish));
            let near = from.work(Some(&there), near.as_mut(), clock, &finish);
            [near, far.join().expect("an endpoint does not panic")]
        });
        let (sent_there, sent_back) = (sent_there?, sent_back.context("the far end failed")?);
        let overrun = [self.from.overrun()? - overrun[0], self.to.overrun()? - overrun[1]];
        self.begun += there.schedule.begun_by(sent_there.packets.max(sent_back.packets));
        let there = Trial::of(rate, sent_there, far, overrun[1]);
        Ok(match near {
            Some(near) => Trial::both(there, Trial::of(rate, sent_back, near, overrun[0])),
            None => there,
        })
    }

    fn plan(&self, way: Way, traffic: Traffic, rate: Option<f64>, time: Duration) -> Result<Plan> {
        Ok(Plan {
            next_hop: way.next_hop,
            space: way.space,
            schedule: traffic.turns.within(&way.space, self.begun)?,
            trial: self.trial,
            rate,
            time,
            lengths: traffic.sizes.lengths(),
        })
    }
}
