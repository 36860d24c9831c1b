//! `scapy`: packets of any kind, and what comes back.

use std::time::Duration;

use crate::error::Result;
use crate::namespace::Namespace;

/// The one that has Debian's packages; another may come first in the path.
const PYTHON: &str = "/usr/bin/python3";
/// Scapy takes seconds to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

/// Runs python with all of scapy's names, and returns what it printed. Scapy knows the interfaces and routes of the
/// namespace.
///
/// # Errors
/// [`crate::LabError::Failed`] with python's own message, [`crate::LabError::Timeout`] after 40 s.
pub fn scapy(namespace: &Namespace, script: &str) -> Result<String> {
    let script = format!("from scapy.all import *\nconf.verb = 0\n{script}");
    Ok(namespace.command(PYTHON).args(["-W", "ignore", "-c", &script]).timeout(LIMIT).run()?.stdout)
}
