//! Curves of what a packet and a flow cost in Layer 3, over flows, prefixes and rules.

use std::iter::successors;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cost::{Cost, Costs};
use crate::plot::{Axis, Line, lines};
use crate::statistics::median;
use crate::{callgrind, report};

/// A program of `dataplane/forwarding/examples` at growing sizes.
struct Series {
    /// The operation, and what there are more and more of.
    what: &'static str,
    program: &'static str,
    /// [`SIZE`] stands for how many there are, [`OPERATIONS`] for a number of operations.
    arguments: &'static str,
    /// The largest size; all powers of ten up to it are measured.
    most: u64,
    /// What follows the time in the output.
    unit: &'static str,
}

const SIZE: &str = "SIZE";
/// Instructions can be counted where the program takes this.
const OPERATIONS: &str = "OPERATIONS";

const fn series(
    what: &'static str,
    program: &'static str,
    arguments: &'static str,
    most: u64,
    unit: &'static str,
) -> Series {
    Series { what, program, arguments, most, unit }
}

const ALL: [Series; 8] = [
    // The machine's own measure: what a table of that many MiB cannot be faster than.
    series("random read, of MiB", "random_read", "SIZE 10000000", 100, " ns a read"),
    series("packet out, of flows", "fast_path", "SIZE OPERATIONS outbound", 1_000_000, " ns a packet"),
    series("packet in, of flows", "fast_path", "SIZE OPERATIONS inbound", 1_000_000, " ns a packet"),
    series("route, of IPv4 prefixes", "route_lookup", "v4 SIZE OPERATIONS apart", 1_000_000, ", 90 %"),
    series("route, of IPv6 prefixes", "route_lookup", "v6 SIZE OPERATIONS apart", 1_000_000, ", 90 %"),
    // Of two lines the last: the tuple space stands below the plain scan.
    series("judgement, of rules", "acl_lookup", "SIZE site", 100_000, " ns aimed"),
    series("new flow, 1,000 rules, of routes", "new_flow", "200000 1000 SIZE", 1_000_000, " ns a flow"),
    series("new flow, 1 route, of rules", "new_flow", "200000 SIZE 1", 100_000, " ns a flow"),
];

/// Several series in one picture.
struct Plot {
    file: &'static str,
    title: &'static str,
    of: &'static str,
    series: &'static [&'static str],
}

const PLOTS: [Plot; 4] = [
    Plot {
        file: "packets",
        title: "Packet of a known flow",
        of: "flows",
        series: &["packet out, of flows", "packet in, of flows"],
    },
    Plot {
        file: "routes",
        title: "Route look-up",
        of: "prefixes",
        series: &["route, of IPv4 prefixes", "route, of IPv6 prefixes"],
    },
    Plot {
        file: "judgement",
        title: "Judgement by access rules",
        of: "rules",
        series: &["judgement, of rules"],
    },
    Plot {
        file: "new-flow",
        title: "New flow",
        of: "routes or rules",
        series: &["new flow, 1,000 rules, of routes", "new flow, 1 route, of rules"],
    },
];

/// How much is measured.
struct Extent {
    /// Runs of which the median counts.
    runs: usize,
    /// The largest size.
    most: u64,
    /// From one size to the next.
    step: u64,
    /// Operations of a run, where the program takes a number.
    operations: u64,
}

impl Extent {
    fn of(quick: bool) -> Self {
        if quick {
            Self { runs: 3, most: 10_000, step: 100, operations: 300_000 }
        } else {
            Self { runs: 5, most: u64::MAX, step: 10, operations: 1_000_000 }
        }
    }

    fn sizes(&self, series: &Series) -> impl Iterator<Item = u64> + use<> {
        let (step, most) = (self.step, self.most.min(series.most));
        successors(Some(1_u64), move |size| size.checked_mul(step)).take_while(move |size| *size <= most)
    }
}

/// Measures all series, keeps table, figures and plots.
pub(crate) fn run(quick: bool, results: &Path) -> Result<()> {
    let extent = Extent::of(quick);
    let programs = programs()?;
    let conditions = format!(
        "Nanoseconds: median of {} runs (least to most), one thread. Instructions: `valgrind --tool=callgrind`, \
         difference of two runs, benchmark loop included.",
        extent.runs
    );
    let points = ALL.iter().flat_map(|series| extent.sizes(series).map(move |size| (series, size)));
    let costs = Costs::measure(conditions, points, |(series, size)| series.cost(&programs, size, &extent))?;
    let name = &report::name("scale", quick);
    let plots = draw(&costs.costs, results, name)?;
    costs.keep(results, name, "What Layer 3 costs as it grows", "scale", &plots)
}

