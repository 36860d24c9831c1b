//! Options that pick some of the live flows.

use std::net::IpAddr;

use clap::Args;
use gridway_control::{FlowFilter, Side};

use crate::error::CliError;
use crate::value;

/// Fields of a flow. Addresses and ports are those of its local or of its virtual tuple.
#[derive(Debug, Args)]
#[group(id = "filter", multiple = true)]
pub(crate) struct Filter {
    /// Name of the vnet.
    #[arg(long)]
    vnet: Option<String>,
    /// Name of the peer.
    #[arg(long)]
    peer: Option<String>,
    /// Source or destination address.
    #[arg(long)]
    address: Option<IpAddr>,
    /// Source address.
    #[arg(long)]
    src: Option<IpAddr>,
    /// Destination address.
    #[arg(long)]
    dst: Option<IpAddr>,
    /// Protocol: tcp, udp, icmp, icmpv6 or a number.
    #[arg(long, value_parser = value::protocol)]
    proto: Option<u8>,
    /// Source or destination port.
    #[arg(long)]
    port: Option<u16>,
    /// Source port.
    #[arg(long)]
    sport: Option<u16>,
    /// Destination port.
    #[arg(long)]
    dport: Option<u16>,
    /// State, such as established.
    #[arg(long)]
    state: Option<String>,
    /// TCP flags that were all seen, such as SYN or SYN,RST.
    #[arg(long, value_name = "FLAGS", value_parser = value::tcp_flags)]
    tcp_flags: Option<String>,
    /// Time since the last packet, such as 5m.
    #[arg(long, value_name = "TIME", value_parser = value::seconds)]
    idle_at_least: Option<u64>,
    /// Side that the first packet came from: local or overlay.
    #[arg(long, value_name = "SIDE", value_parser = value::side)]
    started_by: Option<Side>,
}

/// At least one field, or plainly all flows.
#[derive(Debug, Args)]
pub(crate) struct KillFilter {
    #[command(flatten)]
    filter: Filter,
    /// All flows; needed where no filter is given.
    #[arg(long, conflicts_with = "filter")]
    all: bool,
}

impl From<Filter> for FlowFilter {
    fn from(filter: Filter) -> Self {
        let Filter {
            vnet,
            peer,
            address,
            src,
            dst,
            proto,
            port,
            sport,
            dport,
            state,
            tcp_flags,
            idle_at_least: idle_at_least_s,
            started_by,
        } = filter;
        Self {
            vnet,
            peer,
            address,
            src,
            dst,
            proto,
            port,
            sport,
            dport,
            state,
            tcp_flags,
            idle_at_least_s,
            started_by,
        }
    }
}

impl TryFrom<KillFilter> for FlowFilter {
    type Error = CliError;

    fn try_from(KillFilter { filter, all }: KillFilter) -> Result<Self, CliError> {
        let filter = Self::from(filter);
        if filter.is_empty() && !all { Err(CliError::NoFilter) } else { Ok(filter) }
    }
}
