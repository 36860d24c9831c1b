//! `gridway config state` and `history`.

use gridway_control::{ConfigState, Judgement, VersionRow};

use super::page::Page;
use super::unit::{moment, short_digest, span};
use crate::table::{Table, printable, printable_text};

/// How to keep a change.
pub(crate) const CONFIRM: &str = "gridway config confirm";

/// What is in force, as names and values.
pub(super) fn lines(state: &ConfigState, now: u64) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("config", format!("{}, generation {}", short_digest(&state.digest), state.generation)),
        ("in force", since(state, now)),
    ];
    let saved =
        if state.saved { "yes: a restart begins with it" } else { "no: a restart begins with another one" };
    lines.push(("saved", saved.to_owned()));
    if let Some(pending) = &state.pending {
        let left = span(pending.left_s);
        let back = short_digest(&pending.previous);
        lines.push((
            "pending",
            format!("made by {}; {back} comes back in {left} unless you run: {CONFIRM}", pending.by),
        ));
    }
    lines
}

/// `since 2026-11-26 18:40:02 UTC (3m20s ago), by alice`.
pub(crate) fn since(state: &ConfigState, now: u64) -> String {
    let ago = span(now.saturating_sub(state.since));
    format!("since {} UTC ({ago} ago), by {}", moment(state.since), printable(&state.by))
}

pub(super) fn state(state: &ConfigState, now: u64) -> Page {
    let lines = lines(state, now);
    Page::text(
        lines.iter().map(|(name, value)| format!("{name:<12}{}\n", printable(value))).collect::<String>(),
    )
}

pub(super) fn history(rows: &[VersionRow]) -> Table {
    let mut table =
        Table::new(["VERSION>", "STATE", "SINCE (UTC)", "BY", "LINES ADDED>", "REMOVED>", "DIGEST"]);
    for row in rows {
        table.row([
            row.version.to_string(),
            row.state.clone(),
            moment(row.since),
            row.by.clone(),
            row.added.to_string(),
            row.removed.to_string(),
            short_digest(&row.digest),
        ]);
    }
    table
}

/// Errors and warnings of a configuration, then what it would change.
pub(super) fn judgement(judgement: &Judgement) -> Page {
    let mut text = String::new();
    for error in &judgement.errors {
        text.push_str(&format!("error: {}\n", printable(error)));
    }
    for warning in &judgement.warnings {
        text.push_str(&format!("warning: {}\n", printable(warning)));
    }
    text.push_str(&diff(&judgement.diff));
    Page::text(text)
}

/// A unified diff without what could steer a terminal; says so where there is nothing.
pub(crate) fn diff(diff: &str) -> String {
    if diff.is_empty() {
        return "no differences\n".to_owned();
    }
    printable_text(diff)
}
