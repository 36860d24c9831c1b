//! Answers as JSON, or for people.

pub(crate) mod config;
mod counters;
pub(crate) mod events;
mod flows;
pub(crate) mod packet;
mod page;
mod policy;
mod sessions;
pub(crate) mod status;
pub(crate) mod unit;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use gridway_control::{Killed, Reply};
use serde::Serialize;

use crate::error::CliError;
use crate::table::printable_text;
pub(crate) use page::Page;

/// Shows an answer; one that says no is an error behind it.
pub(crate) fn show(reply: &Reply, as_json: bool, out: &mut impl Write) -> Result<(), CliError> {
    notes(reply);
    if as_json {
        json(reply, out)?;
        some(reply)
    } else {
        some(reply)?;
        page(reply).write(out)?;
        Ok(())
    }
}

/// The value of a reply, whose keys are stable. Flows and sessions are the list of rows.
pub(crate) fn json(reply: &Reply, out: &mut impl Write) -> Result<(), CliError> {
    match reply {
        Reply::Status(status) => write_json(status, out),
        Reply::Peers(rows) => write_json(rows, out),
        Reply::Routes(rows) => write_json(rows, out),
        Reply::Flows(flows) => write_json(&flows.rows, out),
        Reply::Killed(killed) => write_json(killed, out),
        Reply::Sessions(sessions) => write_json(&sessions.rows, out),
        Reply::Connectors(rows) => write_json(rows, out),
        Reply::Services(rows) => write_json(rows, out),
        Reply::Counters(counters) => write_json(counters, out),
        Reply::Nat(rows) => write_json(rows, out),
        Reply::Acl(rows) => write_json(rows, out),
        Reply::Config(config) | Reply::Version(config) => {
            write_json(&toml::from_str::<serde_json::Value>(&config.toml)?, out)
        }
        Reply::Limits(rows) => write_json(rows, out),
        Reply::Connections(rows) => write_json(rows, out),
        Reply::ConfigState(state) => write_json(state, out),
        Reply::Judgement(judgement) => write_json(judgement, out),
        Reply::InForce(in_force) => write_json(in_force, out),
        Reply::Events(events) => write_json(events, out),
        Reply::Trace(trace) => write_json(trace, out),
        Reply::Captured(packet) => write_json(packet, out),
        Reply::Ping(ping) => write_json(ping, out),
        Reply::End(end) => write_json(end, out),
        Reply::History(rows) => write_json(rows, out),
        Reply::Error(failure) => write_json(failure, out),
    }
}

/// Tables and lines.
pub(crate) fn page(reply: &Reply) -> Page {
    let now = now();
    match reply {
        Reply::Status(status) => status::status(status, now),
        Reply::Peers(rows) => status::peers(rows).into(),
        Reply::Routes(rows) => policy::routes(rows).into(),
        Reply::Flows(flows) => flows::flows(flows).into(),
        Reply::Killed(Killed::Flows(count)) => Page::text(format!("{count} flow(s) ended\n")),
        Reply::Killed(Killed::Sessions(count)) => Page::text(format!("{count} session(s) ended\n")),
        Reply::Sessions(sessions) => sessions::sessions(sessions).into(),
        Reply::Connectors(rows) => sessions::connectors(rows).into(),
        Reply::Services(rows) => sessions::services(rows).into(),
        Reply::Counters(counters) => counters::counters(counters),
        Reply::Nat(rows) => policy::nat(rows, now).into(),
        Reply::Acl(rows) => policy::acl(rows, now).into(),
        Reply::Config(config) | Reply::Version(config) => Page::text(toml(&config.toml)),
        Reply::Limits(rows) => status::limits(rows).into(),
        Reply::Connections(rows) => status::connections(rows).into(),
        Reply::ConfigState(state) => config::state(state, now),
        Reply::Judgement(judgement) => config::judgement(judgement),
        Reply::InForce(in_force) => Page::text(toml(&in_force.toml)),
        Reply::Events(events) => events::events(events).into(),
        Reply::Trace(trace) => Page::text(packet::trace(trace)),
        Reply::Captured(packet) => Page::text(packet::captured(packet)),
        Reply::Ping(ping) => Page::text(packet::ping(ping)),
        Reply::End(end) => Page::text(format!("{} row(s), {} missed\n", end.rows, end.missed)),
        Reply::History(rows) => config::history(rows).into(),
        Reply::Error(failure) => Page::text(format!("{}\n", printable_text(&failure.to_string()))),
    }
}

/// A configuration: as it is for a file, and without what could steer a terminal for one.
fn toml(text: &str) -> Cow<'_, str> {
    if io::stdout().is_terminal() { printable_text(text).into() } else { text.into() }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// None is no for an answer.
fn some(reply: &Reply) -> Result<(), CliError> {
    match reply {
        Reply::Killed(Killed::Flows(0)) => Err(CliError::NoFlow),
        Reply::Killed(Killed::Sessions(0)) => Err(CliError::NoSession),
        _ => Ok(()),
    }
}

/// Says on standard error what the answer leaves out.
fn notes(reply: &Reply) {
    match reply {
        Reply::Flows(flows) => flows::warn_of_more(flows),
        Reply::Sessions(sessions) => sessions::warn_of_more(sessions),
        Reply::Events(events) if events.missed > 0 => {
            eprintln!("{} event(s) were forgotten before they were asked for", events.missed);
        }
        _ => {}
    }
}

pub(crate) fn write_json(value: &impl Serialize, out: &mut impl Write) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// JSON in one line, for lists that come row by row.
pub(crate) fn write_json_line(value: &impl Serialize, out: &mut impl Write) -> Result<(), CliError> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}
