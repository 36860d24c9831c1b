//! Commands about single packets: simulated, traced, captured, and sent as echo requests.

mod capture;
mod capture_file;
mod filter;
mod pcapng;
mod ping;
mod simulate;
mod trace;

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;

use crate::error::CliError;
use capture::CaptureArgs;
use ping::PingArgs;
use simulate::SimulateArgs;
use trace::TraceArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PacketCommand {
    /// What would become of a packet: every step, nothing sent. Exit status 1 if it would be dropped.
    #[command(
        after_help = "A packet from a local host has local addresses, one from the overlay virtual ones.\n\n\
                      Examples:\n  \
                      gridway simulate --vnet corp --src 10.1.0.2 --dst 172.16.2.2 --proto tcp --dport 443\n  \
                      gridway simulate --vnet corp --from overlay --peer gw-b --src 10.200.2.2 --dst 10.200.1.2 \
                      --proto icmp"
    )]
    Simulate(Box<SimulateArgs>),
    /// The steps that the next packets take.
    #[command(
        after_help = "Examples:\n  gridway trace --count 10\n  gridway trace --dst 10.200.2.0/24 --dropped\n  \
                      gridway trace --for 10s --dropped acl_deny --json"
    )]
    Trace(Box<TraceArgs>),
    /// The next packets themselves, as pcapng: before or after translation.
    #[command(
        after_help = "Every packet has a comment that says what became of it. Ctrl-C ends the capture.\n\n\
                      Examples:\n  gridway capture --out corp.pcapng --point virtual --vnet corp\n  \
                      gridway capture --out - --point local --count 100 | tshark -r -"
    )]
    Capture(Box<CaptureArgs>),
    /// Echo requests through the overlay, from the vnet's own address.
    #[command(after_help = "Examples:\n  gridway ping --vnet corp 10.200.2.2\n  \
                            gridway ping --vnet corp 10.200.2.2 --count 100 --interval 100ms")]
    Ping(PingArgs),
}

pub(crate) fn run(command: PacketCommand, out: &mut impl Write) -> Result<(), CliError> {
    match command {
        PacketCommand::Simulate(args) => simulate::run(*args, out),
        PacketCommand::Trace(args) => trace::run(*args, out),
        PacketCommand::Capture(args) => capture::run(*args, out),
        PacketCommand::Ping(args) => ping::run(&args, out),
    }
}

/// A time for the node, which counts in milliseconds.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
