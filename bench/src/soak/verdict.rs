//! Whether a steady load was borne.

use std::fmt;

use serde::Serialize;

use super::{Sample, mebibytes};
use crate::packets::PARTIAL_DROP;
use crate::statistics::median;

/// What memory may grow by, as a share, or in bytes where that is more.
const GROWTH: f64 = 0.05;
const GROWTH_BYTES: u64 = 8 << 20;
/// What may be lost of all packets.
const LOSS: f64 = PARTIAL_DROP;

/// The end of a load against what it was after its first tenth.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    sent: u64,
    lost: u64,
    reordered: u64,
    /// Bytes of each gateway after the first tenth.
    resident_first: [u64; 2],
    /// Bytes of each gateway at the end.
    resident_last: [u64; 2],
    /// Microseconds at 50 and 99 %, medians of the first tenth's samples.
    latency_first: [f64; 2],
    /// As `latency_first`, of the last tenth.
    latency_last: [f64; 2],
}

impl Verdict {
    /// `None` without a sample.
    pub(super) fn of(samples: &[Sample]) -> Option<Self> {
        let tenth = (samples.len() / 10).max(1);
        let (first, last) = (samples.get(..tenth)?, &samples[samples.len() - tenth..]);
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum();
        let latency = |samples: &[Sample]| {
            [|sample: &Sample| sample.p50_us, |sample: &Sample| sample.p99_us]
                .map(|of| median(&samples.iter().map(of).collect::<Vec<_>>()))
        };
        Some(Self {
            sent: sum(|sample| sample.sent),
            lost: sum(|sample| sample.lost),
            reordered: sum(|sample| sample.reordered),
            resident_first: first.last()?.resident,
            resident_last: last.last()?.resident,
            latency_first: latency(first),
            latency_last: latency(last),
        })
    }

    fn loss(&self) -> f64 {
        self.lost as f64 / self.sent.max(1) as f64
    }

    /// What was not borne, if anything.
    pub(super) fn complaint(&self) -> Option<String> {
        let grew = |[first, last]: [u64; 2]| {
            let accepted = ((first as f64 * GROWTH) as u64).max(GROWTH_BYTES);
            last > first.saturating_add(accepted)
        };
        let mut complaints = Vec::new();
        for (n, node) in ["gw-a", "gw-b"].into_iter().enumerate() {
            let [first, last] = [self.resident_first[n], self.resident_last[n]];
            if grew([first, last]) {
                let [first, last] = [first, last].map(mebibytes);
                complaints.push(format!("memory of {node} grew from {first:.1} to {last:.1} MiB"));
            }
        }
        if self.loss() > LOSS {
            complaints.push(format!("{:.2} % were lost", self.loss() * 100.0));
        }
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.resident_first.map(mebibytes);
        let [last_a, last_b] = self.resident_last.map(mebibytes);
        let ([p50, p99], [last_p50, last_p99]) = (self.latency_first, self.latency_last);
        writeln!(f, "| | after the first tenth | at the end |\n|---|---|---|")?;
        writeln!(f, "| memory of gw-a, MiB | {a:.1} | {last_a:.1} |")?;
        writeln!(f, "| memory of gw-b, MiB | {b:.1} | {last_b:.1} |")?;
        writeln!(f, "| latency, 50 %, us | {p50:.0} | {last_p50:.0} |")?;
        writeln!(f, "| latency, 99 %, us | {p99:.0} | {last_p99:.0} |")?;
        writeln!(
            f,
            "\n{} packets sent, {} lost ({:.4} %), {} behind a later one of their flow.\n",
            self.sent,
            self.lost,
            self.loss() * 100.0,
            self.reordered
        )?;
        match self.complaint() {
            Some(complaint) => writeln!(f, "Verdict: not borne: {complaint}."),
            None => writeln!(f, "Verdict: borne."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn samples(resident: impl Fn(u64) -> u64, lost: u64) -> Vec<Sample> {
        let sample = |n: u64| Sample {
            seconds: n as f64,
            offered: 1000.0,
            sent: 1000,
            lost,
            reordered: 0,
            p50_us: n as f64,
            p99_us: 10.0,
            resident: [100 * MIB, resident(n)],
            flows: 0,
        };
        (1..=40).map(sample).collect()
    }

    fn complaint(resident: impl Fn(u64) -> u64, lost: u64) -> Option<String> {
        Verdict::of(&samples(resident, lost)).unwrap().complaint()
    }

    #[test]
    fn memory_that_grows_later_is_complained_about() {
        assert_eq!(complaint(|_| 100 * MIB, 0), None);
        // Of 400 MiB 5 % are more than 8 MiB, of 100 less.
        assert_eq!(complaint(|n| (400 + n / 2) * MIB, 0), None);
        assert_eq!(complaint(|n| (100 + n / 5) * MIB, 0), None);
        let grew = complaint(|n| (100 + n) * MIB, 0).unwrap();
        assert_eq!(grew, "memory of gw-b grew from 104.0 to 140.0 MiB");
        // What is taken in the first tenth is not.
        assert_eq!(complaint(|n| if n < 4 { MIB } else { 100 * MIB }, 0), None);
    }

    #[test]
    fn loss_above_half_a_percent_is_complained_about() {
        assert_eq!(complaint(|_| MIB, 5), None);
        assert_eq!(complaint(|_| MIB, 6).unwrap(), "0.60 % were lost");
    }

    #[test]
    fn drift_compares_the_first_tenth_with_the_last() {
        let verdict = Verdict::of(&samples(|_| MIB, 0)).unwrap();
        assert_eq!([verdict.latency_first[0], verdict.latency_last[0]], [2.5, 38.5]);
        assert!(Verdict::of(&[]).is_none());
    }
}
