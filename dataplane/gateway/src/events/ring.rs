//! The events that are remembered: a bounded number, in the order of their last occurrence.

use std::collections::{BTreeSet, HashMap, VecDeque};

use gridway_control::{EventRow, Severity};

use super::kind::Kind;
use super::lines::Lines;

/// Rows that are remembered.
pub(super) const CAPACITY: usize = 1024;
/// A repetition is folded into its row this long after the last occurrence, milliseconds…
const FOLDED_MS: u64 = 60_000;
/// …and this long after the first.
const LONGEST_MS: u64 = 600_000;
/// A row that goes on occurring is logged this often, milliseconds.
const LOGGED_AGAIN_MS: u64 = 60_000;
/// Numbers of forgotten rows that are remembered, to say how many a client has missed.
const FORGOTTEN: usize = 4 * CAPACITY;

/// Rows by their number, which grows with every occurrence.
#[derive(Debug)]
pub(super) struct Ring {
    rows: VecDeque<Remembered>,
    last: u64,
    forgotten: BTreeSet<u64>,
    /// Lines of the log, by kind.
    lines: [Lines; Kind::ALL.len()],
}

#[derive(Debug)]
struct Remembered {
    kind: Kind,
    row: EventRow,
    /// When it was logged last.
    logged_ms: Option<u64>,
    /// Words that were logged since.
    said: Vec<String>,
}

/// A line that is due in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How often the event has occurred, within the time that it is folded.
    pub(super) count: u64,
    /// Occurrences of its kind that went without a line, because there were too many.
    pub(super) unwritten: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            rows: VecDeque::new(),
            last: 0,
            forgotten: BTreeSet::new(),
            lines: std::array::from_fn(|_| Lines::default()),
        }
    }
}

impl Ring {
    /// Takes an occurrence at `now_ms`, milliseconds since 1970. Says whether to log it.
    pub(super) fn record(
        &mut self,
        (severity, kind): (Severity, Kind),
        subject: &str,
        message: &str,
        now_ms: u64,
    ) -> Option<Line> {
        let same = |known: &Remembered| {
            let row = &known.row;
            kind.is_folded()
                && (known.kind, row.severity) == (kind, severity)
                && row.subject == subject
                && now_ms.saturating_sub(row.last_ms) < FOLDED_MS
                && now_ms.saturating_sub(row.first_ms) < LONGEST_MS
        };
        let known = self.rows.iter().rposition(same).and_then(|index| self.rows.remove(index));
        let mut remembered = known.unwrap_or_else(|| {
            self.make_room(kind);
            let row = EventRow {
                number: 0,
                first_ms: now_ms,
                last_ms: now_ms,
                count: 0,
                severity,
                kind: kind.as_str().to_owned(),
                subject: subject.to_owned(),
                message: String::new(),
            };
            Remembered { kind, row, logged_ms: None, said: Vec::new() }
        });
        self.last += 1;
        let row = &mut remembered.row;
        (row.number, row.last_ms) = (self.last, now_ms);
        row.count += 1;
        message.clone_into(&mut row.message);
        let count = row.count;
        let again = remembered.logged_ms.is_none_or(|at| {
            now_ms.saturating_sub(at) >= LOGGED_AGAIN_MS || self.has_been_contradicted(kind, subject, at)
        });
        let said = &mut remembered.said;
        let news = said.len() < kind.most_words() && said.iter().all(|words| words != message);
        let unwritten = if again || news { self.lines[kind.index()].take(now_ms) } else { None };
        if unwritten.is_some() {
            if again {
                remembered.logged_ms = Some(now_ms);
                said.clear();
            }
            said.push(message.to_owned());
        }
        self.rows.push_back(remembered);
        unwritten.map(|unwritten| Line { count, unwritten })
    }

    /// Whether the contrary was said since `since_ms`: the log must not end with it.
    fn has_been_contradicted(&self, kind: Kind, subject: &str, since_ms: u64) -> bool {
        let contrary = kind.contrary();
        self.rows.iter().any(|known| {
            Some(known.kind) == contrary && known.row.subject == subject && known.row.last_ms >= since_ms
        })
    }

