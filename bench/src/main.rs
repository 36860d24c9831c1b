//! `gridway-bench`: measures Gridway, always beside something else in the same run.

mod lab;
mod machine;
mod statistics;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Lab { quick } => lab::run(quick),
    }
}
