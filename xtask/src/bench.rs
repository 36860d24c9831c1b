//! Measurements.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::demo::{program, release_programs};
use crate::run::{built, cargo, is_root, run, say};
use crate::{rivals, setup};

/// Packages with functions that are measured one by one, and the programs that do it.
const FUNCTIONS: [(&str, &str); 3] =
    [("gridway-wire", "packets"), ("gridway-forwarding", "tables"), ("gridway-tunnel", "records")];

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    /// TCP through two gateways against kernel forwarding, in four network namespaces.
    Lab,
    /// Packet rates and latencies of two gateways against kernel forwarding, by an AF_XDP generator.
    Packets,
    /// Round trips beside a TCP stream that fills a narrow WAN, of two gateways and of kernel forwarding.
    Latency,
    /// All of that for OpenVPN, gotatun, wireguard-go and Nebula too, which are installed first; then `layer4`.
    Peers,
    /// TCP through connectors and services, stunnel, HAProxy and kernel forwarding; the proxies are installed first.
    Layer4,
    /// New flows a second of two gateways, of the kernel's connection tracking and of kernel forwarding without it.
    Connections,
    /// Half of what two gateways bear for half an hour: loss, latency and memory over time.
    Soak,
    /// Memory of an idle tunnel, tunnels that come up a second, packets spread over many peers.
    Tunnels,
    /// What a packet and a new flow cost in Layer 3, over flows, prefixes and rules.
    Scale,
    /// What single functions cost: parse, translate, judge, look up, seal, open.
    Micro,
}

fn layer4(quick: bool) -> Result<()> {
    rivals::install_proxies()?;
    laboratory("layer4", quick, &[])
}

/// Builds what is measured, then measures.
pub(crate) fn bench(what: What, quick: bool, minutes: Option<u64>) -> Result<()> {
    if minutes.is_some() && !matches!(what, What::Soak) {
        bail!("only soak takes --time");
    }
    match what {
        What::Lab => laboratory("lab", quick, &[]),
        What::Packets => laboratory("packets", quick, &[]),
        What::Latency => laboratory("latency", quick, &[]),
        What::Peers => {
            rivals::install_tunnels()?;
            laboratory("peers", quick, &[])?;
            layer4(quick)
        }
        What::Layer4 => layer4(quick),
        What::Connections => {
            rivals::install_tracking()?;
            laboratory("connections", quick, &[])
        }
        What::Soak => {
            let time = minutes.map(|minutes| ["--time".to_owned(), minutes.to_string()]);
            laboratory("soak", quick, time.as_ref().map_or(&[], |time| &time[..]))
        }
        What::Tunnels => laboratory("tunnels", quick, &[]),
        What::Scale => {
            prepare()?;
            run(cargo().args(["build", "--release", "--locked", "-p", "gridway-forwarding", "--examples"]))?;
            measure("scale", quick, [""; 0])
        }
        What::Micro => {
            prepare()?;
            measure("micro", quick, functions()?)
        }
    }
}

fn laboratory(what: &str, quick: bool, more: &[String]) -> Result<()> {
    if !is_root() {
        bail!("the laboratory loads XDP programs and makes network namespaces: run it as root");
    }
    prepare()?;
    measure(what, quick, more)
}

fn prepare() -> Result<()> {
    setup::setup()?;
    say("Building (a few minutes the first time)");
    run(&mut release_programs())
}

fn measure(what: &str, quick: bool, more: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<()> {
    say("Measuring");
    run(program("gridway-bench")?.arg(what).args(quick.then_some("--quick")).args(more))
}

/// Builds the programs that measure single functions, and says where they are.
fn functions() -> Result<Vec<PathBuf>> {
    let mut build = cargo();
    build.args(["bench", "--no-run", "--locked"]);
    for (package, bench) in FUNCTIONS {
        build.args(["-p", package, "--bench", bench]);
    }
    built(&mut build)
}
