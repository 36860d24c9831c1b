//! How results are shown and kept.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::trial::Trial;
use crate::statistics::{median, spread};

/// A line of the table of rates.
pub(crate) fn show_rates(contender: &str, size: &str, [no_drop, partial_drop]: [f64; 2], ratio: f64) {
    println!("{contender:<30} {size:>9} {no_drop:>12.0} {partial_drop:>12.0} {ratio:>7.2}");
}

/// Heads the lines of [`show_trial`].
pub(crate) fn show_trial_head() {
    let [p50, p99, most] = ["50 % us", "99 % us", "most us"];
    println!(
        "{:>10} {:>10} {:>9} {:>6} {:>6} {:>9} {p50:>9} {p99:>9} {most:>9}",
        "sent/s", "received/s", "lost %", "again", "late", "overrun"
    );
}

/// A trial in a line, and its directions in one each.
pub(crate) fn show_trial(trial: &Trial) {
    show_direction(trial);
    trial.directions.iter().for_each(show_direction);
}

fn show_direction(trial: &Trial) {
    let [p50, _, p99, _, most] = trial.latency_us;
    println!(
        "{:>10.0} {:>10.0} {:>9.4} {:>6} {:>6} {:>9} {p50:>9.1} {p99:>9.1} {most:>9.1}",
        trial.offered,
        trial.delivered,
        trial.loss * 100.0,
        trial.duplicates,
        trial.reordered,
        trial.overrun,
    );
}

/// The table of latencies: contender, size, load, trial.
pub(crate) fn show_latencies<'a>(rows: impl Iterator<Item = (&'a str, &'a str, f64, &'a Trial)>) {
    println!(
        "\n{:<30} {:>9} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "latency, us", "bytes", "load", "50 %", "90 %", "99 %", "99.9 %", "most"
    );
    for (contender, size, load, trial) in rows {
        let quantiles = trial.latency_us.map(|us| format!("{us:>9.0}")).join(" ");
        println!("{contender:<30} {size:>9} {load:>5.1} {quantiles}");
    }
}

/// Median, least and most of the rounds; a dash where nothing was measured.
pub(crate) fn figure(samples: &[f64]) -> String {
    if samples.is_empty() {
        return "-".to_owned();
    }
    let (least, most) = spread(samples);
    format!("{:.0} ({least:.0} to {most:.0})", median(samples))
}

/// As [`figure`], of rates of which some may not be the highest that is borne.
pub(crate) fn figure_of(rates: &[f64], at_least: bool) -> String {
    format!("{}{}", if at_least { "≥ " } else { "" }, figure(rates))
}

/// The median of `ours` over `theirs`, round by round, with the least and the most; a dash where
/// nothing was measured or came through.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    if theirs.is_empty() || theirs.iter().any(|theirs| *theirs <= 0.0) {
        return "-".to_owned();
    }
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    let (least, most) = spread(&ratios);
    format!("{:.2} ({least:.2} to {most:.2})", median(&ratios))
}

/// What files of a measurement are called; those of a short run lie beside the others and are not kept (`.gitignore`).
pub(crate) fn name(measurement: &str, quick: bool) -> String {
    format!("{measurement}{}", if quick { "-quick" } else { "" })
}

/// A name for files.
pub(crate) fn slug(text: &str) -> String {
    let mut slug: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    slug.trim_matches('-').to_owned()
}

/// Writes results as JSON and says where.
pub(crate) fn write_json(file: &Path, results: &impl Serialize) -> Result<()> {
    write(file, &(serde_json::to_string_pretty(results)? + "\n"))?;
    println!("figures: {}", file.display());
    Ok(())
}

/// Writes a histogram of nanoseconds in the percentile format of HdrHistogram's plotter, in microseconds.
pub(crate) fn write_percentiles(file: &Path, histogram: &Histogram<u64>) -> Result<()> {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for step in histogram.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / 1e3, step.quantile_iterated_to());
        let rest = if quantile < 1.0 { format!("{:>14.2}", 1.0 / (1.0 - quantile)) } else { String::new() };
        writeln!(text, "{value:>12.3} {quantile:>14.12} {total:>10} {rest}")?;
    }
    writeln!(
        text,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        histogram.mean() / 1e3,
        histogram.stdev() / 1e3
    )?;
    writeln!(
        text,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        histogram.max() as f64 / 1e3,
        histogram.len()
    )?;
    write(file, &text)
}

/// Writes a file, and its directory.
pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What rivals say of their versions, a line each; nothing of those that say nothing.
pub(crate) fn versions<'a>(of: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    of.filter(|(_, version)| !version.is_empty())
        .map(|(name, version)| format!("- {name}: {version}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_end_with_all_values() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=1000_u64).for_each(|value| histogram.record(value * 1000).unwrap());
        let directory = std::env::temp_dir().join(format!("gridway-bench-{}", std::process::id()));
        let file = directory.join("one.hgrm");
        write_percentiles(&file, &histogram).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let words: Vec<_> = last.split_whitespace().collect();
        assert_eq!(words, ["1000.447", "1.000000000000", "1000"]);
        assert!(text.contains("Total count    =         1000]"), "{text}");
    }

    #[test]
    fn figures_and_ratios_are_of_the_rounds() {
        assert_eq!(figure(&[3.0, 1.0, 2.0]), "2 (1 to 3)");
        assert_eq!(ratio(&[4.0, 3.0, 2.0], &[2.0, 1.0, 2.0]), "2.00 (1.00 to 3.00)");
        assert_eq!(figure_of(&[3.0], true), "≥ 3 (3 to 3)");
        assert_eq!([figure(&[]), ratio(&[1.0], &[]), ratio(&[1.0], &[0.0])], ["-", "-", "-"]);
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("kernel forwarding, no tunnel"), "kernel-forwarding-no-tunnel");
    }
}
