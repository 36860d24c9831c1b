//! Which flow each packet of a trial is of.

use anyhow::{Result, bail};
use serde::Serialize;

use super::flows::Space;

/// How many flows take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Turns {
    /// So many, in every trial the same ones.
    Of(u32),
    /// Every packet is the first one of a flow, until no combination is left.
    New,
    /// As `Of`, but one packet of `new_every` is the first and only one of another flow.
    Mixed { of: u32, new_every: u32 },
}

/// Turns within the flows that a space has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Flows that take turns, the first ones of the space.
    standing: u64,
    /// One packet of so many begins another flow; 0: none does.
    new_every: u64,
    /// Flows that earlier trials began.
    begun: u64,
    /// Flows that can be begun, before the first ones come again.
    fresh: u64,
}

impl Turns {
    /// Turns of a trial, when earlier ones began so many flows.
    ///
    /// # Errors
    /// When the space has fewer flows than are asked for.
    pub(crate) fn within(self, space: &Space, begun: u64) -> Result<Schedule> {
        let (standing, new_every) = match self {
            Self::Of(flows) => (flows.into(), 0),
            Self::New => (0, 1),
            Self::Mixed { of, new_every } => (of.into(), new_every.into()),
        };
        let flows = space.flows();
        if flows < standing + u64::from(new_every > 0) {
            bail!("{standing} flows of addresses and ports that combine in {flows} ways only");
        }
        Ok(Schedule { standing, new_every, begun, fresh: flows - standing })
    }
}

impl Schedule {
    /// Flows that take turns.
    pub(crate) fn standing(&self) -> u64 {
        self.standing
    }

    /// Which of the standing flows packet `sequence` is of; `None` of one that begins another flow.
    pub(crate) fn standing_flow(&self, sequence: u64) -> Option<u64> {
        let begins = self.new_every > 0 && sequence.is_multiple_of(self.new_every);
        (!begins).then(|| sequence % self.standing.max(1))
    }

    /// Number of the flow of packet `sequence` in the space.
    pub(crate) fn flow(&self, sequence: u64) -> u64 {
        self.standing_flow(sequence)
            .unwrap_or_else(|| self.standing + (self.begun + sequence / self.new_every) % self.fresh)
    }

    /// Flows that the first so many packets begin.
    pub(crate) fn begun_by(&self, packets: u64) -> u64 {
        if self.new_every == 0 { 0 } else { packets.div_ceil(self.new_every) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use super::*;

    /// 1,000 destination ports, and so many source ports.
    fn space(source_ports: &str) -> Space {
        let usual = Space::between(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        Space { source_ports: source_ports.parse().unwrap(), ..usual }
    }

    #[test]
    fn more_flows_than_combinations_are_refused() {
        let space = space("1-2");
        assert_eq!(Turns::Of(2000).within(&space, 0).unwrap().standing(), 2000);
        assert!(Turns::New.within(&space, 0).is_ok());
        for turns in [Turns::Of(2001), Turns::Mixed { of: 2000, new_every: 9 }] {
            let refused = turns.within(&space, 0).unwrap_err().to_string();
            assert!(refused.ends_with("flows of addresses and ports that combine in 2000 ways only"));
        }
    }

    #[test]
    fn new_flows_go_on_where_earlier_trials_ended_and_come_round() {
        let schedule = Turns::New.within(&space("1"), 990).unwrap();
        let flows: Vec<u64> = (0..20).map(|sequence| schedule.flow(sequence)).collect();
        assert_eq!([flows[0], flows[9], flows[10], flows[19]], [990, 999, 0, 9]);
        assert_eq!(schedule.begun_by(20), 20);
    }

    #[test]
    fn new_flows_come_between_standing_ones_and_are_none_of_them() {
        let schedule = Turns::Mixed { of: 10, new_every: 5 }.within(&space("1"), 3).unwrap();
        let flow = |sequence| schedule.flow(sequence);
        let new: Vec<u64> = (0..20).filter(|n| schedule.standing_flow(*n).is_none()).map(flow).collect();
        assert_eq!(new, [13, 14, 15, 16]);
        let rest: HashSet<u64> =
            (0..1000).filter(|n| schedule.standing_flow(*n).is_some()).map(flow).collect();
        assert!(rest.iter().all(|flow| *flow < 10), "{rest:?}");
        assert_eq!([0, 1, 5, 6].map(|packets| schedule.begun_by(packets)), [0, 1, 1, 2]);
        assert_eq!(Turns::Of(10).within(&space("1"), 3).unwrap().begun_by(100), 0);
    }
}
