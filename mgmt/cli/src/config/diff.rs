//! `gridway config diff`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gridway_config::Config;
use gridway_control::{Judgement, Reply, Request};
use similar::TextDiff;

use super::versions::{self, Management};
use crate::error::CliError;
use crate::link::{Link, Target};
use crate::show;
use crate::table::printable_text;

/// A coarser diff is better than a late one.
const LONGEST: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A file, against what is in force.
    #[arg(conflicts_with_all = ["from", "to"])]
    file: Option<PathBuf>,
    /// A version.
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// Another version [default: what is in force]
    #[arg(long, value_name = "VERSION", requires = "from")]
    to: Option<u64>,
    #[command(flatten)]
    management: Management,
    #[command(flatten)]
    target: Target,
}

pub(super) fn diff(args: &DiffArgs, out: &mut impl Write) -> Result<(), CliError> {
    let text = match (&args.file, args.from, args.to) {
        (Some(file), _, _) => judge(&mut args.target.connect()?, &Config::read_file(file)?)?.diff,
        (None, Some(from), Some(to)) => between(args, from, to)?,
        (None, Some(from), None) => {
            let earlier = versions::text(&mut args.management.connect(&args.target)?, from)?;
            let Reply::InForce(now) = args.target.connect()?.ask(&Request::InForce)? else {
                return Err(CliError::Unexpected);
            };
            unified((&name(from), &earlier), ("in force", &now.toml))
        }
        (None, None, _) => last_change(args)?,
    };
    out.write_all(show::config::diff(&text).as_bytes())?;
    Ok(())
}

/// What the node thinks of a text; its warnings are said, its errors are an error.
pub(super) fn judge(link: &mut Link, toml: &str) -> Result<Judgement, CliError> {
    match link.ask(&Request::Judge { toml: toml.to_owned() })? {
        Reply::Judgement(judgement) => {
            for warning in &judgement.warnings {
                eprintln!("warning: {}", printable_text(warning));
            }
            match judgement.errors.is_empty() {
                true => Ok(judgement),
                false => Err(CliError::Judged(judgement.errors.join("\n"))),
            }
        }
        _ => Err(CliError::Unexpected),
    }
}

fn between(args: &DiffArgs, from: u64, to: u64) -> Result<String, CliError> {
    let mut link = args.management.connect(&args.target)?;
    let (earlier, later) = (versions::text(&mut link, from)?, versions::text(&mut link, to)?);
    Ok(unified((&name(from), &earlier), (&name(to), &later)))
}

/// The newest version against the one before it.
fn last_change(args: &DiffArgs) -> Result<String, CliError> {
    let rows = versions::list(&mut args.management.connect(&args.target)?)?;
    match rows.as_slice() {
        [] => Err(CliError::NoVersion("no version is kept yet".to_owned())),
        [only] => Err(CliError::NoVersion(format!("version {} is the only one that is kept", only.version))),
        [newest, before, ..] => between(args, before.version, newest.version),
    }
}

fn name(version: u64) -> String {
    format!("version {version}")
}

fn unified((earlier_name, earlier): (&str, &str), (later_name, later): (&str, &str)) -> String {
    let diff = TextDiff::configure().timeout(LONGEST).diff_lines(earlier, later);
    diff.unified_diff().header(earlier_name, later_name).to_string()
}
