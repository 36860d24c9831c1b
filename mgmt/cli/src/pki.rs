//! `gridway pki`.

use std::io::Write;
use std::path::Path;

use gridway_pki::{PkiError, Store, init};

use crate::args::{PkiCommand, Subject};
use crate::error::CliError;

pub(crate) fn run(command: PkiCommand, out: &mut impl Write) -> Result<(), CliError> {
    match command {
        PkiCommand::Init { domain, out: folder } => {
            init(&domain, &folder)?;
            writeln!(out, "authorities of {domain} in {}", folder.display())?;
        }
        PkiCommand::Issue { dir, subject, role, api, renew } => {
            let mut store = open(&dir, &subject)?;
            let issued = match (&subject.node, &subject.operator, role) {
                (Some(node), _, _) if api => store.issue_api(node, renew)?,
                (Some(node), _, _) => store.issue_node(node, renew)?,
                (None, Some(operator), Some(role)) => store.issue_operator(operator, role, renew)?,
                (None, _, _) => unreachable!("clap asks for a node, or an operator with a role"),
            };
            writeln!(out, "{} issued, serial {}", subject.name(), issued.serial)?;
        }
        PkiCommand::Revoke { dir, subject } => {
            let count = open(&dir, &subject)?.revoke(subject.name())?;
            writeln!(out, "{} revoked, {count} certificate(s); distribute crl.pem", subject.name())?;
        }
        PkiCommand::Crl { dir, operators, days } => {
            let mut store = if operators { Store::operators(&dir)? } else { Store::nodes(&dir)? };
            store.renew_crl(days)?;
            writeln!(out, "revocation list renewed for {days} days; distribute crl.pem")?;
        }
    }
    Ok(())
}

fn open(dir: &Path, subject: &Subject) -> Result<Store, PkiError> {
    if subject.node.is_some() { Store::nodes(dir) } else { Store::operators(dir) }
}

impl Subject {
    fn name(&self) -> &str {
        let node = self.node.as_ref().map(AsRef::as_ref);
        node.or(self.operator.as_ref().map(AsRef::as_ref)).unwrap_or_default()
    }
}