/// Where the examples lie: beside this program.
fn programs() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program lies")?;
    let programs = this.with_file_name("examples");
    if !programs.join(ALL[0].program).exists() {
        bail!("no programs in {}: `cargo xtask bench scale` builds them", programs.display());
    }
    Ok(programs)
}

impl Series {
    fn cost(&self, programs: &Path, size: u64, extent: &Extent) -> Result<Cost> {
        let command = |operations| self.command(programs, size, operations);
        let nanoseconds =
            (0..extent.runs).map(|_| self.time(&command(extent.operations))).collect::<Result<_>>()?;
        let counted = self.arguments.contains(OPERATIONS);
        let instructions = counted.then(|| callgrind::instructions(command)).transpose()?;
        Ok(Cost { what: self.what.to_owned(), size, nanoseconds, instructions })
    }

    fn command(&self, programs: &Path, size: u64, operations: u64) -> Vec<String> {
        let program = programs.join(self.program).display().to_string();
        let (size, operations) = (size.to_string(), operations.to_string());
        let arguments = self.arguments.split(' ').map(|word| match word {
            SIZE => size.clone(),
            OPERATIONS => operations.clone(),
            other => other.to_owned(),
        });
        std::iter::once(program).chain(arguments).collect()
    }

    fn time(&self, words: &[String]) -> Result<f64> {
        let run = Command::new(&words[0]).args(&words[1..]).output();
        let run = run.with_context(|| format!("cannot start {}", words[0]))?;
        let text = String::from_utf8_lossy(&run.stdout);
        let time = self.time_in(&text).filter(|_| run.status.success());
        time.with_context(|| {
            format!("{}: no time in {text:?} {}", words.join(" "), String::from_utf8_lossy(&run.stderr))
        })
    }

    /// The last number in front of the unit.
    fn time_in(&self, text: &str) -> Option<f64> {
        let (before, _) = text.rsplit_once(self.unit)?;
        before.rsplit(' ').next()?.parse().ok()
    }
}

/// Draws all plots; gives their links.
fn draw(costs: &[Cost], results: &Path, name: &str) -> Result<String> {
    std::fs::create_dir_all(results)?;
    let mut links = String::new();
    for Plot { file, title, of, series } in &PLOTS {
        let line = |what: &&'static str| {
            let of_it = costs.iter().filter(|cost| cost.what == **what);
            Line {
                name: what,
                points: of_it.map(|cost| (cost.size as f64, median(&cost.nanoseconds))).collect(),
            }
        };
        let shown: Vec<Line<'_>> = series.iter().map(line).collect();
        let file = format!("{name}-{file}.svg");
        lines(&results.join(&file), title, Axis::Logarithmic(of), "ns", &shown)?;
        links += &format!("![{title}]({file})\n\n");
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(what: &str) -> &'static Series {
        ALL.iter().find(|series| series.what == what).unwrap()
    }

    #[test]
    fn times_are_found_in_what_the_programs_print() {
        let time = |what, text| named(what).time_in(text);
        let packets = "outbound: 10 flows, 1000 of 1000 packets passed, 54.8 ns a packet\n";
        assert_eq!(time("packet out, of flows", packets), Some(54.8));
        let routes = "10 prefixes: built in 0.1 ms, 90 bytes, 9.0 a prefix, at most 90 while building\n\
                      apart: 9 of 9 found, ns a look-up: least 4.1, median 4.9, 90 % 6.0\n";
        assert_eq!(time("route, of IPv4 prefixes", routes), Some(4.9));
        let rules = "  scan             42.1 ns aimed (97 % match)       99.0 ns random (1 % match)\n\
                     \x20 tuple space      28.8 ns aimed (97 % match)       20.0 ns random (1 % match)\n";
        assert_eq!(time("judgement, of rules", rules), Some(28.8));
        assert_eq!(
            [time("judgement, of rules", ""), time("judgement, of rules", "no ns aimed")],
            [None, None]
        );
    }

    #[test]
    fn arguments_get_size_and_operations() {
        let words = named("route, of IPv6 prefixes").command(Path::new("examples"), 100, 7);
        assert_eq!(words, ["examples/route_lookup", "v6", "100", "7", "apart"]);
    }

    #[test]
    fn sizes_grow_to_the_most_of_a_series() {
        let sizes = |quick, what| Extent::of(quick).sizes(named(what)).collect::<Vec<_>>();
        assert_eq!(sizes(false, "random read, of MiB"), [1, 10, 100]);
        assert_eq!(sizes(false, "judgement, of rules").last(), Some(&100_000));
        assert_eq!(sizes(true, "packet in, of flows"), [1, 100, 10_000]);
    }

    #[test]
    fn plots_are_of_series_that_are_measured() {
        for what in PLOTS.iter().flat_map(|plot| plot.series) {
            assert_eq!(named(what).what, *what);
        }
    }
}
