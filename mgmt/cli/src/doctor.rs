//! `gridway doctor`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use gridway_checks::{Finding, Status};

use crate::error::CliError;

/// Where the package's units look for nodes: `NODE/node.toml`.
const NODES: &str = "/etc/gridway";

/// Options of `gridway doctor`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Configuration of the node [default: the only /etc/gridway/*/node.toml; without one the machine alone is
    /// examined]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON with stable keys and ids.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: DoctorArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = match args.config {
        Some(file) => Some(file),
        None => only_node(Path::new(NODES))?,
    };
    let findings = match &config {
        Some(file) => gridway_checks::node(file),
        None => gridway_checks::machine(),
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &findings)?;
        writeln!(out)?;
    } else {
        text(&findings, out)?;
        if config.is_none() {
            writeln!(out, "No node was examined: name its configuration with --config FILE.")?;
        }
    }
    match count(&findings, Status::Problem) {
        0 => Ok(()),
        problems => {
            // What was found is the answer; the error is its sum.
            out.flush()?;
            Err(CliError::Check(format!("this machine is not ready; problems: {problems}")))
        }
    }
}

/// The only node's configuration, if there is one.
fn only_node(folder: &Path) -> Result<Option<PathBuf>, CliError> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path().join("node.toml")).filter(|file| file.is_file()).collect();
    files.sort_unstable();
    if files.len() > 1 {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(CliError::SeveralNodes { files: files.join(", ") });
    }
    Ok(files.pop())
}

fn count(findings: &[Finding], status: Status) -> usize {
    findings.iter().filter(|finding| finding.status == status).count()
}

/// One line a finding, and below it how to mend it.
fn text(findings: &[Finding], out: &mut impl Write) -> Result<(), CliError> {
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or(0);
    for finding in findings {
        let (status, id) = (finding.status.as_str(), finding.id);
        let of = if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
        let mut lines = finding.found.lines();
        writeln!(out, "{status:<8} {id:<width$}  {of}{}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(out, "{:<8} {:<width$}  {line}", "", "")?;
        }
        if !finding.advice.is_empty() {
            writeln!(out, "{:<8} {:<width$}    -> {}", "", "", finding.advice)?;
        }
    }
    let [ok, warnings, problems] =
        [Status::Ok, Status::Warning, Status::Problem].map(|status| count(findings, status));
    writeln!(out, "\nok: {ok}, warnings: {warnings}, problems: {problems}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_node_is_examined_and_of_several_one_must_be_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(only_node(folder.path()).unwrap(), None);
        let make = |name: &str| {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("node.toml"), "").unwrap();
        };
        make("gw-a");
        fs::create_dir(folder.path().join("pki")).unwrap();
        assert_eq!(only_node(folder.path()).unwrap(), Some(folder.path().join("gw-a/node.toml")));
        make("gw-b");
        assert_eq!(only_node(folder.path()).unwrap_err().exit_status(), 2);
    }
}
