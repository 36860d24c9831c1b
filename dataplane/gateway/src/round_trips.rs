//! Round trips of a connection, and what is said of them.

use std::collections::VecDeque;
use std::time::Duration;

use gridway_control::RoundTrip;
use gridway_wire::time::Nanos;

/// How long a round trip counts.
const WINDOW_S: u64 = 600;
/// Round trips that are kept: those of [`WINDOW_S`] at the default `ping_interval`, the latest of them at a shorter one.
const KEPT: usize = 600;

/// The round trips measured lately.
#[derive(Debug)]
pub(crate) struct RoundTrips {
    /// When, in seconds, and how long, in microseconds.
    samples: VecDeque<(u32, u32)>,
}

impl RoundTrips {
    pub(crate) fn new() -> Self {
        Self { samples: VecDeque::with_capacity(KEPT) }
    }

    pub(crate) fn add(&mut self, time: Duration, now: Nanos) {
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.samples.push_back((seconds(now), microseconds));
    }

    /// Those of the last ten minutes, in microseconds and in their order.
    pub(crate) fn of_late(&self, now: Nanos) -> Vec<u32> {
        let since = seconds(now).saturating_sub(WINDOW_S as u32);
        let from = self.samples.partition_point(|(at, _)| *at < since);
        self.samples.range(from..).map(|(_, time)| *time).collect()
    }
}

fn seconds(now: Nanos) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// Percentiles (nearest rank) of round trips in microseconds, the last of which comes last.
pub(crate) fn percentiles(mut samples: Vec<u32>) -> RoundTrip {
    let Some(last) = samples.last().copied() else { return RoundTrip::default() };
    samples.sort_unstable();
    let rank = |percent: usize| u64::from(samples[(samples.len() * percent).div_ceil(100) - 1]);
    RoundTrip {
        samples: samples.len() as u64,
        last_us: last.into(),
        p50_us: rank(50),
        p90_us: rank(90),
        p99_us: rank(99),
        max_us: rank(100),
    }
}

/// The smoothed round trip after another `sample` (RFC 6298, 2: alpha is 1/8).
pub(crate) fn smoothed(before: Option<Duration>, sample: Duration) -> Duration {
    before.map_or(sample, |before| (before * 7 + sample) / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn percentiles_are_of_the_last_ten_minutes() {
        let mut times = RoundTrips::new();
        for second in 0..1_000 {
            let time = if second < 400 { 9_000_000 } else { second - 399 };
            times.add(Duration::from_micros(time), at(second));
        }
        let found = percentiles(times.of_late(at(999)));
        let expected =
            RoundTrip { samples: 600, last_us: 600, p50_us: 300, p90_us: 540, p99_us: 594, max_us: 600 };
        assert_eq!(found, expected);
        assert_eq!(percentiles(times.of_late(at(1_300))).samples, 300);
        assert_eq!(percentiles(times.of_late(at(5_000))), RoundTrip::default());
    }

    #[test]
    fn short_intervals_do_not_make_it_grow() {
        let mut times = RoundTrips::new();
        (0..100_000).for_each(|tenth| times.add(Duration::MAX, at(tenth / 10)));
        assert_eq!(times.of_late(at(10_000)).len(), KEPT);
        assert_eq!(times.samples.capacity(), KEPT);
    }

    #[test]
    fn one_slow_answer_moves_the_smoothed_time_by_an_eighth() {
        let ms = Duration::from_millis;
        assert_eq!(smoothed(None, ms(8)), ms(8));
        assert_eq!(smoothed(Some(ms(8)), ms(16)), ms(9));
    }
}
