//! What goes wrong is said once a minute, however often it does.

use std::time::Duration;

use gridway_wire::time::Nanos;

const INTERVAL: Duration = Duration::from_secs(60);

/// When something may be said again.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    next: Option<Nanos>,
}

impl Complaint {
    /// Whether it may be said now.
    pub(super) fn may_be_said(&mut self, now: Nanos) -> bool {
        let may = self.next.is_none_or(|next| now >= next);
        if may {
            self.next = Some(now + INTERVAL);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute() {
        let (mut complaint, start) = (Complaint::default(), Nanos(7));
        let said = [0, 1, 59, 60, 61, 119, 120].map(|second| {
            let at = start + Duration::from_secs(second);
            complaint.may_be_said(at)
        });
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }
}
