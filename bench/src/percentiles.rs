//! Latency by percentile, drawn.

use std::path::Path;

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use plotters::prelude::*;

use crate::plot::COLOURS;

const SIZE: (u32, u32) = (900, 480);
/// Points between two halvings of what is left to 100 %.
const STEPS: u32 = 5;

/// A histogram of nanoseconds with its name.
pub(crate) struct Latencies<'a> {
    pub(crate) name: String,
    pub(crate) histogram: &'a Histogram<u64>,
}

/// Lines of microseconds over percentiles, which stand at 1/(1 - percentile) on a logarithmic axis: as far to the right as
/// there were packets.
pub(crate) fn draw(file: &Path, title: &str, lines: &[Latencies<'_>]) -> Result<()> {
    let drawn: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| points(line.histogram)).collect();
    let all = || drawn.iter().flatten();
    let right = all().map(|point| point.0).fold(10.0, f64::max);
    let least = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = all().map(|point| point.1).fold(0.0, f64::max);
    if !least.is_finite() {
        return Err(anyhow!("nothing to draw in {}", file.display()));
    }
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let draw = || -> std::result::Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(20)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((1.0..right).log_scale(), (least * 0.9..most * 1.2).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("percentile")
            .y_desc("us")
            .x_label_formatter(&|x: &f64| percentile(*x))
            .draw()?;
        for (n, (line, points)) in lines.iter().zip(&drawn).enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(1)))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
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

/// What stands at `x`, in percent.
fn percentile(x: f64) -> String {
    let text = format!("{:.6}", 100.0 - 100.0 / x);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    fn the_axis_says_percentiles() {
        assert_eq!([1.0, 2.0, 10.0, 1000.0].map(percentile), ["0", "50", "90", "99.9"]);
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
