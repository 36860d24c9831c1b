//! Options that pick some of the live flows.

use std::net::IpAddr;

use clap::Args;
use gridway_config::{PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, parse_duration};
use gridway_control::{FlowFilter, Side};

use crate::error::CliError;

const TCP_FLAGS: [&str; 8] = ["SYN", "ACK", "PSH", "FIN", "RST", "URG", "ECE", "CWR"];

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
    /// Protocol: tcp, udp, icmp or a number.
    #[arg(long, value_parser = protocol)]
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
    #[arg(long, value_name = "FLAGS", value_parser = tcp_flags)]
    tcp_flags: Option<String>,
    /// Time since the last packet, such as 5m.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    idle_at_least: Option<u64>,
    /// Side that the first packet came from: local or overlay.
    #[arg(long, value_name = "SIDE", value_parser = side)]
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

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(PROTOCOL_TCP),
        "udp" => Ok(PROTOCOL_UDP),
        "icmp" => Ok(PROTOCOL_ICMP),
        _ => text.parse().map_err(|_| "expected tcp, udp, icmp or a number from 0 to 255".to_owned()),
    }
}

fn tcp_flags(text: &str) -> Result<String, String> {
    let flags = text.to_ascii_uppercase();
    if flags.split(',').all(|flag| TCP_FLAGS.contains(&flag)) {
        Ok(flags)
    } else {
        Err(format!("expected some of {}, with commas between", TCP_FLAGS.join(", ")))
    }
}

/// Whole seconds, rounded up.
fn seconds(text: &str) -> Result<u64, String> {
    let time = parse_duration(text).ok_or("expected a time with a unit, such as 30s or 5m")?;
    Ok(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

fn side(text: &str) -> Result<Side, String> {
    match text {
        "local" => Ok(Side::Local),
        "overlay" => Ok(Side::Overlay),
        _ => Err("expected local or overlay".to_owned()),
    }
}
