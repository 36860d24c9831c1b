//! Options that pick some of the passing packets.

use clap::Args;
use gridway_control::{PacketFilter, Side};
use ipnet::IpNet;

use crate::value;

/// Fields of a packet. Addresses and ports are those of its local or of its virtual tuple.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which packets")]
pub(crate) struct Filter {
    /// Side that the packet comes from: local or overlay.
    #[arg(long, value_name = "SIDE", value_parser = value::side)]
    from: Option<Side>,
    /// Name of the vnet.
    #[arg(long)]
    vnet: Option<String>,
    /// Name of the peer that it comes from or goes to.
    #[arg(long)]
    peer: Option<String>,
    /// Source or destination: address or prefix.
    #[arg(long, value_name = "PREFIX", value_parser = value::prefix)]
    address: Option<IpNet>,
    /// Source: address or prefix.
    #[arg(long, value_name = "PREFIX", value_parser = value::prefix)]
    src: Option<IpNet>,
    /// Destination: address or prefix.
    #[arg(long, value_name = "PREFIX", value_parser = value::prefix)]
    dst: Option<IpNet>,
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
    /// Only packets that are dropped, for this reason or for any.
    #[arg(long, value_name = "REASON", num_args = 0..=1, default_missing_value = PacketFilter::ANY_REASON)]
    dropped: Option<String>,
}

impl From<Filter> for PacketFilter {
    fn from(filter: Filter) -> Self {
        let Filter { from, vnet, peer, address, src, dst, proto, port, sport, dport, dropped } = filter;
        Self { from, vnet, peer, address, src, dst, proto, port, sport, dport, dropped }
    }
}
