//! Plots, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::statistics::{median, spread};

const WIDTH: u32 = 900;
const MARGIN: u32 = 20;
const BAR_HEIGHT: u32 = 34;
/// Of lines, in their order; the first is Gridway's.
pub(crate) const COLOURS: [RGBColor; 8] = [
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

/// Lines over a common axis; values on a logarithmic one.
pub(crate) fn lines(file: &Path, title: &str, axes: [&str; 2], lines: &[Line<'_>]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|point| point.0).fold(0.0, f64::max);
    let least = points().map(|point| point.1).filter(|y| *y > 0.0).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    if !least.is_finite() {
        return Err(anyhow!("nothing to draw in {}", file.display()));
    }
    let root = SVGBackend::new(file, (WIDTH, 420)).into_drawing_area();
    let draw = || -> std::result::Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(MARGIN)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..last, (least * 0.9..most * 1.2).log_scale())?;
        chart.configure_mesh().x_desc(axes[0]).y_desc(axes[1]).draw()?;
        for (n, line) in lines.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(1)))?
                .label(line.name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_name_what_they_show() {
        let directory = std::env::temp_dir().join(format!("gridway-plot-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (first, second) = (directory.join("bars.svg"), directory.join("lines.svg"));
        let shown = [("Gridway", [1400.0, 1500.0, 1600.0]), ("another", [290.0, 300.0, 310.0])];
        bars(&first, "Mbit/s", &shown.each_ref().map(|(name, samples)| Bar::of(name, samples))).unwrap();
        let line = |name, points| Line { name, points };
        lines(&second, "round trip", ["s", "ms"], &[line("Gridway", vec![(0.0, 0.3), (1.0, 5.0)])]).unwrap();
        assert!(lines(&second, "none", ["s", "ms"], &[line("Gridway", Vec::new())]).is_err());
        let [bars, lines] = [first, second].map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
        for word in ["Gridway", "another", "1500", "Mbit/s"] {
            assert!(bars.contains(word), "{word} in {bars}");
        }
        assert!(lines.contains("Gridway") && lines.contains("round trip"), "{lines}");
    }
}
