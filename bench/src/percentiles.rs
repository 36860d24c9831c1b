//! Latency by percentile, drawn.

use std::path::Path;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::plot::{self, Axis, Line};

/// Points between two halvings of what is left to 100 %.
const STEPS: u32 = 5;

/// A histogram of nanoseconds with its name.
pub(crate) struct Latencies<'a> {
    pub(crate) name: String,
    pub(crate) histogram: &'a Histogram<u64>,
}

/// Lines of microseconds over percentiles: as far to the right as there were packets.
pub(crate) fn draw(file: &Path, title: &str, lines: &[Latencies<'_>]) -> Result<()> {
    let shown: Vec<Line<'_>> =
        lines.iter().map(|line| Line { name: &line.name, points: points(line.histogram) }).collect();
    plot::lines(file, title, Axis::Percentiles, "us", &shown)
}

/// 1/(1 - percentile) and microseconds. The longest latency stands where one of so many packets does.
fn points(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let end = histogram.len() as f64;
    let point = |step: hdrhistogram::iterators::IterationValue<u64>| {
        let rest = 1.0 - step.quantile_iterated_to();
        let x = if rest > 0.0 { (1.0 / rest).min(end) } else { end };
        (x, step.value_iterated_to().max(1) as f64 / 1e3)
    };
    if histogram.is_empty() { Vec::new() } else { histogram.iter_quantiles(STEPS).map(point).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(last: u64) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=last).for_each(|value| histogram.record(value * 1000).unwrap());
        histogram
    }

    #[test]
    fn points_go_up_and_end_with_the_longest_of_all_packets() {
        let points = points(&histogram(1000));
        assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{points:?}");
        let (x, us) = *points.last().unwrap();
        assert!((x - 1000.0).abs() < 1e-9 && (us - 1000.0).abs() < 1.0, "{x} {us}");
    }

    #[test]
    fn plots_name_their_lines_and_need_one() {
        let directory = std::env::temp_dir().join(format!("gridway-percentiles-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("one.svg");
        let drawn = histogram(1000);
        draw(&file, "64 bytes", &[Latencies { name: "Gridway, idle".to_owned(), histogram: &drawn }])
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let none = draw(&file, "none", &[Latencies { name: String::new(), histogram: &histogram(0) }]);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(text.contains("Gridway, idle") && text.contains("64 bytes"), "{text}");
        assert!(none.is_err());
    }
}
