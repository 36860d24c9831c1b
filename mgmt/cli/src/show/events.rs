//! `gridway events`.

use gridway_control::{EventRow, Events};

use super::unit::moment;
use crate::table::{Table, printable};

pub(super) fn events(events: &Events) -> Table {
    let mut table = Table::new(["TIME (UTC)", "SEVERITY", "KIND", "SUBJECT", "TIMES>", "MESSAGE"]);
    for row in &events.rows {
        table.row([
            moment(row.last_ms / 1000),
            row.severity.as_str().to_owned(),
            row.kind.clone(),
            row.subject.clone(),
            row.count.to_string(),
            row.message.clone(),
        ]);
    }
    table
}

/// One event as one line, for lists that grow.
pub(crate) fn line(row: &EventRow) -> String {
    let times = if row.count > 1 { format!(" ({} times)", row.count) } else { String::new() };
    let (severity, subject) = (row.severity.as_str(), printable(&row.subject));
    let (kind, message) = (printable(&row.kind), printable(&row.message));
    format!("{} {severity:<7} {kind} {subject}: {message}{times}", moment(row.last_ms / 1000))
}
