//! Measurements.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::demo::{program, release_programs};
use crate::run::{is_root, run, say};
use crate::{rivals, scale, setup};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    /// TCP through two gateways against kernel forwarding, in four network namespaces.
    Lab,
    /// Packet rates and latencies of two gateways against kernel forwarding, by an AF_XDP generator.
    Packets,
    /// Round trips beside a TCP stream that fills a narrow WAN, of two gateways and of kernel forwarding.
    Latency,
    /// All of that for OpenVPN, gotatun, wireguard-go and Nebula too, which are installed first.
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
}

/// Builds what is measured, then measures.
pub(crate) fn bench(what: What, quick: bool, minutes: Option<u64>) -> Result<()> {
    if minutes.is_some() && !matches!(what, What::Soak) {
        bail!("only soak takes --time");
    }
    match what {
        What::Lab => laboratory("lab", quick, None),
        What::Packets => laboratory("packets", quick, None),
        What::Latency => laboratory("latency", quick, None),
        What::Peers => {
            rivals::install_tunnels()?;
            laboratory("peers", quick, None)
        }
        What::Layer4 => {
            rivals::install_proxies()?;
            laboratory("layer4", quick, None)
        }
        What::Connections => {
            rivals::install_tracking()?;
            laboratory("connections", quick, None)
        }
        What::Soak => laboratory("soak", quick, minutes),
        What::Tunnels => laboratory("tunnels", quick, None),
        What::Scale => {
            setup::setup()?;
            scale::scale(quick)
        }
    }
}

fn laboratory(what: &str, quick: bool, minutes: Option<u64>) -> Result<()> {
    if !is_root() {
        bail!("the laboratory loads XDP programs and makes network namespaces: run it as root");
    }
    setup::setup()?;
    say("Building (a few minutes the first time)");
    run(&mut release_programs())?;
    let mut bench = program("gridway-bench")?;
    bench.arg(what).args(quick.then_some("--quick"));
    if let Some(minutes) = minutes {
        bench.args(["--time", &minutes.to_string()]);
    }
    run(&mut bench)
}
