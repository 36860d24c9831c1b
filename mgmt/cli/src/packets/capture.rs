//! `gridway capture`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use gridway_control::{CapturePoint, Reply, Request};

use super::filter::Filter;
use super::pcapng::Pcapng;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::{Link, Next, Target};
use crate::value;

/// Packets asked for where no number is given: the time ends the capture.
const UNBOUNDED: u64 = u32::MAX as u64;
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
    /// How many packets [default: as many as come]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
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
        count: args.count.unwrap_or(UNBOUNDED),
        wait_ms: super::milliseconds(args.time),
        snap: args.snap,
    };
    let limit = args.max_size.unwrap_or(u64::MAX);
    if args.out == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(CliError::Usage("a capture does not go to a terminal".to_owned()));
        }
        record(link, request, Pcapng::new(out, &node, point, args.snap)?, limit, &interrupt)
    } else {
        let file = BufWriter::new(create(&args.out, args.overwrite)?);
        record(link, request, Pcapng::new(file, &node, point, args.snap)?, limit, &interrupt)
    }
}

/// Writes packets as they come, and says at the end how many there were.
fn record(
    link: Link,
    request: Request,
    mut file: Pcapng<impl Write>,
    limit: u64,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let mut rows = link.rows(request);
    let mut captured = 0_u64;
    let end = loop {
        match rows.next(interrupt) {
            Ok(Next::Row(Reply::Captured(packet))) => {
                file.write(&packet)?;
                captured += 1;
                if file.len() >= limit {
                    break "; the file has reached its size".to_owned();
                }
            }
            Ok(Next::Row(_)) => return Err(CliError::Unexpected),
            Ok(Next::Quiet) => file.flush()?,
            Ok(Next::End(end)) => break format!(", {} missed", end.missed),
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

/// A file for its owner alone: it holds what hosts say to each other.
fn create(path: &Path, overwrite: bool) -> Result<File, CliError> {
    let at = |source: io::Error| CliError::File { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if !overwrite {
        return options.create_new(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                at(io::Error::new(error.kind(), "exists already; --overwrite replaces it"))
            }
            _ => at(error),
        });
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(at(io::Error::other("not a regular file"))),
        // A file of its own takes the place of the other one, whose modes and readers are not ours.
        Ok(_) => fs::remove_file(path).map_err(at)?,
        Err(_) => {}
    }
    options.create_new(true).open(path).map_err(at)
}

/// Name of the node, for the interfaces of the capture.
fn name(link: &mut Link) -> Result<String, CliError> {
    match link.ask(&Request::Status)? {
        Reply::Status(status) => Ok(status.node),
        _ => Err(CliError::Unexpected),
    }
}
