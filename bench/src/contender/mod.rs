//! What is measured side by side: ways for a packet, or a connection, from h1 to h2.

mod end;
pub(crate) mod flows;
mod proxy;
mod services;
mod template;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_lab::gateway::{Gateway, NodeConfig, start_pair, vnets};
use gridway_lab::tools::echo_tcp;
use gridway_lab::{Lab, Ping, Process, Side, try_wait_until};

pub(crate) use proxy::Proxy;
pub(crate) use services::{BULK, ECHO, WEB};
pub(crate) use tunnel::Tunnel;

/// How long a rival may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a rival may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long h2 may take to answer a single question while it is waited for.
const ANSWER: Duration = Duration::from_millis(200);
/// Lines of a program's log in an error message.
const LAST_LINES: usize = 8;

/// A way from h1 to h2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The kernel forwards with `ip_forward` alone: no tunnel, no encryption, no filter.
    Kernel,
    /// Two gateways with NAT, ACL, route and mutual TLS, pinned to different cores.
    Gridway,
    /// As [`Self::Gridway`], with room for many flows that end soon.
    Flows,
    /// As [`Self::Kernel`], with connection tracking and translation by prefix, and the room and the time-outs of [`Self::Flows`].
    Tracking,
    /// Two gateways without a vnet: connectors on the one, services on the other, pinned to different cores.
    Connectors,
    /// As [`Self::Connectors`], but the node beside the client is an edge without a data NIC, and so without XDP.
    Edge,
    /// Two ends of another tunnel, pinned to different cores; the kernel forwards between it and the data link.
    Tunnel(Tunnel),
    /// Two ends of another proxy for TCP, pinned to different cores.
    Proxy(Proxy),
}

/// A contender at work, until it is dropped or stopped.
pub(crate) enum Running<'a> {
    Kernel(&'a Lab),
    Tracking(flows::Tracking<'a>),
    Gridway(Box<[Gateway; 2]>),
    Rival(&'a Lab, Vec<Process>),
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel forwarding, no tunnel",
            Self::Tracking => "kernel forwarding, conntrack and NAT",
            Self::Gridway | Self::Flows | Self::Connectors => "Gridway",
            Self::Edge => "Gridway, an edge without XDP beside the clients",
            Self::Tunnel(tunnel) => tunnel.name(),
            Self::Proxy(proxy) => proxy.name(),
        }
    }

    /// What a rival says when it is asked for its version; nothing for what is of this machine or this repository.
    pub(crate) fn version(self) -> String {
        match self {
            Self::Kernel | Self::Gridway | Self::Flows | Self::Tracking | Self::Connectors | Self::Edge => {
                String::new()
            }
            Self::Tunnel(tunnel) => tunnel.version(),
            Self::Proxy(proxy) => proxy.version(),
        }
    }

    /// What h1 calls h2, or whoever stands for it.
    pub(crate) fn target(self) -> Ipv4Addr {
        self.host_of(Side::B)
    }

    /// What the other side calls the host of a side, or whoever stands for it.
    pub(crate) fn host_of(self, side: Side) -> Ipv4Addr {
        match self {
            Self::Kernel | Self::Tracking | Self::Tunnel(_) => side.host(0),
            Self::Gridway | Self::Flows => vnets::outside_host(side, 0),
            Self::Connectors | Self::Edge | Self::Proxy(_) => Side::A.data(),
        }
    }

    /// Starts it and waits until h1 reaches h2: by echo requests, or where only connections pass by one to the echo
    /// server on [`ECHO`], which has to be there.
    pub(crate) fn start(self, lab: &Lab) -> Result<Running<'_>> {
        let cannot = || format!("cannot start {}", self.name());
        let running = match self {
            Self::Kernel => {
                lab.kernel_forwarding(true).context("cannot switch kernel forwarding on")?;
                Running::Kernel(lab)
            }
            Self::Tracking => Running::Tracking(flows::Tracking::start(lab).with_context(cannot)?),
            Self::Gridway => Running::gridway(lab, NodeConfig::pair(), vnets::corp).with_context(cannot)?,
            Self::Flows => Running::gridway(lab, NodeConfig::pair(), flows::corp).with_context(cannot)?,
            Self::Connectors => {
                Running::gridway(lab, NodeConfig::pair(), services::of_side).with_context(cannot)?
            }
            Self::Edge => Running::gridway(lab, edge(), services::of_edge).with_context(cannot)?,
            Self::Tunnel(tunnel) => Running::Rival(lab, tunnel.start(lab).with_context(cannot)?),
            Self::Proxy(proxy) => Running::Rival(lab, proxy.start(lab).with_context(cannot)?),
        };
        let answered = || match self {
            Self::Kernel | Self::Gridway | Self::Flows | Self::Tracking | Self::Tunnel(_) => {
                let report = Ping::new(self.target()).count(1).wait(ANSWER).run(lab.h1())?;
                Ok(report.all_answered().then_some(()))
            }
            // Refused and closed connections are those of an end that has not started yet.
            Self::Connectors | Self::Edge | Self::Proxy(_) => {
                let echo = SocketAddr::from((self.target(), ECHO));
                let answer = echo_tcp(lab.h1(), echo, b"?", ANSWER).unwrap_or_default();
                Ok((answer == b"?").then_some(()))
            }
        };
        let reached = try_wait_until("h2 answers", CONNECT, answered);
        reached.with_context(|| running.said()).with_context(|| self.name())?;
        Ok(running)
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Ok(match text {
            "kernel" => Self::Kernel,
            "gridway" => Self::Gridway,
            "openvpn-tcp" => Self::Tunnel(Tunnel::OpenVpnTcp),
            "openvpn-udp" => Self::Tunnel(Tunnel::OpenVpnUdp),
            "gotatun" => Self::Tunnel(Tunnel::Gotatun),
            "wireguard-go" => Self::Tunnel(Tunnel::WireguardGo),
            "nebula" => Self::Tunnel(Tunnel::Nebula),
            "connectors" => Self::Connectors,
            "edge" => Self::Edge,
            "stunnel" => Self::Proxy(Proxy::Stunnel),
            "haproxy" => Self::Proxy(Proxy::HaProxy),
            _ => return Err("no such contender".to_owned()),
        })
    }
}