    /// Makes room for a row of `kind`.
    fn make_room(&mut self, kind: Kind) {
        let of_kind = self.rows.iter().filter(|known| known.kind == kind).count();
        if of_kind >= kind.most_rows() {
            self.forget_oldest(|known| known.kind == kind);
        } else if self.rows.len() >= CAPACITY {
            let crowd = self.crowd();
            self.forget_oldest(|known| Some((known.kind, known.row.severity)) == crowd);
        }
    }

    /// The kind that has the most rows for its severity: what floods pushes out its own, not what is rare, and four
    /// times as many errors as trifles stay.
    fn crowd(&self) -> Option<(Kind, Severity)> {
        let mut crowds: HashMap<(Kind, Severity), usize> = HashMap::new();
        for known in &self.rows {
            let weight = match known.row.severity {
                Severity::Info => 4,
                Severity::Warning => 2,
                Severity::Error => 1,
            };
            *crowds.entry((known.kind, known.row.severity)).or_default() += weight;
        }
        crowds.into_iter().max_by_key(|(crowd, weight)| (*weight, crowd.0.index())).map(|(crowd, _)| crowd)
    }

    fn forget_oldest(&mut self, of: impl Fn(&Remembered) -> bool) {
        let Some(known) = self.rows.iter().position(of).and_then(|index| self.rows.remove(index)) else {
            return;
        };
        self.forgotten.insert(known.row.number);
        if self.forgotten.len() > FORGOTTEN {
            self.forgotten.pop_first();
        }
    }

