//! Commands that read the live state of a node, or end a part of it.

use std::io::Write;

use clap::{Args, Subcommand};
use gridway_control::Request;

use crate::error::CliError;
use crate::filter::{Filter, KillFilter};
use crate::link::Target;
use crate::show;
use crate::watch::Reading;

#[derive(Debug, Subcommand)]
pub(crate) enum LiveCommand {
    /// The node at a glance.
    #[command(after_help = "Examples:\n  gridway status\n  gridway status --json | jq .config")]
    Status(Reading),
    /// Tunnels to other nodes.
    #[command(after_help = "Examples:\n  gridway peers\n  gridway peers --watch 1")]
    Peers(Reading),
    /// TCP connections of the tunnels: round trips, queues, retransmissions.
    #[command(
        after_help = "Two lines each: what the tunnel measures, then what the kernel says of its TCP.\n\n\
                      Examples:\n  gridway connections\n  gridway connections --watch"
    )]
    Connections(Reading),
    /// Routes of all vnets.
    #[command(
        after_help = "Examples:\n  gridway routes\n  gridway routes --json | jq '.[] | select(.chosen)'"
    )]
    Routes(Reading),
    /// Live flows; every filter given must match.
    #[command(after_help = "Examples:\n  gridway flows --vnet corp --dport 443\n  \
                      gridway flows --tcp-flags SYN --idle-at-least 5s\n  \
                      gridway flows kill --peer gw-b --proto udp")]
    Flows(Box<FlowsArgs>),
    /// Live Layer 4 sessions.
    #[command(after_help = "Examples:\n  gridway sessions\n  gridway sessions kill 42 43")]
    Sessions(SessionsArgs),
    /// Connectors and port forwards.
    #[command(after_help = "Examples:\n  gridway connectors")]
    Connectors(Reading),
    /// Services and service ranges.
    #[command(after_help = "Examples:\n  gridway services")]
    Services(Reading),
    /// Packets by fate, and drops by reason.
    #[command(after_help = "Examples:\n  gridway counters\n  gridway counters --watch 1")]
    Counters(Reading),
    /// NAT entries and their hits.
    #[command(after_help = "Examples:\n  gridway nat")]
    Nat(Reading),
    /// Access rules and their hits.
    #[command(after_help = "Examples:\n  gridway acl\n  gridway acl --watch")]
    Acl(Reading),
    /// How full the bounded tables are.
    #[command(after_help = "Examples:\n  gridway limits")]
    Limits(Reading),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct FlowsArgs {
    #[command(subcommand)]
    command: Option<FlowsCommand>,
    #[command(flatten)]
    filter: Filter,
    /// Most flows shown.
    #[arg(long, default_value_t = Request::DEFAULT_LIMIT)]
    limit: u32,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Subcommand)]
enum FlowsCommand {
    /// End live flows; every filter given must match. Their hosts are not told.
    #[command(
        after_help = "Examples:\n  gridway flows kill --vnet corp --src 10.1.0.2\n  gridway flows kill --all"
    )]
    Kill {
        #[command(flatten)]
        filter: KillFilter,
        #[command(flatten)]
        ending: Ending,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    command: Option<SessionsCommand>,
    /// Most sessions shown.
    #[arg(long, default_value_t = Request::DEFAULT_LIMIT)]
    limit: u32,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// End live sessions.
    #[command(after_help = "Examples:\n  gridway sessions kill 42 43")]
    Kill {
        /// Numbers of the sessions.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
        #[command(flatten)]
        ending: Ending,
    },
}

/// Options of commands that end something.
#[derive(Debug, Args)]
struct Ending {
    /// JSON with stable keys.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Ending {
    fn run(&self, request: &Request, out: &mut impl Write) -> Result<(), CliError> {
        show::show(&self.target.connect()?.ask(request)?, self.json, out)
    }
}

pub(crate) fn run(command: LiveCommand, out: &mut impl Write) -> Result<(), CliError> {
    match command {
        LiveCommand::Status(reading) => reading.run(&Request::Status, out),
        LiveCommand::Peers(reading) => reading.run(&Request::Peers, out),
        LiveCommand::Connections(reading) => reading.run(&Request::Connections, out),
        LiveCommand::Routes(reading) => reading.run(&Request::Routes, out),
        LiveCommand::Flows(flows) => match *flows {
            FlowsArgs { command: Some(FlowsCommand::Kill { filter, ending }), .. } => {
                ending.run(&Request::KillFlows { filter: filter.try_into()? }, out)
            }
            FlowsArgs { command: None, filter, limit, reading } => {
                reading.run(&Request::Flows { filter: filter.into(), limit }, out)
            }
        },
        LiveCommand::Sessions(SessionsArgs {
            command: Some(SessionsCommand::Kill { ids, ending }), ..
        }) => ending.run(&Request::KillSessions { ids }, out),
        LiveCommand::Sessions(SessionsArgs { command: None, limit, reading }) => {
            reading.run(&Request::Sessions { limit }, out)
        }
        LiveCommand::Connectors(reading) => reading.run(&Request::Connectors, out),
        LiveCommand::Services(reading) => reading.run(&Request::Services, out),
        LiveCommand::Counters(reading) => reading.run(&Request::Counters, out),
        LiveCommand::Nat(reading) => reading.run(&Request::Nat, out),
        LiveCommand::Acl(reading) => reading.run(&Request::Acl, out),
        LiveCommand::Limits(reading) => reading.run(&Request::Limits, out),
    }
}
