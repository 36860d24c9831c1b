//! Commands and their options.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use gridway_config::{Domain, NodeName, ServiceName};
use gridway_control::Request;
use gridway_pki::{CRL_DAYS, OperatorRole};

use crate::doctor::DoctorArgs;
use crate::error::CliError;
use crate::filter::{Filter, KillFilter};

/// Operate a Gridway node.
#[derive(Debug, Parser)]
#[command(name = "gridway", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Certificates for a laboratory or a small site.
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Check a file, or show what is in force.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say what is wrong with this machine, and how to mend it.
    Doctor(DoctorArgs),
    /// Write manual pages and completions, for the package.
    #[command(hide = true)]
    Reference {
        /// Folder to write to.
        folder: PathBuf,
    },
    #[command(flatten)]
    Live(LiveCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Create the authorities of nodes and of operators.
    Init {
        /// Domain that all nodes share.
        #[arg(long)]
        domain: Domain,
        /// Folder to create them in.
        #[arg(long)]
        out: PathBuf,
    },
    /// Issue key and certificate.
    Issue {
        /// Folder of the authorities.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        subject: Subject,
        /// What the operator may do: viewer or operator.
        #[arg(long, requires = "operator", required_unless_present = "node", conflicts_with = "node")]
        role: Option<OperatorRole>,
        /// Replace the files of an earlier certificate, which stays valid until it ends or is revoked.
        #[arg(long)]
        renew: bool,
    },
    /// Revoke every certificate of a node or operator and renew the revocation list.
    Revoke {
        /// Folder of the authorities.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        subject: Subject,
    },
    /// Renew the revocation list before it expires: nodes refuse new tunnels with an expired one.
    Crl {
        /// Folder of the authorities.
        #[arg(long)]
        dir: PathBuf,
        /// The list of operators instead of that of nodes.
        #[arg(long)]
        operators: bool,
        /// Days that the list holds.
        #[arg(long, default_value_t = CRL_DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("subject").required(true))]
pub(crate) struct Subject {
    /// Name of a node.
    #[arg(long, group = "subject")]
    pub(crate) node: Option<NodeName>,
    /// Name of an operator of the management API.
    #[arg(long, group = "subject")]
    pub(crate) operator: Option<ServiceName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say every error of a file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show the configuration that the node runs with.
    Show {
        /// Values that equal their default, too.
        #[arg(long)]
        defaults: bool,
        #[command(flatten)]
        reading: Reading,
    },
}

/// Options of every command that reads from a node.
#[derive(Debug, ClapArgs)]
pub(crate) struct Reading {
    /// Control socket of the node [default: the only one in /run/gridway]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// JSON with stable keys.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LiveCommand {
    /// The node at a glance.
    Status(Reading),
    /// Tunnels to other nodes.
    Peers(Reading),
    /// Routes of all vnets.
    Routes(Reading),
    /// Live flows; every filter given must match.
    Flows(Box<FlowsArgs>),
    /// Live Layer 4 sessions.
    Sessions(SessionsArgs),
    /// Connectors and port forwards.
    Connectors(Reading),
    /// Services and service ranges.
    Services(Reading),
    /// Packets by fate, and drops by reason.
    Counters(Reading),
    /// NAT entries and their hits.
    Nat(Reading),
    /// Access rules and their hits.
    Acl(Reading),
    /// How full the bounded tables are.
    Limits(Reading),
}

#[derive(Debug, ClapArgs)]
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
    Kill {
        #[command(flatten)]
        filter: KillFilter,
        #[command(flatten)]
        reading: Reading,
    },
}

#[derive(Debug, ClapArgs)]
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
    Kill {
        /// Numbers of the sessions.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
        #[command(flatten)]
        reading: Reading,
    },
}

impl LiveCommand {
    /// What to ask, and how.
    pub(crate) fn into_parts(self) -> Result<(Request, Reading), CliError> {
        Ok(match self {
            Self::Status(reading) => (Request::Status, reading),
            Self::Peers(reading) => (Request::Peers, reading),
            Self::Routes(reading) => (Request::Routes, reading),
            Self::Flows(flows) => match *flows {
                FlowsArgs { command: Some(FlowsCommand::Kill { filter, reading }), .. } => {
                    (Request::KillFlows { filter: filter.try_into()? }, reading)
                }
                FlowsArgs { command: None, filter, limit, reading } => {
                    (Request::Flows { filter: filter.into(), limit }, reading)
                }
            },
            Self::Sessions(SessionsArgs {
                command: Some(SessionsCommand::Kill { ids, reading }), ..
            }) => (Request::KillSessions { ids }, reading),
            Self::Sessions(SessionsArgs { command: None, limit, reading }) => {
                (Request::Sessions { limit }, reading)
            }
            Self::Connectors(reading) => (Request::Connectors, reading),
            Self::Services(reading) => (Request::Services, reading),
            Self::Counters(reading) => (Request::Counters, reading),
            Self::Nat(reading) => (Request::Nat, reading),
            Self::Acl(reading) => (Request::Acl, reading),
            Self::Limits(reading) => (Request::Limits, reading),
        })
    }
}
