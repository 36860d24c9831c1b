//! What is measured side by side: ways for a packet from h1 to h2.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use gridway_lab::gateway::{Gateway, NodeConfig, start_pair, vnets};
use gridway_lab::{Lab, Side};

/// A way from h1 to h2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The kernel forwards with `ip_forward` alone: no tunnel, no encryption, no filter.
    Kernel,
    /// Two gateways with NAT, ACL, route and mutual TLS, pinned to different cores.
    Gridway,
}

/// A contender at work, until it is dropped or stopped.
pub(crate) enum Running<'a> {
    Kernel(&'a Lab),
    Gridway(Box<[Gateway; 2]>),
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel forwarding, no tunnel",
            Self::Gridway => "Gridway",
        }
    }

    /// What h1 calls h2.
    pub(crate) fn target(self) -> Ipv4Addr {
        match self {
            Self::Kernel => Side::B.host(0),
            Self::Gridway => vnets::outside_host(Side::B, 0),
        }
    }

    pub(crate) fn start(self, lab: &Lab) -> Result<Running<'_>> {
        match self {
            Self::Kernel => {
                lab.kernel_forwarding(true).context("cannot switch kernel forwarding on")?;
                Ok(Running::Kernel(lab))
            }
            Self::Gridway => {
                let [a, b] = NodeConfig::pair();
                let a = a.cpus(&[0]).log_level("info").with(&vnets::corp(Side::A));
                let b = b.cpus(&[1]).log_level("info").with(&vnets::corp(Side::B));
                let nodes = start_pair(lab, [a, b]).context("the nodes do not connect")?;
                Ok(Running::Gridway(Box::new(nodes)))
            }
        }
    }
}

impl Running<'_> {
    /// Ends it in order.
    pub(crate) fn stop(self) -> Result<()> {
        match self {
            Self::Kernel(lab) => {
                lab.kernel_forwarding(false).context("cannot switch kernel forwarding off")?;
            }
            Self::Gridway(nodes) => {
                let [mut a, mut b] = *nodes;
                a.stop()?;
                b.stop()?;
            }
        }
        Ok(())
    }
}
