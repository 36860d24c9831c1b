//! Commands and their options.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use gridway_config::{Domain, NodeName, ServiceName};
use gridway_pki::{CRL_DAYS, OperatorRole};

use crate::config::ConfigCommand;
use crate::doctor::DoctorArgs;
use crate::events::EventsArgs;
use crate::live::LiveCommand;
use crate::packets::PacketCommand;
use crate::top::TopArgs;

/// What `gridway --help` ends with.
const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  the answer is no: a check failed, refused, nothing found, the packet would be dropped, no reply
  2  usage; none or several sockets, or several configurations, to choose from
  3  the node, or the management process that keeps the versions, cannot be reached

Nodes are reached over their control socket, or over the management API of another machine:
  gridway peers --api gw-b.lab.example:8444 --ca ca.crt --cert alice.crt --key alice.key
GRIDWAY_API, GRIDWAY_API_CA, GRIDWAY_API_CERT, GRIDWAY_API_KEY and GRIDWAY_API_NAME stand for these options.

Examples:
  gridway status
  gridway config apply node.toml --confirm-within 60s
  gridway simulate --vnet corp --src 10.1.0.2 --dst 172.16.2.2 --proto tcp --dport 443
  gridway top";

/// Operate a Gridway node.
#[derive(Debug, Parser)]
#[command(name = "gridway", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Certificates for a laboratory or a small site.
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Check, show and change the configuration.
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
    /// What happened on the node.
    #[command(after_help = "Examples:\n  gridway events\n  gridway events --follow")]
    Events(EventsArgs),
    #[command(flatten)]
    Packets(PacketCommand),
    /// The node on one screen, again every second.
    #[command(after_help = crate::top::KEYS)]
    Top(TopArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Create the authorities of nodes and of operators.
    #[command(after_help = "Examples:\n  gridway pki init --domain lab.example --out pki")]
    Init {
        /// Domain that all nodes share.
        #[arg(long)]
        domain: Domain,
        /// Folder to create them in.
        #[arg(long)]
        out: PathBuf,
    },
    /// Issue key and certificate.
    #[command(
        after_help = "Examples:\n  gridway pki issue --dir pki --node gw-a\n  gridway pki issue --dir pki --operator alice --role viewer"
    )]
    Issue {
        /// Folder of the authorities.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        subject: Subject,
        /// What the operator may do: viewer or operator.
        #[arg(long, requires = "operator", required_unless_present = "node", conflicts_with = "node")]
        role: Option<OperatorRole>,
        /// Of the node's management API instead: it serves no tunnel.
        #[arg(long, requires = "node")]
        api: bool,
        /// Replace the files of an earlier certificate, which stays valid until it ends or is revoked.
        #[arg(long)]
        renew: bool,
    },
    /// Revoke every certificate of a node or operator and renew the revocation list.
    #[command(after_help = "Examples:\n  gridway pki revoke --dir pki --node gw-a")]
    Revoke {
        /// Folder of the authorities.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        subject: Subject,
    },
    /// Renew the revocation list before it expires: nodes refuse new tunnels with an expired one.
    #[command(after_help = "Examples:\n  gridway pki crl --dir pki --days 30")]
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
