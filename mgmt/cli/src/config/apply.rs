//! `gridway config apply`, `confirm` and `rollback`.

use std::env;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use gridway_config::Config;
use gridway_control::{ConfigState, FailureKind, Proposal, Reply, Request};

use super::diff;
use super::versions::{self, Management};
use crate::error::CliError;
use crate::link::{Link, LinkError, Target};
use crate::show::{self, config::since, unit::span};
use crate::table::printable;
use crate::value;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// JSON with stable keys.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// A version to go back to; without, the change that awaits confirmation is undone.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    management: Management,
    #[command(flatten)]
    target: Target,
}

/// How a text is put into force.
#[derive(Debug, Args)]
struct Change {
    /// Undo it after this time, such as 60s, unless it is confirmed.
    #[arg(long, value_name = "TIME", value_parser = confirm_within)]
    confirm_within: Option<u64>,
    /// Whatever somebody else changed meanwhile.
    #[arg(long)]
    force: bool,
    /// JSON with stable keys, in place of what changes.
    #[arg(long)]
    json: bool,
}

pub(super) fn apply(args: &ApplyArgs, out: &mut impl Write) -> Result<(), CliError> {
    let toml = Config::read_file(&args.file)?;
    put(toml, &args.change, &args.target, out)
}

pub(super) fn confirm(args: &ConfirmArgs, out: &mut impl Write) -> Result<(), CliError> {
    let mut link = args.target.connect()?;
    let (digest, whose) = meant(&mut link)?;
    let state = ask(&mut link, &Request::Confirm { digest, by: by() })?;
    conclude(&state, &format!("{whose} is kept"), args.json, &args.target, out)
}

pub(super) fn rollback(args: &RollbackArgs, out: &mut impl Write) -> Result<(), CliError> {
    let Some(version) = args.to else {
        if args.change.confirm_within.is_some() || args.change.force {
            return Err(CliError::Usage("--confirm-within and --force belong to --to VERSION".to_owned()));
        }
        let mut link = args.target.connect()?;
        let (digest, whose) = meant(&mut link)?;
        let state = ask(&mut link, &Request::Rollback { digest, by: by() })?;
        return conclude(&state, &format!("{whose} is undone"), args.change.json, &args.target, out);
    };
    let toml = versions::text(&mut args.management.connect(&args.target)?, version)?;
    put(toml, &args.change, &args.target, out)
}

/// The configuration that a confirmation or a rollback means, so that it is of no other one that came meanwhile, and
/// whose change it is.
fn meant(link: &mut Link) -> Result<(Option<String>, String), CliError> {
    let state = ask(link, &Request::ConfigState)?;
    let whose = state.pending.map_or_else(
        || "the change".to_owned(),
        |pending| format!("the change by {}", printable(&pending.by)),
    );
    Ok((Some(state.digest), whose))
}

/// Puts a text into force, unless somebody else changed the configuration after it was looked at.
fn put(toml: String, change: &Change, target: &Target, out: &mut impl Write) -> Result<(), CliError> {
    let mut link = target.connect()?;
    // Before the differences are told, so that they are against this one.
    let base = ask(&mut link, &Request::ConfigState)?.digest;
    let judgement = diff::judge(&mut link, &toml)?;
    if !change.json {
        out.write_all(show::config::diff(&judgement.diff).as_bytes())?;
    }
    let proposal = Proposal {
        toml,
        confirm_within_s: change.confirm_within,
        base: (!change.force).then_some(base),
        by: by(),
    };
    match link.ask(&Request::Apply(proposal)) {
        Ok(Reply::ConfigState(state)) => conclude(&state, "in force", change.json, target, out),
        Ok(_) => Err(CliError::Unexpected),
        Err(error) => Err(conflict(&mut link, error)),
    }
}

/// Who was first, and when.
fn conflict(link: &mut Link, error: LinkError) -> CliError {
    let Some(failure) = error.failure().filter(|failure| failure.kind == FailureKind::Conflict) else {
        return error.into();
    };
    let message = failure.message.clone();
    match ask(link, &Request::ConfigState) {
        Ok(state) => {
            let pending = state.pending.as_ref().map_or(String::new(), |pending| {
                let left = span(pending.left_s);
                format!("; a change by {} awaits confirmation for another {left}", pending.by)
            });
            let since = since(&state, show::now());
            CliError::Conflict(format!("{message}. In force: {since}{pending}"))
        }
        Err(_) => CliError::Conflict(message),
    }
}

fn ask(link: &mut Link, request: &Request) -> Result<ConfigState, CliError> {
    match link.ask(request)? {
        Reply::ConfigState(state) => Ok(state),
        _ => Err(CliError::Unexpected),
    }
}

/// Says what happened and what comes next.
fn conclude(
    state: &ConfigState,
    done: &str,
    json: bool,
    target: &Target,
    out: &mut impl Write,
) -> Result<(), CliError> {
    if json {
        return show::write_json(state, out);
    }
    let digest = printable(&show::unit::short_digest(&state.digest));
    writeln!(out, "{done}: {digest}, generation {}", state.generation)?;
    match &state.pending {
        Some(pending) => {
            let (left, node) = (pending.left_s, target.as_options());
            writeln!(out, "undone in {left} s unless you run: {}{node}", show::config::CONFIRM)?;
        }
        None if !state.saved => {
            writeln!(out, "the node's file does not hold it: a restart begins with another one")?;
        }
        None => {}
    }
    Ok(())
}

/// Whoever became root by sudo is who asks.
fn by() -> Option<String> {
    env::var("SUDO_USER").ok().filter(|user| !user.is_empty())
}

fn confirm_within(text: &str) -> Result<u64, String> {
    value::seconds(text).and_then(|seconds| match seconds {
        0 => Err("expected at least 1s".to_owned()),
        seconds => Ok(seconds),
    })
}
