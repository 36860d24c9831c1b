//! `cargo xtask`: everything one does with the repository, on a machine with nothing but Rust.

mod bench;
mod demo;
mod kernel;
mod lint;
mod package;
mod rivals;
mod run;
mod setup;
mod test;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sets up, tests, shows and measures Gridway.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Installs what is missing: Debian packages and the BPF linker. Safe to repeat.
    Setup,
    /// Builds, runs two gateways on real XDP in network namespaces, sends real traffic, shows it.
    Demo,
    /// Formatting, clippy, then every test.
    Test {
        /// Leave out the tests that need root, XDP and network namespaces.
        #[arg(long)]
        unprivileged: bool,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Loads and tests the steering program in the oldest kernel that is supported, in a virtual machine.
    Kernel,
    /// Formatting and clippy; warnings are errors.
    Lint,
    /// Makes the Debian package.
    Package {
        /// Package the binaries in this folder instead of building for release; compressed less.
        #[arg(long, value_name = "FOLDER")]
        binaries: Option<PathBuf>,
        /// Folder for the package.
        #[arg(long, default_value = "target/debian")]
        out: PathBuf,
    },
    /// Measures, and prints ratios.
    Bench {
        #[arg(value_enum, default_value = "peers")]
        what: bench::What,
        /// Fewer and shorter runs, for a look.
        #[arg(long)]
        quick: bool,
        /// `soak` only: minutes instead of half an hour.
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..))]
        time: Option<u64>,
    },
}

fn main() -> Result<()> {
    run::enter_workspace()?;
    match Arguments::parse().task {
        Task::Setup => setup::setup(),
        Task::Demo => demo::demo(),
        Task::Test { unprivileged, filter } => test::test(unprivileged, filter.as_deref()),
        Task::Kernel => kernel::kernel(),
        Task::Lint => lint::lint(),
        Task::Package { binaries, out } => package::package(binaries, &out),
        Task::Bench { what, quick, time } => bench::bench(what, quick, time),
    }
}