/// An edge without a data NIC on side A, which dials the gateway of side B.
fn edge() -> [NodeConfig; 2] {
    [
        NodeConfig::edge_without_data(Side::A).peer(Side::B.node(), &[&Side::B.tunnel().to_string()]),
        NodeConfig::gateway(Side::B).peer(Side::A.node(), &[]),
    ]
}

impl<'a> Running<'a> {
    /// Two nodes of which each is configured with what `tables` says for its side.
    fn gridway(lab: &'a Lab, [a, b]: [NodeConfig; 2], tables: fn(Side) -> String) -> Result<Self> {
        let a = a.cpus(&[0]).log_level("info").with(&tables(Side::A));
        let b = b.cpus(&[1]).log_level("info").with(&tables(Side::B));
        let nodes = start_pair(lab, [a, b]).context("the nodes do not connect")?;
        Ok(Self::Gridway(Box::new(nodes)))
    }

    /// The last words of its programs.
    fn said(&self) -> String {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
        };
        let said: Vec<String> = match self {
            Self::Kernel(_) | Self::Tracking(_) => vec!["nothing else is known".to_owned()],
            Self::Gridway(nodes) => nodes
                .iter()
                .map(|node| format!("{}: {}", node.config().name(), tail(&node.log().unwrap_or_default())))
                .collect(),
            Self::Rival(_, processes) => processes
                .iter()
                .map(|process| {
                    let streams = [process.stdout(), process.stderr()];
                    let text = streams.map(|stream| stream.tail(LAST_LINES).unwrap_or_default()).join("\n");
                    format!("`{}`: {text}", process.line())
                })
                .collect(),
        };
        said.join("\n")
    }

    /// Its programs, by their process ids.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match self {
            Self::Kernel(_) | Self::Tracking(_) => Vec::new(),
            Self::Gridway(nodes) => nodes.iter().filter_map(Gateway::pid).collect(),
            Self::Rival(_, processes) => processes.iter().map(Process::pid).collect(),
        }
    }

    /// Its gateways, if it is Gridway.
    pub(crate) fn gateways(&self) -> &[Gateway] {
        match self {
            Self::Gridway(nodes) => &**nodes,
            Self::Kernel(_) | Self::Tracking(_) | Self::Rival(..) => &[],
        }
    }

    /// Flows of the end that has more; 0 where nobody counts.
    pub(crate) fn flows(&self) -> Result<u64> {
        match self {
            Self::Tracking(tracking) => tracking.count(),
            _ => flows::count(self.gateways()),
        }
    }

    /// Flows that gave way to others or found no room; 0 where nobody counts.
    pub(crate) fn displaced(&self) -> Result<u64> {
        match self {
            Self::Tracking(tracking) => tracking.displaced(),
            _ => flows::displaced(self.gateways()),
        }
    }

    /// Ends all flows.
    pub(crate) fn forget_flows(&self) -> Result<()> {
        match self {
            Self::Tracking(tracking) => tracking.forget(),
            _ => flows::forget(self.gateways()),
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> Result<()> {
        match self {
            Self::Kernel(lab) => {
                lab.kernel_forwarding(false).context("cannot switch kernel forwarding off")?;
            }
            Self::Tracking(tracking) => {
                let lab = tracking.lab();
                drop(tracking);
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
