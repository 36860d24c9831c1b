//! Curves of what a packet and a flow cost in Layer 3, over flows, prefixes and rules.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, output, run, say};

const RESULTS: &str = "bench/results/scale.md";
const EXAMPLES: &str = "target/release/examples";
/// Operations of the two runs whose difference is counted.
const COUNTED: [usize; 2] = [1_000, 11_000];

/// One line of the table: a program at one size.
struct Point {
    what: &'static str,
    size: usize,
    program: &'static str,
    /// Arguments; `OPERATIONS` stands for a number of them.
    arguments: Vec<String>,
    /// Where in the output the time stands: the last number before this.
    unit: &'static str,
    /// Whether instructions can be counted: the program takes a number of operations.
    counted: bool,
}

const OPERATIONS: &str = "OPERATIONS";

fn point(
    what: &'static str,
    size: usize,
    (program, arguments): (&'static str, &str),
    unit: &'static str,
    counted: bool,
) -> Point {
    let arguments = arguments.replace("SIZE", &size.to_string());
    let arguments = arguments.split_whitespace().map(str::to_owned).collect();
    Point { what, size, program, arguments, unit, counted }
}

fn points(quick: bool) -> Vec<Point> {
    let most = if quick { 100_000 } else { 1_000_000 };
    let sizes = |from: usize, to: usize| {
        std::iter::successors(Some(from), |size| Some(size * 10)).take_while(move |size| *size <= to)
    };
    let mut points = Vec::new();
    // The machine's own measure: what a table of that many MiB cannot be faster than.
    for size in sizes(1, 100) {
        points.push(point(
            "random read, of MiB",
            size,
            ("random_read", "SIZE 10000000"),
            " ns a read",
            false,
        ));
    }
    for size in sizes(1, most) {
        for (what, direction) in [("packet out, of flows", "outbound"), ("packet in, of flows", "inbound")] {
            let program = ("fast_path", format!("SIZE {OPERATIONS} {direction}"));
            points.push(point(what, size, (program.0, &program.1), " ns a packet", true));
        }
    }
    for (what, family) in [("route, of IPv4 prefixes", "v4"), ("route, of IPv6 prefixes", "v6")] {
        for size in sizes(1, most) {
            let arguments = format!("{family} SIZE {OPERATIONS} apart");
            points.push(point(what, size, ("route_lookup", &arguments), ", 90 %", true));
        }
    }
    for size in sizes(1, 100_000) {
        points.push(point("judgement, of rules", size, ("acl_lookup", "SIZE site"), " ns aimed", false));
    }
    for (what, arguments) in [
        ("new flow, 1,000 rules, of routes", "200000 1000 SIZE"),
        ("new flow, 1 route, of rules", "200000 SIZE 1"),
    ] {
        for size in sizes(1, if arguments.ends_with("SIZE") { most } else { 100_000 }) {
            points.push(point(what, size, ("new_flow", arguments), " ns a flow", false));
        }
    }
    points
}

/// Measures all points and writes the table.
pub(crate) fn scale(quick: bool) -> Result<()> {
    say("Building the programs that are measured");
    run(cargo().args(["build", "--release", "--locked", "-p", "gridway-forwarding", "--examples"]))?;
    let mut table = format!(
        "# What Layer 3 costs as it grows\n\n`cargo xtask bench scale` on {}, commit {}. Nanoseconds: median of five runs (least to most), one \
         thread. Instructions: `valgrind --tool=callgrind`, difference of two runs, benchmark loop included.\n\n\
         | what | size | ns | instructions |\n|---|---|---|---|\n",
        cpu(),
        output(Command::new("git").args(["describe", "--always", "--dirty"])),
    );
    for point in points(quick) {
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(time(&point)?);
        }
        times.sort_by(f64::total_cmp);
        let instructions = if point.counted { instructions(&point)?.to_string() } else { "-".to_owned() };
        let line = format!(
            "| {} | {} | {:.1} ({:.1} to {:.1}) | {instructions} |",
            point.what, point.size, times[2], times[0], times[4]
        );
        println!("{line}");
        writeln!(table, "{line}")?;
    }
    std::fs::write(RESULTS, table).with_context(|| format!("cannot write {RESULTS}"))?;
    println!("\n{RESULTS}");
    Ok(())
}

fn cpu() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "an unknown CPU".to_owned(), |(_, name)| name.to_owned())
}

fn command(point: &Point, operations: usize) -> Vec<String> {
    let program = format!("{EXAMPLES}/{}", point.program);
    let arguments =
        point.arguments.iter().map(|argument| argument.replace(OPERATIONS, &operations.to_string()));
    std::iter::once(program).chain(arguments).collect()
}

fn time(point: &Point) -> Result<f64> {
    let words = command(point, 1_000_000);
    let text = output(Command::new(&words[0]).args(&words[1..]));
    // Of several lines the last: the tuple space stands below the plain scan.
    let before = text.rsplit_once(point.unit).map(|(before, _)| before);
    let number = before.and_then(|before| before.rsplit(' ').next()).and_then(|number| number.parse().ok());
    number.with_context(|| format!("{}: no time in {text:?}", words.join(" ")))
}

fn instructions(point: &Point) -> Result<u64> {
    let mut totals = [0_u64; 2];
    for (total, operations) in totals.iter_mut().zip(COUNTED) {
        let words = command(point, operations);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(&words);
        let run = valgrind.output().context("cannot start valgrind")?;
        let text = String::from_utf8_lossy(&run.stderr);
        let line = text.lines().find_map(|line| line.split_once("Collected : "));
        match line.and_then(|(_, number)| number.trim().parse().ok()) {
            Some(number) => *total = number,
            None => bail!("{}: callgrind counted nothing: {text}", words.join(" ")),
        }
    }
    Ok((totals[1] - totals[0]) / (COUNTED[1] - COUNTED[0]) as u64)
}
