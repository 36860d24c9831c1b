//! Single functions: nanoseconds by criterion, instructions by callgrind. The functions are in `benches/` of the crates that
//! have them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cost::{Cost, Costs};
use crate::{callgrind, report};

/// How much is measured.
struct Extent {
    /// Runs of many operations each, of which the median counts.
    samples: u32,
    /// Seconds before a function's first sample, and of its samples together.
    warm_up: f64,
    measured: f64,
    /// The largest size.
    most: u64,
}

impl Extent {
    fn of(quick: bool) -> Self {
        if quick {
            Self { samples: 20, warm_up: 0.2, measured: 0.5, most: 100_000 }
        } else {
            Self { samples: 100, warm_up: 2.0, measured: 5.0, most: u64::MAX }
        }
    }
}

/// A function, as its program names it.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    program: PathBuf,
    /// The operation, and what there are `size` of.
    what: String,
    size: u64,
    /// Whether its instructions can be counted.
    counted: bool,
}

/// Measures the functions of `programs`, keeps table and figures.
pub(crate) fn run(quick: bool, programs: &[PathBuf], results: &Path) -> Result<()> {
    let extent = Extent::of(quick);
    let mut functions = Vec::new();
    for program in programs {
        functions.extend(functions_of(program)?.into_iter().filter(|function| function.size <= extent.most));
    }
    let samples = tempfile::tempdir().context("cannot make a directory for criterion")?;
    let conditions = format!(
        "Nanoseconds: median of {} samples by criterion (least to most), one thread. Instructions: `valgrind \
         --tool=callgrind`, difference of two runs, benchmark loop included; a dash where valgrind lacks the instructions \
         (AVX-512).",
        extent.samples
    );
    let costs = Costs::measure(conditions, functions, |function| function.cost(samples.path(), &extent))?;
    let name = &report::name("micro", quick);
    costs.keep(results, name, "What single functions cost", "micro", "")
}

fn functions_of(program: &Path) -> Result<Vec<Function>> {
    let run = Command::new(program).arg("--functions").output();
    let run = run.with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&run.stdout);
    text.lines()
        .map(|line| Function::named(program, line).with_context(|| format!("no function: {line:?}")))
        .collect()
}

impl Function {
    /// `parse IPv4, of bytes/64 counted`
    fn named(program: &Path, line: &str) -> Option<Self> {
        let (name, kind) = line.rsplit_once(' ')?;
        let (what, size) = name.rsplit_once('/')?;
        let counted = match kind {
            "counted" => true,
            "timed" => false,
            _ => return None,
        };
        Some(Self { program: program.to_owned(), what: what.to_owned(), size: size.parse().ok()?, counted })
    }

    fn name(&self) -> String {
        format!("{}/{}", self.what, self.size)
    }

    fn cost(self, samples: &Path, extent: &Extent) -> Result<Cost> {
        let nanoseconds = self.time(samples, extent)?;
        let program = self.program.display().to_string();
        let command = |operations: u64| {
            vec![program.clone(), "--count".to_owned(), self.name(), operations.to_string()]
        };
        let instructions = self.counted.then(|| callgrind::instructions(command)).transpose()?;
        Ok(Cost { what: self.what, size: self.size, nanoseconds, instructions })
    }

    /// Nanoseconds of an operation, a figure a sample.
    fn time(&self, samples: &Path, extent: &Extent) -> Result<Vec<f64>> {
        let run = Command::new(&self.program)
            .args(["--bench", "--quiet", "--exact", &self.name()])
            .args(["--sample-size", &extent.samples.to_string()])
            .args(["--warm-up-time", &extent.warm_up.to_string()])
            .args(["--measurement-time", &extent.measured.to_string()])
            .env("CRITERION_HOME", samples)
            .stdout(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if !run.status.success() {
            bail!("{}: {}", self.name(), String::from_utf8_lossy(&run.stderr));
        }
        let file = samples.join(self.name()).join("new/sample.json");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let samples: Samples = serde_json::from_str(&text).with_context(|| format!("{text:?}"))?;
        Ok(samples.each())
    }
}

/// What criterion keeps of a function.
#[derive(Deserialize)]
struct Samples {
    /// Operations of each sample.
    iters: Vec<f64>,
    /// Nanoseconds of each.
    times: Vec<f64>,
}

impl Samples {
    /// Nanoseconds of an operation.
    fn each(&self) -> Vec<f64> {
        self.times.iter().zip(&self.iters).map(|(time, operations)| time / operations).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_read_by_name() {
        let program = Path::new("tables");
        let function = Function::named(program, "route, of IPv4 prefixes/1000000 counted").unwrap();
        assert_eq!(
            (&*function.what, function.size, function.counted),
            ("route, of IPv4 prefixes", 1_000_000, true)
        );
        assert_eq!(function.name(), "route, of IPv4 prefixes/1000000");
        assert!(!Function::named(program, "seal, of bytes/64 timed").unwrap().counted);
        for line in ["", "seal/64", "seal/64 guessed", "seal timed", "seal/many timed"] {
            assert_eq!(Function::named(program, line), None, "{line}");
        }
    }

    #[test]
    fn samples_are_of_different_lengths() {
        let text = r#"{"sampling_mode":"Linear","iters":[10.0,20.0],"times":[55.0,100.0]}"#;
        let samples: Samples = serde_json::from_str(text).unwrap();
        assert_eq!(samples.each(), [5.5, 5.0]);
    }
}
