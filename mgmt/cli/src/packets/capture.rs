//! `gridway capture`.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use gridway_control::{CapturePoint, Reply, Request};

use super::capture_file::CaptureFile;
use super::filter::Filter;
use super::pcapng::Pcapng;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::{Link, Next, Target};
use crate::value;

/// Packets asked for where no number is given, the most that a management API gives: the time ends the capture.
const MOST: u64 = 1_000_000;
/// More than the longest IP packet.
const WHOLE_PACKETS: u32 = 262_144;

#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// File to write, readable by its owner alone; - for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where: in local addresses on the data NIC, or in virtual addresses inside the tunnel.
    #[arg(long)]
    point: Point,
    /// How many packets.
    #[arg(long, default_value_t = MOST, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// For how long at most.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = value::duration)]
    time: Duration,
    /// Bytes of each packet.
    #[arg(long, value_name = "BYTES", default_value_t = WHOLE_PACKETS, value_parser = clap::value_parser!(u32).range(1..))]
    snap: u32,
    /// End when the file has reached this size, such as 100M.
    #[arg(long, value_name = "BYTES", value_parser = value::bytes)]
    max_size: Option<u64>,
    /// Replace a file that exists.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Point {
    Local,
    Virtual,
}

impl From<Point> for CapturePoint {
    fn from(point: Point) -> Self {
        match point {
            Point::Local => Self::Local,
            Point::Virtual => Self::Virtual,
        }
    }
}

pub(super) fn run(args: CaptureArgs, out: &mut impl Write) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let point = args.point.into();
    let mut link = args.target.connect()?;
    let node = name(&mut link)?;
    let request = Request::Capture {
        point,
        filter: args.filter.into(),
        count: args.count,
        wait_ms: super::milliseconds(args.time),
        snap: args.snap,
    };
    let limit = args.max_size.unwrap_or(u64::MAX);
    if args.out == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(CliError::Usage("a capture does not go to a terminal".to_owned()));
        }
        record(link, request, Pcapng::new(out, &node, point, args.snap)?, limit, &interrupt, || Ok(()))
    } else {
        let (mut target, file) = CaptureFile::create(&args.out, args.overwrite)?;
        let file = Pcapng::new(BufWriter::new(file), &node, point, args.snap)?;
        record(link, request, file, limit, &interrupt, || target.keep())
    }
}

/// Writes packets as they come, and says at the end how many there were. `begun` is called when the node captures.
fn record(
    link: Link,
    request: Request,
    mut file: Pcapng<impl Write>,
    limit: u64,
    interrupt: &Interrupt,
    mut begun: impl FnMut() -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut rows = link.rows(request);
    let mut captured = 0_u64;
    let end = loop {
        match rows.next(interrupt) {
            Ok(Next::Row(Reply::Captured(packet))) => {
                file.write(&packet)?;
                if captured == 0 {
                    begun()?;
                }
                captured += 1;
                if file.len() >= limit {
                    break "; the file has reached its size".to_owned();
                }
            }
            Ok(Next::Row(_)) => return Err(CliError::Unexpected),
            Ok(Next::Quiet) => file.flush()?,
            Ok(Next::End(end)) => {
                if captured == 0 {
                    begun()?;
                }
                break format!(", {} missed", end.missed);
            }
            Ok(Next::Interrupted) => break "; interrupted".to_owned(),
            Err(error) => {
                // What came before is worth keeping.
                file.flush()?;
                eprintln!("{captured} packet(s) captured");
                return Err(error.into());
            }
        }
    };
    file.flush()?;
    eprintln!("{captured} packet(s) captured{end}");
    Ok(())
}

/// Name of the node, for the interfaces of the capture.
fn name(link: &mut Link) -> Result<String, CliError> {
    match link.ask(&Request::Status)? {
        Reply::Status(status) => Ok(status.node),
        _ => Err(CliError::Unexpected),
    }
}
