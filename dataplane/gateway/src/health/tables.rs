//! Tables that fill.

use std::collections::HashMap;

use gridway_control::{LimitRow, Severity};

use crate::events::{Events, Kind};

/// From this share on, in percent, a table is nearly full…
const NEAR: u64 = 80;
/// …all but full…
const FULL: u64 = 95;
/// …and below this one no more.
const RELIEVED: u64 = 70;

/// How full each table was said to be.
#[derive(Debug, Default)]
pub(super) struct Tables {
    said: HashMap<String, Severity>,
}

impl Tables {
    pub(super) fn look(&mut self, rows: &[LimitRow], events: &Events) {
        for row in rows.iter().filter(|row| row.limit > 0) {
            let said = self.said.get(&row.name).copied();
            let share = percent(row);
            let reached = [(FULL, Severity::Error), (NEAR, Severity::Warning)]
                .into_iter()
                .find_map(|(from, severity)| (share >= from).then_some(severity));
            if said < reached {
                let severity = reached.unwrap_or(Severity::Warning);
                self.said.insert(row.name.clone(), severity);
                let message = format!("{}; what finds no room is refused or pushes out another", shown(row));
                events.record(severity, Kind::TableNearFull, &row.name, message);
            } else if said.is_some() && share < RELIEVED {
                self.said.remove(&row.name);
                events.record(Severity::Info, Kind::TableRelieved, &row.name, shown(row));
            }
        }
    }
}

fn percent(row: &LimitRow) -> u64 {
    u64::try_from(u128::from(row.used) * 100 / u128::from(row.limit.max(1))).unwrap_or(u64::MAX)
}

fn shown(row: &LimitRow) -> String {
    let LimitRow { name, used, limit, refused } = row;
    format!("{name}: {used} of {limit} in use ({} %), {refused} refused since the start", percent(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_table_is_reported_on_its_way_up_and_once_on_its_way_down() {
        let events = Events::new(Clock::start(), [0; 16]);
        let mut tables = Tables::default();
        let mut seen = 0;
        let mut at = |used| {
            let row = LimitRow { name: "flows".to_owned(), used, limit: 100, refused: 0 };
            tables.look(&[row], &events);
            let answer = events.after(seen, 0);
            seen = answer.last;
            answer.rows.into_iter().map(|row| (row.kind, row.severity)).collect::<Vec<_>>()
        };
        let near = |severity| vec![("table_near_full".to_owned(), severity)];
        assert_eq!(at(79), []);
        assert_eq!(at(80), near(Severity::Warning));
        assert_eq!(at(94), []);
        assert_eq!(at(95), near(Severity::Error));
        assert_eq!(at(75), [], "it may fill again at once");
        assert_eq!(at(96), []);
        assert_eq!(at(69), [("table_relieved".to_owned(), Severity::Info)]);
        assert_eq!(at(100), near(Severity::Error));
    }
}
