//! Measurements.

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::demo::{program, release_programs};
use crate::run::{is_root, run, say};
use crate::{scale, setup};

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// TCP through two gateways against kernel forwarding, in four network namespaces.
    Lab {
        /// Three pairs of 4 s instead of seven of 10 s.
        #[arg(long)]
        quick: bool,
    },
    /// Packet rates and latencies of two gateways against kernel forwarding, by an AF_XDP generator.
    Packets {
        /// Two sizes and short trials.
        #[arg(long)]
        quick: bool,
    },
    /// What a packet and a new flow cost in Layer 3, over flows, prefixes and rules.
    Scale {
        /// Up to 100,000 flows and prefixes instead of a million.
        #[arg(long)]
        quick: bool,
    },
}

/// Builds what is measured, then measures.
pub(crate) fn bench(what: &What) -> Result<()> {
    match what {
        What::Lab { quick } => laboratory("lab", *quick),
        What::Packets { quick } => laboratory("packets", *quick),
        What::Scale { quick } => {
            setup::setup()?;
            scale::scale(*quick)
        }
    }
}

fn laboratory(what: &str, quick: bool) -> Result<()> {
    if !is_root() {
        bail!("the laboratory loads XDP programs and makes network namespaces: run it as root");
    }
    setup::setup()?;
    say("Building (a few minutes the first time)");
    run(&mut release_programs())?;
    run(program("gridway-bench")?.arg(what).args(quick.then_some("--quick")))
}
