//! Plots, as SVG.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::combinators::BindKeyPoints;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::statistics::{median, spread};

const WIDTH: u32 = 900;
const MARGIN: u32 = 20;
const BAR_HEIGHT: u32 = 34;
/// Of lines, in their order; the first is Gridway's.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0xe3, 0x77, 0xc2),
    RGBColor(0x7f, 0x7f, 0x7f),
];

/// A bar with its spread.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    pub(crate) spread: (f64, f64),
}

impl<'a> Bar<'a> {
    /// The median of `samples`, from least to most.
    pub(crate) fn of(name: &'a str, samples: &[f64]) -> Self {
        Self { name, value: median(samples), spread: spread(samples) }
    }
}

/// One line of a plot.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Horizontal bars, the first one on top, each with a whisker from least to most.
pub(crate) fn bars(file: &Path, title: &str, bars: &[Bar<'_>]) -> Result<()> {
    let most = bars.iter().map(|bar| bar.spread.1.max(bar.value)).fold(1.0, f64::max);
    let height = BAR_HEIGHT * bars.len() as u32 + 90;
    let root = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    let draw = || -> std::result::Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        let last = bars.len() as f64;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(MARGIN)
            .x_label_area_size(28)
            .y_label_area_size(230)
            .build_cartesian_2d(0.0..most * 1.12, 0.0..last)?;
        chart.configure_mesh().disable_y_mesh().disable_y_axis().x_labels(8).draw()?;
        for (n, bar) in bars.iter().enumerate() {
            let top = last - n as f64;
            let colour = if bar.name == "Gridway" { COLOURS[0] } else { COLOURS[1] };
            let area = [(0.0, top - 0.2), (bar.value, top - 0.8)];
            chart.draw_series([Rectangle::new(area, colour.mix(0.8).filled())])?;
            let whisker = vec![(bar.spread.0, top - 0.5), (bar.spread.1, top - 0.5)];
            chart.draw_series([PathElement::new(whisker, BLACK.stroke_width(2))])?;
            let number = format!("{:.0}", bar.value);
            let beside = (bar.spread.1.max(bar.value) + most * 0.01, top - 0.32);
            chart.draw_series([Text::new(number, beside, ("sans-serif", 14))])?;
            let (x, y) = chart.backend_coord(&(0.0, top - 0.5));
            root.draw_text(bar.name, &TextStyle::from(("sans-serif", 14)), (x - 225, y - 7))?;
        }
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

/// What lies along the horizontal axis of lines.
#[derive(Clone, Copy)]
pub(crate) enum Axis<'a> {
    /// Values from 0, so many that only the line between them is drawn.
    Linear(&'a str),
    /// Sizes, few and far apart: each is marked.
    Logarithmic(&'a str),
    /// Percentiles, each at 1/(1 - percentile).
    Percentiles,
}

/// How lines are drawn.
struct Style<'a> {
    /// What lies along the horizontal axis, and how it is written there.
    x: &'a str,
    label: fn(f64) -> String,
    marked: bool,
    /// Where there is room for names.
    names: SeriesLabelPosition,
}

/// Lines over a common axis; values, which `unit` names, on a logarithmic one.
pub(crate) fn lines(file: &Path, title: &str, x: Axis<'_>, unit: &str, lines: &[Line<'_>]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (Some(sizes), Some(values)) =
        (positive(points().map(|point| point.0)), positive(points().map(|point| point.1)))
    else {
        return Err(anyhow!("nothing to draw in {}", file.display()));
    };
    // Costs grow with sizes and percentiles: the upper left corner is free.
    let corner = SeriesLabelPosition::UpperLeft;
    match x {
        Axis::Linear(x) => {
            let style = Style { x, label: grouped, marked: false, names: SeriesLabelPosition::MiddleRight };
            draw(file, title, 0.0..sizes.end, values, unit, lines, &style)
        }
        Axis::Logarithmic(x) => {
            let style = Style { x, label: grouped, marked: true, names: corner };
            let tens = steps(&sizes, &[1.0]);
            let sizes = (sizes.start / 1.3..sizes.end * 1.3).log_scale().with_key_points(tens);
            draw(file, title, sizes, values, unit, lines, &style)
        }
        Axis::Percentiles => {
            let style = Style { x: "percentile", label: percentile, marked: false, names: corner };
            draw(file, title, (1.0..sizes.end.max(10.0)).log_scale(), values, unit, lines, &style)
        }
    }
    .map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

/// From the least to the most of those that a logarithmic axis can show.
fn positive(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (least, most) = spread(&values.filter(|value| *value > 0.0).collect::<Vec<_>>());
    least.is_finite().then_some(least..most)
}

/// `multiples` of powers of ten around `shown`: the last one that is not above it, those within, the first that is not
/// below it.
fn steps(shown: &Range<f64>, multiples: &[f64]) -> Vec<f64> {
    let decades = shown.start.log10().floor() as i32..=shown.end.log10().ceil() as i32;
    let all: Vec<f64> =
        decades.flat_map(|n| multiples.iter().map(move |multiple| multiple * 10_f64.powi(n))).collect();
    let first = all.iter().rposition(|step| *step <= shown.start).unwrap_or(0);
    let last = all.iter().position(|step| *step >= shown.end).unwrap_or(all.len() - 1);
    all[first..=last].to_vec()
}

fn draw<X>(
    file: &Path,
    title: &str,
    x: X,
    values: Range<f64>,
    unit: &str,
    lines: &[Line<'_>],
    style: &Style<'_>,
) -> std::result::Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let ticks = steps(&values, &[1.0, 2.0, 5.0]);
    // A line along the edge would be hard to see.
    let ends = [ticks[0] * 0.95, ticks[ticks.len() - 1] * 1.05];
    let root = SVGBackend::new(file, (WIDTH, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(MARGIN)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(x, (ends[0]..ends[1]).log_scale().with_key_points(ticks))?;
    chart
        .configure_mesh()
        .x_desc(style.x)
        .y_desc(unit)
        .x_label_formatter(&|x| (style.label)(*x))
        .y_label_formatter(&|y| grouped(*y))
        .draw()?;
    for (n, line) in lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(1)))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        if style.marked {
            chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(style.names.clone())
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

/// The percentile that stands at 1/(1 - percentile), in percent.
fn percentile(x: f64) -> String {
    let text = format!("{:.6}", 100.0 - 100.0 / x);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number at an axis: thousands are set apart, and fractions shown where there are some.
fn grouped(number: f64) -> String {
    let text = format!("{}", (number * 1e3).round() / 1e3);
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",") + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_name_what_they_show() {
        let directory = std::env::temp_dir().join(format!("gridway-plot-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let [first, second, third] = ["bars.svg", "lines.svg", "sizes.svg"].map(|name| directory.join(name));
        let shown = [("Gridway", [1400.0, 1500.0, 1600.0]), ("another", [290.0, 300.0, 310.0])];
        bars(&first, "Mbit/s", &shown.each_ref().map(|(name, samples)| Bar::of(name, samples))).unwrap();
        let line = |name, points| Line { name, points };
        let seconds = Axis::Linear("s");
        lines(&second, "round trip", seconds, "ms", &[line("Gridway", vec![(0.0, 0.3), (1.0, 5.0)])])
            .unwrap();
        assert!(lines(&second, "none", seconds, "ms", &[line("Gridway", Vec::new())]).is_err());
        let sizes = vec![(1.0, 5.0), (1000.0, 14.0), (1e6, 52.0)];
        lines(&third, "look-up", Axis::Logarithmic("prefixes"), "ns", &[line("IPv4", sizes)]).unwrap();
        let [bars, lines, sizes] = [first, second, third].map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
        for word in ["Gridway", "another", "1500", "Mbit/s"] {
            assert!(bars.contains(word), "{word} in {bars}");
        }
        assert!(lines.contains("Gridway") && lines.contains("round trip"), "{lines}");
        for word in ["IPv4", "look-up", "prefixes", "1,000\n", "1,000,000\n", "10\n"] {
            assert!(sizes.contains(word), "{word} in {sizes}");
        }
        // Powers of ten are equally far apart, and every size is marked.
        let mut marks: Vec<f64> = sizes
            .split("<circle cx=\"")
            .skip(1)
            .map(|circle| circle.split('"').next().unwrap().parse().unwrap())
            .collect();
        marks.sort_by(f64::total_cmp);
        assert_eq!(marks.len(), 3);
        assert!(((marks[1] - marks[0]) - (marks[2] - marks[1])).abs() <= 2.0, "{marks:?}");
    }

    #[test]
    fn steps_enclose_what_is_shown() {
        let steps = |shown| steps(&shown, &[1.0, 2.0, 5.0]);
        assert_eq!(steps(25.6..49.7), [20.0, 50.0]);
        assert_eq!(steps(639.0..1210.0), [500.0, 1000.0, 2000.0]);
        assert_eq!(steps(10.0..10.0), [10.0]);
        assert_eq!(super::steps(&(1.0..1e6), &[1.0]).len(), 7);
        assert_eq!(super::steps(&(1.0..10_000.0), &[1.0]), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
    }

    #[test]
    fn the_axis_says_percentiles() {
        assert_eq!([1.0, 2.0, 10.0, 1000.0].map(percentile), ["0", "50", "90", "99.9"]);
    }

    #[test]
    fn numbers_at_axes_are_easy_to_read() {
        let numbers = [0.0, 0.05, 0.5, 10.0, 250.0, 1000.0, 123_456.0, 1e6, 1234.5];
        let texts = ["0", "0.05", "0.5", "10", "250", "1,000", "123,456", "1,000,000", "1,234.5"];
        assert_eq!(numbers.map(grouped), texts);
    }
}
