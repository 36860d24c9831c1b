//! Answers as JSON, or for people.

mod counters;
mod flows;
mod policy;
mod sessions;
mod status;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use gridway_control::{ClientError, Killed, Reply};
use serde::Serialize;

use crate::error::CliError;

/// None is no for an answer.
fn some(killed: Killed) -> Result<(), CliError> {
    match killed {
        Killed::Flows(0) => Err(CliError::NoFlow),
        Killed::Sessions(0) => Err(CliError::NoSession),
        Killed::Flows(_) | Killed::Sessions(_) => Ok(()),
    }
}

/// The value of a reply, whose keys are stable. Flows and sessions are the list of rows.
pub(crate) fn json(reply: &Reply, out: &mut impl Write) -> Result<(), CliError> {
    match reply {
        Reply::Status(status) => write_json(status, out),
        Reply::Peers(rows) => write_json(rows, out),
        Reply::Routes(rows) => write_json(rows, out),
        Reply::Flows(flows) => {
            flows::warn_of_more(flows);
            write_json(&flows.rows, out)
        }
        Reply::Killed(killed) => {
            write_json(killed, out)?;
            some(*killed)
        }
        Reply::Sessions(sessions) => {
            sessions::warn_of_more(sessions);
            write_json(&sessions.rows, out)
        }
        Reply::Connectors(rows) => write_json(rows, out),
        Reply::Services(rows) => write_json(rows, out),
        Reply::Counters(counters) => write_json(counters, out),
        Reply::Nat(rows) => write_json(rows, out),
        Reply::Acl(rows) => write_json(rows, out),
        Reply::Config(config) => write_json(&toml::from_str::<serde_json::Value>(&config.toml)?, out),
        Reply::Limits(rows) => write_json(rows, out),
        Reply::Error(failure) => Err(ClientError::from(failure.clone()).into()),
        other => write_json(&serde_json::to_value(other)?["value"], out),
    }
}

/// Tables and lines.
pub(crate) fn text(reply: &Reply, out: &mut impl Write) -> Result<(), CliError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match reply {
        Reply::Status(status) => status::status(status, out)?,
        Reply::Peers(rows) => status::peers(rows).write(out)?,
        Reply::Routes(rows) => policy::routes(rows).write(out)?,
        Reply::Flows(flows) => {
            flows::warn_of_more(flows);
            flows::flows(flows).write(out)?;
        }
        Reply::Killed(killed) => {
            some(*killed)?;
            match killed {
                Killed::Flows(count) => writeln!(out, "{count} flow(s) ended")?,
                Killed::Sessions(count) => writeln!(out, "{count} session(s) ended")?,
            }
        }
        Reply::Sessions(sessions) => {
            sessions::warn_of_more(sessions);
            sessions::sessions(sessions).write(out)?;
        }
        Reply::Connectors(rows) => sessions::connectors(rows).write(out)?,
        Reply::Services(rows) => sessions::services(rows).write(out)?,
        Reply::Counters(counters) => counters::counters(counters, out)?,
        Reply::Nat(rows) => policy::nat(rows, now).write(out)?,
        Reply::Acl(rows) => policy::acl(rows, now).write(out)?,
        Reply::Config(config) => write!(out, "{}", config.toml)?,
        Reply::Limits(rows) => status::limits(rows).write(out)?,
        Reply::Error(failure) => return Err(ClientError::from(failure.clone()).into()),
        other => json(other, out)?,
    }
    Ok(())
}

fn write_json(value: &impl Serialize, out: &mut impl Write) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Seconds as people say them: `59s`, `3m20s`, `5h3m`, `12d4h`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// Microseconds as milliseconds: `1.234 ms`.
fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_show_two_units() {
        let spans = [0, 59, 60, 3599, 3600, 86_400, 1_000_000].map(span);
        assert_eq!(spans, ["0s", "59s", "1m0s", "59m59s", "1h0m", "1d0h", "11d13h"]);
    }
}
