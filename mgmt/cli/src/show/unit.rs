//! Numbers, times and addresses as people read them.

use std::net::SocketAddr;

use gridway_control::Tuple;
use time::OffsetDateTime;

use crate::value::PROTOCOL_ICMPV6;

/// Seconds as people say them: `59s`, `3m20s`, `5h3m`, `12d4h`.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// Microseconds as milliseconds: `1.234 ms`.
pub(crate) fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

/// Microseconds as milliseconds without the unit, three figures or more: `1.23`, `41.2`, `999`.
pub(crate) fn short_milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{:02}", microseconds / 1000, microseconds % 1000 / 10),
        10_000..100_000 => format!("{}.{}", microseconds / 1000, microseconds % 1000 / 100),
        _ => (microseconds / 1000).to_string(),
    }
}

/// A moment in UTC: `2026-11-26 18:40:02`. Seconds since 1970 that no calendar holds stay a number.
pub(crate) fn moment(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    let Some(moment) = moment else { return seconds.to_string() };
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, second) = moment.to_hms();
    format!("{year}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}", u8::from(month))
}

/// A time of day in UTC with microseconds: `18:40:02.000123`.
pub(crate) fn time_of_day(microseconds: u64) -> String {
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{rest:06}")
}

/// How long ago a moment was.
pub(crate) fn ago(time: Option<u64>, now: u64) -> String {
    time.map_or(String::new(), |time| format!("{} ago", span(now.saturating_sub(time))))
}

/// A number with its magnitude: `950`, `1.5k`, `320M`.
pub(crate) fn magnitude(number: u64) -> String {
    let mut scaled = number;
    let mut tenths = 0;
    for unit in ["", "k", "M", "G", "T", "P", "E"] {
        if scaled < 1000 {
            return match (unit, scaled) {
                ("", _) => scaled.to_string(),
                (_, 0..=9) => format!("{scaled}.{tenths}{unit}"),
                _ => format!("{scaled}{unit}"),
            };
        }
        tenths = scaled % 1000 / 100;
        scaled /= 1000;
    }
    number.to_string()
}

pub(crate) fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        PROTOCOL_ICMPV6 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

/// `10.1.0.2:40000 > 172.16.2.2:443`.
pub(crate) fn ends(tuple: &Tuple) -> String {
    let source = SocketAddr::new(tuple.src, tuple.sport);
    let destination = SocketAddr::new(tuple.dst, tuple.dport);
    format!("{source} > {destination}")
}

/// The first figures of a digest, enough to tell versions apart.
pub(crate) fn short_digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_two_units() {
        let spans = [0, 59, 60, 3599, 3600, 86_400, 1_000_000].map(span);
        assert_eq!(spans, ["0s", "59s", "1m0s", "59m59s", "1h0m", "1d0h", "11d13h"]);
    }

    #[test]
    fn magnitudes_have_two_or_three_figures() {
        let numbers = [0, 999, 1000, 1549, 10_000, 999_999, 1_000_000, u64::MAX].map(magnitude);
        assert_eq!(numbers, ["0", "999", "1.0k", "1.5k", "10k", "999k", "1.0M", "18E"]);
    }

    #[test]
    fn short_times_have_three_figures() {
        let times = [0, 1234, 9_999, 41_250, 999_999, 1_234_567].map(short_milliseconds);
        assert_eq!(times, ["0.00", "1.23", "9.99", "41.2", "999", "1234"]);
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(1_795_718_402), "2026-11-26 18:40:02");
        assert_eq!(moment(u64::MAX), u64::MAX.to_string());
        assert_eq!(time_of_day(1_795_718_402_000_123), "18:40:02.000123");
    }
}
