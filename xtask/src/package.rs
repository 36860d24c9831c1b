//! The Debian package, by cargo-deb.

mod manual;
mod stage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run::{cargo, output, run, say};
use crate::setup;

/// A program of the package.
struct Program {
    /// The workspace member that makes it.
    package: &'static str,
    /// Its folder: a program whose folder is missing is left out.
    folder: &'static str,
    /// Name of the binary.
    binary: &'static str,
    /// Its unit, if it is a service.
    unit: Option<&'static str>,
}

const PROGRAMS: [Program; 3] = [
    Program { package: "gridway", folder: "mgmt/cli", binary: "gridway", unit: None },
    Program {
        package: "gridway-gateway",
        folder: "dataplane/gateway",
        binary: "gridway-dataplane",
        unit: Some("gridway@.service"),
    },
    Program {
        package: "gridway-mgmt",
        folder: "mgmt/daemon",
        binary: "gridway-mgmt",
        unit: Some("gridway-mgmt@.service"),
    },
];

/// Makes the package in `out`, of a release build, or of the binaries in `binaries` and then compressed in haste.
pub(crate) fn package(binaries: Option<PathBuf>, out: &Path) -> Result<()> {
    setup::install_cargo_deb()?;
    let programs: Vec<&Program> =
        PROGRAMS.iter().filter(|program| Path::new(program.folder).join("Cargo.toml").exists()).collect();
    let in_haste = binaries.is_some();
    let binaries = match binaries {
        Some(folder) => folder,
        None => build(&programs)?,
    };
    say("Laying out the files");
    let stage = target()?.join("package");
    stage::lay_out(&programs, &binaries, &stage)?;
    say("Making the package");
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut deb = cargo();
    deb.args(["deb", "--no-build", "--no-strip", "--manifest-path"]).arg(stage.join("Cargo.toml"));
    // A folder, not a file, to cargo-deb only with its closing slash.
    deb.arg("--output").arg(std::path::absolute(out)?.join(""));
    if in_haste {
        deb.arg("--fast");
    }
    run(&mut deb)
}

/// Builds the programs for release; returns where they are.
fn build(programs: &[&Program]) -> Result<PathBuf> {
    say("Building for release");
    let mut build = cargo();
    build.args(["build", "--release", "--locked"]);
    build.args(programs.iter().flat_map(|program| ["--package", program.package]));
    run(&mut build)?;
    Ok(target()?.join("release"))
}

/// Where cargo puts what it makes.
fn target() -> Result<PathBuf> {
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--offline"]));
    let (_, rest) =
        metadata.split_once("\"target_directory\":\"").context("cargo names no target directory")?;
    Ok(PathBuf::from(rest.split('"').next().unwrap_or_default()))
}
