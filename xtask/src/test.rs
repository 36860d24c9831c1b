//! Every test, with counts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, is_root, say};
use crate::{kernel, lint, setup};

/// Crates whose tests need root: for XDP and network namespaces, or to install in a Debian of their own.
const PRIVILEGED: [&str; 7] = [
    "gridway-steer",
    "gridway-xsk",
    "gridway-netlink",
    "gridway-lab",
    "gridway-e2e",
    "gridway-package-test",
    "gridway-bench",
];

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    broken: Vec<String>,
}

/// Lints, then runs all tests. A privileged test that cannot run fails, unless it was left out.
pub(crate) fn test(unprivileged: bool, filter: Option<&str>) -> Result<()> {
    setup::setup()?;
    lint::lint()?;
    let mut counts = Counts::default();

    say("Building all tests, and the programs that the end-to-end tests start");
    crate::run::run(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))?;

    let mut tests = cargo();
    tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    if unprivileged {
        say(&format!("Tests that need no privileges. Left out, as asked: {}", PRIVILEGED.join(", ")));
        tests.args(PRIVILEGED.iter().flat_map(|package| ["--exclude", package]));
    } else {
        if !is_root() {
            bail!("tests on real XDP need root; `cargo xtask test --unprivileged` leaves them out");
        }
        say("Every test; those of the data path on real XDP, in network namespaces");
        // One at a time: they share the machine's cores with the nodes and hosts they start.
        tests.env("RUST_TEST_THREADS", "1");
    }
    counts.run(&mut tests, filter)?;

    say("The fuzzers' corpora, on the stable toolchain");
    let mut corpora = cargo();
    corpora.args(["test", "--locked", "--lib", "--manifest-path", "tests/fuzz/Cargo.toml"]);
    counts.run(&mut corpora, filter)?;

    if !unprivileged && filter.is_none() {
        let said = kernel::test_in_machine().unwrap_or_else(|error| format!("{error:#}"));
        said.lines().for_each(|line| counts.add(line));
        if !said.lines().any(|line| line == kernel::PASSED) {
            println!("{}", said.lines().last().unwrap_or_default());
            counts.broken.push("the steering program in Debian's kernel".to_owned());
        }
    }

    println!("\n{} passed, {} failed", counts.passed, counts.failed);
    if !counts.broken.is_empty() {
        bail!("failed: {}", counts.broken.join(", "));
    }
    if counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

impl Counts {
    /// Runs a `cargo test`, shows its output and adds up its results.
    fn run(&mut self, command: &mut Command, filter: Option<&str>) -> Result<()> {
        command.args(filter);
        let name = format!("{command:?}").replace('"', "");
        let mut child =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("standard output was piped")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            self.add(&line);
        }
        if !child.wait()?.success() {
            self.broken.push(name);
        }
        Ok(())
    }

    /// `test result: ok. 12 passed; 0 failed; …`
    fn add(&mut self, line: &str) {
        let Some(results) = line.strip_prefix("test result: ") else { return };
        for part in results.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<u64>().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }
}
