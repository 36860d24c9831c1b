//! `gridway simulate`.

use std::io::Write;
use std::net::IpAddr;

use clap::Args;
use gridway_config::{PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP};
use gridway_control::{Reply, Request, Side, SimulatedPacket, Tuple};

use crate::error::CliError;
use crate::link::Target;
use crate::show::{self, packet::DROPPED};
use crate::value::{self, PROTOCOL_ICMPV6};

/// First port of those that systems give to clients (RFC 6335).
const CLIENT_PORT: u16 = 49152;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Name of the vnet.
    #[arg(long)]
    vnet: String,
    /// Source address.
    #[arg(long)]
    src: IpAddr,
    /// Destination address.
    #[arg(long)]
    dst: IpAddr,
    /// Protocol: tcp, udp, icmp or a number.
    #[arg(long, value_parser = value::protocol)]
    proto: u8,
    /// Destination port; needed for tcp and udp.
    #[arg(long)]
    dport: Option<u16>,
    /// Source port [default: 49152 for tcp and udp]
    #[arg(long)]
    sport: Option<u16>,
    /// Side that it would come from: local or overlay.
    #[arg(long, value_name = "SIDE", default_value = "local", value_parser = value::side)]
    from: Side,
    /// Peer that would have sent it [default: the one by the best route to the source]
    #[arg(long)]
    peer: Option<String>,
    /// TCP flags, such as SYN,ACK [default: SYN]
    #[arg(long, value_name = "FLAGS", value_parser = value::tcp_flags)]
    tcp_flags: Option<String>,
    /// Length of the IP packet in bytes [default: the shortest there can be]
    #[arg(long, value_name = "BYTES")]
    length: Option<u16>,
    /// It must not be fragmented.
    #[arg(long)]
    df: bool,
    /// TTL or hop limit that it arrives with.
    #[arg(long, default_value_t = 64)]
    ttl: u8,
    /// JSON with stable keys.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: SimulateArgs, out: &mut impl Write) -> Result<(), CliError> {
    let (json, target) = (args.json, args.target.clone());
    let request = Request::Simulate(args.packet()?);
    let reply = target.connect()?.ask(&request)?;
    show::show(&reply, json, out)?;
    match reply {
        Reply::Trace(trace) if trace.verdict == DROPPED => Err(CliError::WouldDrop),
        _ => Ok(()),
    }
}

impl SimulateArgs {
    fn packet(self) -> Result<SimulatedPacket, CliError> {
        if self.src.is_ipv4() != self.dst.is_ipv4() {
            return Err(CliError::Usage("--src and --dst must be of one address family".to_owned()));
        }
        let has_ports = [PROTOCOL_TCP, PROTOCOL_UDP].contains(&self.proto);
        if has_ports && self.dport.is_none() {
            return Err(CliError::Usage("which port? tcp and udp need --dport".to_owned()));
        }
        if self.tcp_flags.is_some() && self.proto != PROTOCOL_TCP {
            return Err(CliError::Usage("--tcp-flags belong to --proto tcp".to_owned()));
        }
        if self.peer.is_some() && self.from == Side::Local {
            return Err(CliError::Usage("--peer belongs to --from overlay".to_owned()));
        }
        let proto = match self.proto {
            PROTOCOL_ICMP if self.src.is_ipv6() => PROTOCOL_ICMPV6,
            proto => proto,
        };
        let tuple = Tuple {
            src: self.src,
            dst: self.dst,
            proto,
            sport: self.sport.unwrap_or(if has_ports { CLIENT_PORT } else { 0 }),
            dport: self.dport.unwrap_or_default(),
        };
        Ok(SimulatedPacket {
            from: self.from,
            vnet: self.vnet,
            peer: self.peer,
            tuple,
            tcp_flags: self.tcp_flags,
            length: self.length,
            dont_fragment: self.df,
            ttl: self.ttl,
        })
    }
}
