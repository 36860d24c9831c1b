//! What became of the packets of a trial.

use hdrhistogram::Histogram;

use super::stamp::Stamp;
use super::turns::Schedule;

/// Longest latency that is told apart from longer ones.
const LONGEST_NS: u64 = 60_000_000_000;

/// Counts of one trial. Lost is what was sent and is not in `unique`.
#[derive(Debug)]
pub(crate) struct Tally {
    trial: u16,
    /// Packets that came for the first time.
    pub(crate) unique: u64,
    /// Packets that came again.
    pub(crate) duplicates: u64,
    /// Packets behind a later one of their flow (RFC 4737, 3.3).
    pub(crate) reordered: u64,
    /// Packets of no or of another trial.
    pub(crate) foreign: u64,
    /// Nanoseconds from generator to sink.
    pub(crate) latency: Histogram<u64>,
    /// One bit a sequence number.
    seen: Vec<u64>,
    /// Highest sequence number of each flow that takes turns, plus 1. Where a flow has one packet there is no order to
    /// keep.
    highest: Vec<u64>,
    schedule: Schedule,
}

impl Tally {
    /// For a trial of at most `packets`.
    pub(crate) fn new(trial: u16, packets: u64, schedule: Schedule) -> Self {
        Self {
            trial,
            unique: 0,
            duplicates: 0,
            reordered: 0,
            foreign: 0,
            latency: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds and digits are in range"),
            seen: vec![0; packets.div_ceil(64) as usize],
            highest: vec![0; schedule.standing() as usize],
            schedule,
        }
    }

    /// Takes in a packet that came at `now`.
    pub(crate) fn take(&mut self, stamp: Option<Stamp>, now: u64) {
        let place = stamp
            .filter(|stamp| stamp.trial == self.trial)
            .and_then(|stamp| Some((stamp, self.seen.get_mut((stamp.sequence / 64) as usize)?)));
        let Some((stamp, word)) = place else {
            self.foreign += 1;
            return;
        };
        let bit = 1 << (stamp.sequence % 64);
        if *word & bit != 0 {
            self.duplicates += 1;
            return;
        }
        *word |= bit;
        self.unique += 1;
        let flow = self.schedule.standing_flow(stamp.sequence);
        if let Some(highest) = flow.and_then(|flow| self.highest.get_mut(flow as usize)) {
            self.reordered += u64::from(*highest > stamp.sequence);
            *highest = (*highest).max(stamp.sequence + 1);
        }
        self.latency.saturating_record(now.saturating_sub(stamp.sent));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::load::flows::Space;
    use crate::load::turns::Turns;

    fn tally(sequences: &[u64], turns: Turns) -> Tally {
        let space = Space::between(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let mut tally = Tally::new(7, 1000, turns.within(&space, 0).unwrap());
        for sequence in sequences {
            tally.take(Some(Stamp { trial: 7, sequence: *sequence, sent: 10 }), 1_010);
        }
        tally
    }

    #[test]
    fn counts_what_comes_again_and_what_comes_late() {
        let counted = tally(&[0, 1, 3, 2, 3, 4], Turns::Of(1));
        assert_eq!((counted.unique, counted.duplicates, counted.reordered), (5, 1, 1));
        assert_eq!(counted.latency.max(), 1_000);
    }

    #[test]
    fn flows_do_not_overtake_each_other() {
        assert_eq!(tally(&[1, 0, 3, 2], Turns::Of(2)).reordered, 0);
        assert_eq!(tally(&[2, 0], Turns::Of(2)).reordered, 1);
    }

    #[test]
    fn flows_of_one_packet_keep_no_order() {
        let counted = tally(&[3, 0, 3], Turns::New);
        assert_eq!((counted.unique, counted.reordered, counted.duplicates), (2, 0, 1));
    }

    #[test]
    fn others_are_foreign() {
        let mut counted = tally(&[], Turns::Of(1));
        counted.take(None, 0);
        counted.take(Some(Stamp { trial: 6, sequence: 0, sent: 0 }), 0);
        counted.take(Some(Stamp { trial: 7, sequence: 1 << 40, sent: 0 }), 0);
        assert_eq!((counted.foreign, counted.unique), (3, 0));
    }
}
