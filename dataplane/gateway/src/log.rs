//! Where the log goes: to standard error, or with its fields to the journal that standard error is connected to.

use std::io::{self, IsTerminal};

use gridway_config::{Log, LogFormat};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Set by systemd to the device and inode of the journal's end of standard error (systemd.exec(5)).
const STREAM: &str = "JOURNAL_STREAM";
/// In front of the names of fields in the journal.
const PREFIX: &str = "GRIDWAY";

/// Logs from now on as `log` says.
pub(crate) fn begin(log: Log) {
    let level: Level = log.level.as_str().parse().expect("levels have the names that tracing gives them");
    if log.format == LogFormat::Text && is_journal() {
        match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(Some(PREFIX.to_owned()));
                tracing_subscriber::registry().with(LevelFilter::from_level(level)).with(journal).init();
                return;
            }
            Err(error) => eprintln!("cannot write to the journal, only to standard error: {error}"),
        }
    }
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Whether standard error is connected to the journal: a program may inherit the variable and log elsewhere.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var(STREAM) else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stderr| names(&stream, stderr.st_dev, stderr.st_ino))
}

/// Whether the variable's value names this file.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    let Some((found_device, found_inode)) = stream.split_once(':') else { return false };
    (found_device.parse(), found_inode.parse()) == (Ok(device), Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_stream_counts() {
        assert!(names("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:1234:5", ":"] {
            assert!(!names(other, 8, 1234), "{other}");
        }
    }
}
