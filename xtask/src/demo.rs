//! The demonstration.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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
    run(&mut program("gridway-demo")?)
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

/// A program that [`release_programs`] has built. Not by way of `cargo run`, which would choose other
/// features for one package than for several and build them all again.
pub(crate) fn program(name: &str) -> Result<Command> {
    Ok(Command::new(target()?.join("release").join(name)))
}

/// Where everything is built.
pub(crate) fn target() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where the target directory is")?;
    let target = this.parent().and_then(Path::parent).context("this program lies in a target directory")?;
    Ok(target.to_owned())
}
