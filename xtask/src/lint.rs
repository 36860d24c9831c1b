//! Formatting and clippy.

use anyhow::Result;

use crate::run::{cargo, run, say};

/// Workspaces of their own, beside the main one.
pub(crate) const SIDE_WORKSPACES: [&str; 2] = ["ebpf/steer/Cargo.toml", "tests/fuzz/Cargo.toml"];

/// Checks formatting everywhere, then clippy.
pub(crate) fn lint() -> Result<()> {
    say("Formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    for manifest in SIDE_WORKSPACES {
        run(cargo().args(["fmt", "--check", "--manifest-path", manifest]))?;
    }
    say("Clippy");
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
}
