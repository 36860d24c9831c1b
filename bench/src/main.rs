//! `gridway-bench`: measures Gridway, always beside something else in the same run.

mod callgrind;
mod connections;
mod contender;
mod cost;
mod hold;
mod lab;
mod layer4;
mod load;
mod machine;
mod memory;
mod micro;
mod packets;
mod peers;
mod percentiles;
mod plot;
mod report;
mod rounds;
mod scale;
mod search;
mod soak;
mod statistics;
mod tunnels;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Where results are kept, from the root of the repository.
const RESULTS: &str = "bench/results";

/// Measures Gridway. A figure counts only as a ratio, measured side by side in one run.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// TCP through two gateways (NAT, ACL, route, mutual TLS) against kernel forwarding without any of it.
    Lab {
        /// Three pairs of 4 s instead of seven of 10 s.
        #[arg(long)]
        quick: bool,
    },
    /// Packet rates (no loss, 0.5 % loss) and latencies through two gateways against kernel forwarding, by an
    /// AF_XDP generator.
    Packets {
        /// Two sizes and short trials.
        #[arg(long)]
        quick: bool,
    },
    /// Round trips beside a TCP stream that fills a WAN of 200 Mbit/s, through two gateways and by kernel forwarding.
    Latency {
        /// 6 s instead of 8.
        #[arg(long)]
        quick: bool,
    },
    /// Gridway beside other tunnels and kernel forwarding: TCP, packet rates, round trips idle and under load.
    Peers {
        /// Two short rounds instead of five.
        #[arg(long)]
        quick: bool,
    },
    /// Gridway's connectors and services beside other proxies and kernel forwarding: TCP, requests over 1,000
    /// connections, new connections, memory of an idle session, round trips idle and under load.
    Layer4 {
        /// Two short rounds instead of five.
        #[arg(long)]
        quick: bool,
    },
    /// What a packet, a route look-up, a judgement and a new flow cost in Layer 3, over flows, prefixes and rules; by
    /// the examples that lie beside this program.
    Scale {
        /// Fewer sizes and three short runs instead of five.
        #[arg(long)]
        quick: bool,
    },
    /// What single functions cost.
    Micro {
        /// Shorter, and nothing larger than 100,000.
        #[arg(long)]
        quick: bool,
        /// Programs made of `benches/`.
        #[arg(required = true)]
        programs: Vec<PathBuf>,
    },
    /// New flows a second through two gateways, beside connection tracking and NAT of the kernel, and kernel
    /// forwarding without either.
    Connections {
        /// Two short rounds instead of five.
        #[arg(long)]
        quick: bool,
    },
    /// Half of what two gateways bear, in both directions, for half an hour: loss, latency and memory over time. Exit
    /// status 1 when memory grew or too much was lost.
    Soak {
        /// 30 s.
        #[arg(long)]
        quick: bool,
        /// Minutes instead of half an hour.
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..))]
        time: Option<u64>,
    },
    /// One gateway with many tunnels: memory of an idle one, tunnels that come up a second, packets spread over peers.
    Tunnels {
        /// One short round instead of five.
        #[arg(long)]
        quick: bool,
    },
    /// Sets up what carries packets from h1 to h2, says how to reach it, and keeps it until the input ends: for
    /// profilers, and whatever else one wants to try.
    Hold {
        /// `kernel`, `gridway`, `openvpn-tcp`, `openvpn-udp`, `gotatun`, `wireguard-go` or `nebula`; `connectors`, `edge`,
        /// `stunnel` or `haproxy`.
        contender: contender::Contender,
    },
    /// Generator and sink on two interfaces of this machine, around whatever is between them.
    Wire(wire::Wire),
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Lab { quick } => lab::run(quick, Path::new(RESULTS)),
        What::Packets { quick } => packets::run(quick, Path::new(RESULTS)),
        What::Latency { quick } => peers::latency(quick),
        What::Peers { quick } => peers::run(quick, Path::new(RESULTS)),
        What::Layer4 { quick } => layer4::run(quick, Path::new(RESULTS)),
        What::Scale { quick } => scale::run(quick, Path::new(RESULTS)),
        What::Micro { quick, programs } => micro::run(quick, &programs, Path::new(RESULTS)),
        What::Connections { quick } => connections::run(quick, Path::new(RESULTS)),
        What::Soak { quick, time } => soak::run(quick, time, Path::new(RESULTS)),
        What::Tunnels { quick } => tunnels::run(quick, Path::new(RESULTS)),
        What::Hold { contender } => hold::run(contender),
        What::Wire(wire) => wire::run(&wire),
    }
}
