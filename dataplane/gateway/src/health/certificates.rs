//! Certificates and revocation lists that end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gridway_control::Severity;
use gridway_tunnel::Credentials;
use gridway_tunnel::terms::{Part, Term};
use time::OffsetDateTime;

use crate::events::Kind;
use crate::node::Node;

const DAY: Duration = Duration::from_secs(86_400);
/// When an end is announced: this long before, and not before this part of the term is left. A list that is renewed
/// every week need not be announced every week.
const STAGES: [(Duration, u32, Severity); 3] = [
    (DAY.saturating_mul(30), 2, Severity::Info),
    (DAY.saturating_mul(7), 4, Severity::Warning),
    (DAY, 10, Severity::Error),
];

/// The stage of each term that was announced last.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    of: Option<Arc<Credentials>>,
    announced: HashMap<Term, usize>,
}

impl Certificates {
    pub(super) fn look(&mut self, node: &Node) {
        let credentials = node.credentials.load_full();
        let terms = credentials.terms();
        if !self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, &credentials)) {
            self.announced.retain(|term, _| terms.contains(term));
        }
        let now = SystemTime::now();
        for term in terms {
            let (reached, announced) = (stage(term, now), self.announced.get(term).copied().unwrap_or(0));
            // A clock that is set back announces again what it passes again.
            if reached != announced {
                self.announced.insert(term.clone(), reached);
            }
            if reached > announced {
                let severity = STAGES[reached.min(STAGES.len()) - 1].2;
                let subject = format!("{} {}", term.part.as_str(), term.name);
                node.events.record(severity, Kind::CertificateExpires, &subject, message(term, now));
            }
        }
        self.of = Some(credentials);
    }
}

/// How many of the stages are reached, and the end as one more.
fn stage(term: &Term, now: SystemTime) -> usize {
    let Ok(left) = term.until.duration_since(now) else { return STAGES.len() + 1 };
    let whole = term.until.duration_since(term.from).unwrap_or_default();
    STAGES.iter().take_while(|(before, part, _)| left <= (*before).min(whole / *part)).count()
}

fn message(term: &Term, now: SystemTime) -> String {
    let end = OffsetDateTime::from(term.until);
    let end = format!("{} {:02}:{:02} UTC", end.date(), end.hour(), end.minute());
    let effect = match term.part {
        Part::Certificate | Part::Intermediate | Part::Ca => "tunnels end and no other is accepted then",
        Part::Crl => "no new tunnel is accepted then",
    };
    match term.until.duration_since(now) {
        Ok(left) => format!("it ends in {}, on {end}; {effect}: replace the file in time", shown(left)),
        Err(_) => format!("it has ended, on {end}: replace the file"),
    }
}

fn shown(left: Duration) -> String {
    let hours = left.as_secs() / 3_600;
    match hours {
        0 => format!("{} minutes", left.as_secs() / 60),
        1..48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(days: u32) -> Term {
        let from = SystemTime::UNIX_EPOCH + DAY * 20_000;
        Term { part: Part::Certificate, name: "gw-a.lab.example".to_owned(), from, until: from + DAY * days }
    }

    #[test]
    fn an_end_is_announced_30_7_and_1_days_before_and_when_it_has_come() {
        let term = term(365);
        let stages = [31, 30, 8, 7, 2, 1, 0].map(|left| stage(&term, term.until - DAY * left));
        assert_eq!(stages, [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(stage(&term, term.until + Duration::from_secs(1)), 4);
    }

    #[test]
    fn a_short_term_is_announced_late() {
        let week = term(7);
        assert_eq!(stage(&week, week.from), 0, "a list that is new is no news");
        let hours = |left| stage(&week, week.until - DAY * left / 24);
        assert_eq!([hours(85), hours(84), hours(43), hours(42), hours(17), hours(16)], [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn the_message_says_when_and_what_then() {
        let term = term(365);
        let said = message(&term, term.until - Duration::from_secs(30 * 3_600));
        assert_eq!(
            said,
            "it ends in 30 hours, on 2025-10-04 00:00 UTC; tunnels end and no other is accepted then: replace the file in time"
        );
        assert!(message(&term, term.until + DAY).starts_with("it has ended"));
    }
}
