//! Other tunnels and proxies, installed to be measured beside Gridway.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, output, run, say};
use crate::setup::install_packages;

const TUNNELS: &[&str] = &["openvpn", "nebula", "wireguard-go", "wireguard-tools"];
/// With the web server behind them, and the client that asks it.
const PROXIES: &[&str] = &["stunnel4", "haproxy", "nginx", "wrk"];
/// What sets the kernel's connection tracking and NAT.
const TRACKING: &[&str] = &["nftables", "conntrack"];
/// WireGuard in Rust.
const GOTATUN: (&str, &str) = ("gotatun-cli", "0.10.2");
/// Where `gridway-bench` looks for it, below the target directory.
const ROOT: &str = "rivals";

/// Installs the proxies that are missing.
pub(crate) fn install_proxies() -> Result<()> {
    say("Checking for the other proxies");
    install_packages(PROXIES)
}

/// Installs what connection tracking and NAT of the kernel need.
pub(crate) fn install_tracking() -> Result<()> {
    say("Checking for nftables and conntrack");
    install_packages(TRACKING)
}

/// Installs the tunnels that are missing.
pub(crate) fn install_tunnels() -> Result<()> {
    say("Checking for the other tunnels");
    install_packages(TUNNELS)?;
    let root = crate::demo::target()?.join(ROOT);
    let (name, version) = GOTATUN;
    if has(&root.join("bin/gotatun"), version) {
        println!("    gotatun: {version} there");
        return Ok(());
    }
    say(&format!("Installing gotatun {version} (a few minutes)"));
    run(cargo().args(["install", name, "--version", version, "--locked", "--force", "--root"]).arg(&root))
}

fn has(program: &Path, version: &str) -> bool {
    let said = output(std::process::Command::new(program).arg("--version"));
    said.split_whitespace().any(|word| word == version)
}