    /// The number of the last occurrence.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Rows with numbers above `after`, and how many such were forgotten, of the last few thousand.
    pub(super) fn after(&self, after: u64) -> (Vec<EventRow>, u64) {
        let from = self.rows.partition_point(|known| known.row.number <= after);
        let rows = self.rows.range(from..).map(|known| known.row.clone()).collect();
        (rows, self.forgotten.range(after.saturating_add(1)..).count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Error, Info, Warning};

    const NOW: u64 = 1_700_000_000_000;

    fn record(ring: &mut Ring, severity: Severity, kind: Kind, subject: &str, now_ms: u64) -> Option<Line> {
        ring.record((severity, kind), subject, &format!("at {now_ms}"), now_ms)
    }

    fn subjects(ring: &Ring) -> Vec<String> {
        ring.after(0).0.into_iter().map(|row| row.subject).collect()
    }

    #[test]
    fn the_last_word_of_a_flap_is_logged() {
        let mut ring = Ring::default();
        let said = [(Error, Kind::TunnelDown), (Info, Kind::TunnelUp), (Error, Kind::TunnelDown)];
        for (second, (severity, kind)) in said.into_iter().enumerate() {
            let line = record(&mut ring, severity, kind, "gw-b", NOW + 1_000 * second as u64);
            assert!(line.is_some(), "{kind:?} after {second} s");
        }
        assert_eq!(record(&mut ring, Error, Kind::TunnelDown, "gw-b", NOW + 3_000), None, "no news");
    }

    #[test]
    fn each_change_of_the_configuration_is_a_row_and_a_line() {
        let mut ring = Ring::default();
        for second in 0..3 {
            let now_ms = NOW + 1_000 * second;
            assert!(record(&mut ring, Info, Kind::ConfigurationChanged, "alice", now_ms).is_some());
        }
        assert_eq!(ring.after(0).0.len(), 3);
    }

    #[test]
    fn repetitions_are_one_row_that_moves_to_the_end() {
        let mut ring = Ring::default();
        record(&mut ring, Error, Kind::TunnelDown, "gw-b", NOW);
        record(&mut ring, Info, Kind::TunnelUp, "gw-b", NOW + 1);
        record(&mut ring, Error, Kind::TunnelDown, "gw-b", NOW + 59_000);
        let (rows, missed) = ring.after(0);
        assert_eq!((rows.len(), missed, ring.last()), (2, 0, 3));
        let row = &rows[1];
        assert_eq!((row.number, row.count, row.kind.as_str()), (3, 2, "tunnel_down"));
        assert_eq!((row.first_ms, row.last_ms), (NOW, NOW + 59_000));
        assert_eq!(row.message, format!("at {}", NOW + 59_000), "the last one's");
        assert_eq!(ring.after(2).0, rows[1..], "who has seen it before sees it again");
    }

    #[test]
    fn another_subject_severity_or_time_is_another_row() {
        let mut ring = Ring::default();
        record(&mut ring, Error, Kind::TunnelDown, "gw-b", NOW);
        record(&mut ring, Error, Kind::TunnelDown, "gw-c", NOW);
        record(&mut ring, Warning, Kind::TunnelDown, "gw-b", NOW);
        record(&mut ring, Error, Kind::TunnelDown, "gw-b", NOW + FOLDED_MS);
        assert_eq!(ring.after(0).0.len(), 4);
    }

    #[test]
    fn what_never_ends_begins_a_row_every_ten_minutes() {
        let mut ring = Ring::default();
        for second in 0..3_600 {
            record(&mut ring, Warning, Kind::TunnelRefused, "gw-b", NOW + second * 1_000);
        }
        let (rows, _) = ring.after(0);
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row.count == 600), "{rows:?}");
    }

    #[test]
    fn a_series_is_logged_at_its_beginning_and_once_a_minute() {
        let mut ring = Ring::default();
        let logged: Vec<_> = (0..150)
            .filter_map(|second| {
                let now = NOW + second * 1_000;
                record(&mut ring, Error, Kind::TunnelDown, "gw-b", now).map(|line| (second, line.count))
            })
            .collect();
        assert_eq!(logged, [(0, 1), (60, 61), (120, 121)]);
    }

    #[test]
    fn each_reason_of_a_refusal_is_logged_once_a_minute() {
        let mut ring = Ring::default();
        let mut logged = |reason: &str, now_ms| {
            ring.record((Warning, Kind::TunnelRefused), "gw-b", reason, now_ms).map(|line| line.count)
        };
        assert_eq!(logged("expired", NOW), Some(1));
        assert_eq!(logged("revoked", NOW + 1), Some(2));
        assert_eq!(logged("expired", NOW + 2), None);
        assert_eq!(logged("expired", NOW + 60_000), Some(4));
        let lines = (0..50).filter(|number| logged(&format!("reason {number}"), NOW + 60_001).is_some());
        assert_eq!(lines.count(), 7, "who invents reasons is not heard for ever");
    }

    #[test]
    fn a_flood_of_one_kind_pushes_out_nothing_of_another() {
        let mut ring = Ring::default();
        record(&mut ring, Error, Kind::CertificateExpires, "gw-a", NOW);
        record(&mut ring, Info, Kind::NodeStarted, "gw-a", NOW);
        for peer in 0..5_000 {
            record(&mut ring, Warning, Kind::TunnelRefused, &format!("gw-{peer}"), NOW);
        }
        let (rows, missed) = ring.after(0);
        assert_eq!((rows.len(), missed), (CAPACITY, 5_002 - CAPACITY as u64));
        assert_eq!([&rows[0].kind, &rows[1].kind], ["certificate_expires", "node_started"]);
        assert_eq!(rows.last().map(|row| row.subject.as_str()), Some("gw-4999"), "the latest are kept");
    }

    #[test]
    fn errors_stay_where_trifles_crowd() {
        let mut ring = Ring::default();
        for peer in 0..2_000 {
            record(&mut ring, Error, Kind::TunnelDown, &format!("gw-{peer}"), NOW);
            record(&mut ring, Info, Kind::TunnelUp, &format!("gw-{peer}"), NOW);
        }
        let (rows, _) = ring.after(0);
        let errors = rows.iter().filter(|row| row.severity == Error).count();
        assert!(errors > 3 * (CAPACITY - errors), "{errors} errors of {CAPACITY}");
    }

    #[test]
    fn strangers_have_little_room_of_their_own() {
        let mut ring = Ring::default();
        record(&mut ring, Warning, Kind::TunnelRefused, "gw-b", NOW);
        for stranger in 0..1_000 {
            record(&mut ring, Warning, Kind::StrangerRefused, &format!("203.0.113.{stranger}"), NOW);
        }
        let rows = subjects(&ring);
        assert_eq!((rows.len(), rows[0].as_str()), (33, "gw-b"));
        assert_eq!(ring.after(0).1, 1_000 - 32);
    }

    #[test]
    fn who_asks_late_is_told_how_much_it_missed() {
        let mut ring = Ring::default();
        for peer in 0..CAPACITY + 10 {
            record(&mut ring, Info, Kind::TunnelUp, &format!("gw-{peer}"), NOW);
        }
        assert_eq!(ring.after(4).1, 6, "numbers 5 to 10 are gone");
        assert_eq!(ring.after(10), (ring.after(0).0, 0));
    }
}
