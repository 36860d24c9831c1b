//! What is measured side by side: ways for a packet from h1 to h2.

mod rival;
mod template;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::gateway::{Gateway, NodeConfig, start_pair, vnets};
use gridway_lab::{Lab, Ping, Process, Side, try_wait_until};

pub(crate) use rival::Rival;

/// How long a rival may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a rival may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// A way from h1 to h2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The kernel forwards with `ip_forward` alone: no tunnel, no encryption, no filter.
    Kernel,
    /// Two gateways with NAT, ACL, route and mutual TLS, pinned to different cores.
    Gridway,
    /// Two ends of another tunnel, pinned to different cores; the kernel forwards between it and the data link.
    Rival(Rival),
}

/// A contender at work, until it is dropped or stopped.
pub(crate) enum Running<'a> {
    Kernel(&'a Lab),
    Gridway(Box<[Gateway; 2]>),
    Rival(&'a Lab, Vec<Process>),
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel forwarding, no tunnel",
            Self::Gridway => "Gridway",
            Self::Rival(rival) => rival.name(),
        }
    }

    /// What h1 calls h2.
    pub(crate) fn target(self) -> Ipv4Addr {
        match self {
            Self::Kernel | Self::Rival(_) => Side::B.host(0),
            Self::Gridway => vnets::outside_host(Side::B, 0),
        }
    }

    /// Starts it and waits until h1 reaches h2.
    pub(crate) fn start(self, lab: &Lab) -> Result<Running<'_>> {
        let running = match self {
            Self::Kernel => {
                lab.kernel_forwarding(true).context("cannot switch kernel forwarding on")?;
                Running::Kernel(lab)
            }
            Self::Gridway => {
                let [a, b] = NodeConfig::pair();
                let a = a.cpus(&[0]).log_level("info").with(&vnets::corp(Side::A));
                let b = b.cpus(&[1]).log_level("info").with(&vnets::corp(Side::B));
                let nodes = start_pair(lab, [a, b]).context("the nodes do not connect")?;
                Running::Gridway(Box::new(nodes))
            }
            Self::Rival(rival) => {
                for side in Side::BOTH {
                    lab.gateway(side).sysctl("net/ipv4/ip_forward", "1")?;
                }
                let processes = rival.start(lab).with_context(|| format!("cannot start {}", rival.name()))?;
                Running::Rival(lab, processes)
            }
        };
        running.wait_for_answers(lab, self.target()).with_context(|| self.name())?;
        Ok(running)
    }
}

impl Running<'_> {
    fn wait_for_answers(&self, lab: &Lab, target: Ipv4Addr) -> Result<()> {
        let answered = || {
            let report = Ping::new(target).count(1).wait(Duration::from_millis(200)).run(lab.h1())?;
            Ok(report.all_answered().then_some(()))
        };
        try_wait_until("h2 answers", CONNECT, answered).with_context(|| self.said())
    }

    /// The last words of a rival's processes.
    fn said(&self) -> String {
        let Self::Rival(_, processes) = self else { return "nothing else is known".to_owned() };
        let tail = |process: &Process| {
            let streams = [process.stdout(), process.stderr()].map(|stream| stream.tail(8));
            format!("`{}`: {}", process.line(), streams.map(Result::unwrap_or_default).join("\n"))
        };
        processes.iter().map(tail).collect::<Vec<_>>().join("\n")
    }

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
            Self::Rival(lab, processes) => {
                for mut process in processes {
                    process.terminate(GRACE)?;
                }
                for side in Side::BOTH {
                    lab.gateway(side).sysctl("net/ipv4/ip_forward", "0")?;
                }
            }
        }
        Ok(())
    }
}
