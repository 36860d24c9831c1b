//! What the build and the tests need, installed when it is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{cargo, is_root, output, run, say, succeeds};

/// Needed to build: C for AF_XDP's libraries, clang for its bindings.
const BUILD: &[&str] =
    &["build-essential", "clang", "llvm", "libclang-dev", "libelf-dev", "zlib1g-dev", "m4", "pkg-config"];
/// Needed to build the XDP program when no toolchain of rustup has the library's source.
const BPF: &[&str] = &["rustc-web", "rust-web-src", "llvm-22-dev", "libzstd-dev", "libxml2-dev"];
/// Needed by the laboratory: tests, demonstration and benchmark.
const LABORATORY: &[&str] = &[
    "iproute2",
    "iputils-ping",
    "iputils-tracepath",
    "iperf3",
    "tcpdump",
    "tshark",
    "nmap",
    "nftables",
    "ethtool",
    "curl",
    "hping3",
    "traceroute",
    "strace",
    "openssl",
    "procps",
    "python3",
    "python3-scapy",
    "util-linux",
    "valgrind",
    "bind9-dnsutils",
    "dnsmasq-base",
    "lftp",
    "nfdump",
    "openssh-client",
    "socat",
    "tftp-hpa",
    "wrk",
];
/// Needed to look at the package: its files in a fresh Debian, units, manual pages, completions.
const PACKAGING: &[&str] =
    &["binutils", "dpkg-dev", "fish", "lintian", "logrotate", "man-db", "mmdebstrap", "systemd", "zsh"];
/// Servers that the laboratory starts itself, in its namespaces. Their packages would also start them on this
/// machine, for everyone; each is named with the units that do so.
const SERVERS: &[(&str, &[&str])] = &[
    ("coturn", &["coturn.service"]),
    ("nginx", &["nginx.service"]),
    ("openssh-server", &["ssh.service", "ssh.socket"]),
    ("postgresql", &["postgresql.service"]),
    ("tftpd-hpa", &["tftpd-hpa.service"]),
    ("vsftpd", &["vsftpd.service"]),
];
/// Of the same kind, installed only to be measured beside Gridway.
const MEASURED: &[(&str, &[&str])] =
    &[("haproxy", &["haproxy.service"]), ("stunnel4", &["stunnel4.service"])];
/// The linker of BPF objects; its LLVM must be the one of the compiler in [`BPF`].
const LINKER: (&str, &str) = ("bpf-linker", "0.13.0");
/// What makes the Debian package.
const CARGO_DEB: &str = "3.8.0";
const LLVM: &str = "/usr/lib/llvm-22";

/// Installs what is missing.
pub(crate) fn setup() -> Result<()> {
    say("Checking what this machine has");
    let servers = SERVERS.iter().map(|(package, _)| package);
    let mut packages: Vec<&str> =
        BUILD.iter().chain(LABORATORY).chain(PACKAGING).chain(servers).copied().collect();
    let own_source = toolchain_has_source();
    if own_source {
        println!("    a nightly toolchain with rust-src is there: it builds the XDP program");
    } else {
        packages.extend(BPF);
    }
    install_packages(&packages)?;
    install_linker(own_source)?;
    install_cargo_deb()?;
    println!("    everything is there");
    Ok(())
}

/// Whether rustup's nightly can build `core` for BPF.
fn toolchain_has_source() -> bool {
    let sysroot = output(Command::new("rustc").args(["+nightly", "--print", "sysroot"]));
    !sysroot.is_empty() && Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").exists()
}

/// Installs those of `wanted` that are missing.
pub(crate) fn install_packages(wanted: &[&str]) -> Result<()> {
    let installed = |package: &str| {
        output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package])).contains("ok installed")
    };
    let missing: Vec<&str> = wanted.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        println!("    Debian packages: all {} there", wanted.len());
        return Ok(());
    }
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("this machine has no apt-get: install what is called here {}", missing.join(" "));
    }
    let as_root = |words: &[&str]| {
        let mut command = if is_root() { Command::new(words[0]) } else { Command::new("sudo") };
        command.args(if is_root() { &words[1..] } else { words }).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    say(&format!("Installing Debian packages: {}", missing.join(" ")));
    run(&mut as_root(&["apt-get", "update", "--quiet"]))?;
    let units = units_of(&missing);
    if !units.is_empty() && Path::new("/run/systemd/system").exists() {
        run(as_root(&["systemctl", "mask"]).args(&units))?;
    }
    run(as_root(&["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]).args(&missing))
}

/// What the system would start once those packages are there. A server that is there already is its operator's.
fn units_of(packages: &[&str]) -> Vec<&'static str> {
    let started = SERVERS.iter().chain(MEASURED).filter(|(package, _)| packages.contains(package));
    started.flat_map(|(_, units)| units.iter().copied()).collect()
}

fn install_linker(own_source: bool) -> Result<()> {
    let (name, version) = LINKER;
    let has = output(Command::new(name).arg("--version"));
    if has.split_whitespace().any(|word| word == version) || (own_source && !has.is_empty()) {
        println!("    {name}: {version} there");
        return Ok(());
    }
    say(&format!("Installing {name} {version} (about a minute)"));
    let mut install = cargo();
    install
        .args(["install", name, "--version", version, "--locked", "--force"])
        .args(["--no-default-features", "--features", "llvm-22"])
        .env("LLVM_PREFIX", LLVM)
        .env("RUSTFLAGS", format!("-L {LLVM}/lib"));
    run(&mut install)
}

/// Installs cargo-deb unless it is there.
pub(crate) fn install_cargo_deb() -> Result<()> {
    if output(cargo().args(["deb", "--version"])).split_whitespace().any(|word| word == CARGO_DEB) {
        println!("    cargo-deb: {CARGO_DEB} there");
        return Ok(());
    }
    say(&format!("Installing cargo-deb {CARGO_DEB} (some minutes)"));
    run(cargo().args(["install", "cargo-deb", "--version", CARGO_DEB, "--locked", "--force"]))
}
