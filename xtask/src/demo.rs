//! The demonstration.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{cargo, is_root, run, say};
use crate::setup;

/// Sets up, builds and runs the demonstration, which is a program of its own so that whatever
/// happens to this one, the laboratory is gone when that one is.
pub(crate) fn demo() -> Result<()> {
    if !is_root() {
        bail!("the demonstration loads an XDP program and makes network namespaces: run it as root");
    }
    setup::setup()?;
    say("Building (a few minutes the first time)");
    run(&mut release_programs())?;
    let mut demo = cargo();
    demo.args(["run", "--quiet", "--release", "--locked", "-p", "gridway-e2e", "--bin", "gridway-demo"]);
    run(&mut demo)
}

/// Builds the programs that laboratory runs use, optimised.
pub(crate) fn release_programs() -> Command {
    let mut build = cargo();
    build.args(["build", "--release", "--locked"]);
    for package in ["gridway-gateway", "gridway", "gridway-bench", "gridway-e2e", "gridway-lab"] {
        build.args(["-p", package]);
    }
    build
}

/// A run of `gridway-bench`.
pub(crate) fn bench_program(words: &[&str]) -> Command {
    let mut bench = cargo();
    bench.args(["run", "--quiet", "--release", "--locked", "-p", "gridway-bench", "--"]).args(words);
    bench
}
