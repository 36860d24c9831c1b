//! Rates by binary search (RFC 2544, 26.1): the highest at which no more than a share of packets is lost.

use anyhow::Result;

use crate::load::trial::Trial;

/// How near to each other the two ends of a search come, as a share of the upper one.
const PRECISION: f64 = 0.02;
/// Of what is asked for, what a generator must have sent for a trial to count.
const KEPT_UP: f64 = 0.98;

/// What a search looks at in a trial.
pub(crate) trait Outcome {
    /// Packets a second that were sent.
    fn offered(&self) -> f64;
    /// Share that was lost, 0 to 1.
    fn loss(&self) -> f64;
    /// Share that came and found no room in the sink, 0 to 1: neither lost nor borne.
    fn overrun(&self) -> f64 {
        0.0
    }
}

impl Outcome for Trial {
    fn offered(&self) -> f64 {
        self.offered
    }

    fn loss(&self) -> f64 {
        self.loss
    }

    fn overrun(&self) -> f64 {
        self.overrun as f64 / self.sent.max(1) as f64
    }
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found<T = Trial> {
    /// The trial at the highest rate that passed; `None` when none did.
    pub(crate) best: Option<T>,
    /// The device under test may bear more: the generator could not send it, the sink not take it, or nothing higher was
    /// tried.
    pub(crate) at_least: bool,
    /// Trials made.
    pub(crate) trials: u32,
}

/// Searches between 0 and `highest` packets a second for the highest rate whose loss is at most `accepted`.
pub(crate) fn search<T: Outcome>(
    highest: f64,
    accepted: f64,
    trial: impl FnMut(f64) -> Result<T>,
) -> Result<Found<T>> {
    search_above(None, highest, accepted, trial)
}

/// As [`search`], from a trial on that has passed already.
pub(crate) fn search_above<T: Outcome>(
    passed: Option<T>,
    highest: f64,
    accepted: f64,
    mut trial: impl FnMut(f64) -> Result<T>,
) -> Result<Found<T>> {
    let (mut low, mut high) = (passed.as_ref().map_or(0.0, T::offered), highest);
    let mut found = Found::<T> { best: passed, at_least: low >= highest * KEPT_UP, trials: 0 };
    // The lowest rate that the sink could not take although the device did.
    let mut sink_failed = f64::INFINITY;
    let mut rate = highest;
    while high - low > high * PRECISION && high > 1.0 {
        let result = trial(rate)?;
        found.trials += 1;
        let kept_up = result.offered() >= rate * KEPT_UP;
        if result.loss() <= accepted && result.overrun() > accepted {
            (high, sink_failed) = (rate, rate);
        } else if result.loss() <= accepted {
            // What was sent, not what was asked for, is what passed.
            low = result.offered().min(rate);
            if found.best.as_ref().is_none_or(|best| best.offered() < result.offered()) {
                found.best = Some(result);
            }
            if !kept_up || rate >= highest {
                found.at_least = true;
                break;
            }
        } else {
            high = rate;
        }
        rate = f64::midpoint(low, high);
    }
    found.at_least |= sink_failed <= high;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    /// A device that passes `capacity` packets a second, under a generator of at most `most`.
    fn device(capacity: f64, most: f64) -> impl FnMut(f64) -> Result<Trial> {
        move |rate| {
            let offered = rate.min(most);
            let loss = ((offered - capacity) / offered).max(0.0);
            Ok(Trial {
                asked: Some(rate),
                offered,
                delivered: offered * (1.0 - loss),
                loss,
                sent: offered as u64,
                lost: (offered * loss) as u64,
                duplicates: 0,
                reordered: 0,
                overrun: 0,
                mbps: 0.0,
                latency_us: [0.0; 5],
                latency: Histogram::new(3).unwrap(),
                directions: Vec::new(),
            })
        }
    }

    #[test]
    fn finds_what_a_device_passes() {
        for capacity in [1_000.0, 47_000.0, 990_000.0] {
            let found = search(1e6, 0.0, device(capacity, 2e6)).unwrap();
            let rate = found.best.unwrap().offered;
            assert!(rate <= capacity && rate >= capacity * 0.97, "{rate} of {capacity}");
            assert!(!found.at_least && found.trials < 20);
        }
    }

    #[test]
    fn accepts_some_loss_where_that_is_asked_for() {
        let found = search(1e6, 0.5, device(100_000.0, 2e6)).unwrap();
        let rate = found.best.unwrap().offered;
        assert!((190_000.0..=200_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn goes_on_from_a_trial_that_passed() {
        let mut device = device(100_000.0, 2e6);
        let passed = device(90_000.0).unwrap();
        let found = search_above(Some(passed), 110_000.0, 0.0, device).unwrap();
        let rate = found.best.unwrap().offered;
        assert!((97_000.0..=100_000.0).contains(&rate) && found.trials < 6, "{rate} after {}", found.trials);
    }

    #[test]
    fn says_when_the_generator_is_the_limit() {
        let found = search(1e6, 0.0, device(900_000.0, 500_000.0)).unwrap();
        assert!(found.at_least);
        assert!((found.best.unwrap().offered - 500_000.0).abs() < 1.0);
    }

    #[test]
    fn says_when_nothing_higher_was_tried() {
        let found = search(1e6, 0.0, device(2e6, 3e6)).unwrap();
        assert!(found.at_least && found.trials == 1);
        let above = search_above(found.best, 1e6, 0.005, device(2e6, 3e6)).unwrap();
        assert!(above.at_least && above.best.is_some());
    }

    #[test]
    fn what_the_sink_cannot_take_is_not_borne_and_says_so() {
        let mut lossless = device(900_000.0, 2e6);
        let found = search(1e6, 0.0, |rate| {
            let overrun = (rate - 300_000.0).max(0.0) as u64;
            Ok(Trial { overrun, ..lossless(rate)? })
        })
        .unwrap();
        let rate = found.best.unwrap().offered;
        assert!(found.at_least && (291_000.0..=300_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_device_that_passes_nothing_ends_the_search() {
        let found = search(1e6, 0.0, |rate| device(1e-9, 2e6)(rate));
        assert!(found.unwrap().best.is_none());
    }
}
