//! `nfcapd` collects IPFIX, `nfdump` shows what it got.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, wait_until_listening};

/// How long it may take to write its last file.
const STOP: Duration = Duration::from_secs(10);

/// A running `nfcapd`.
#[derive(Debug)]
pub struct Nfcapd {
    process: Process,
    namespace: Namespace,
    dir: LabDir,
}

impl Nfcapd {
    /// Starts it on an address of either family.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let dir = LabDir::create()?;
        let mut process = namespace
            .command("nfcapd")
            .args(["-C", "none", "-b", &address.ip().to_string(), "-p", &address.port().to_string(), "-w"])
            .arg(dir.path())
            .spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Udp, address)?;
        Ok(Self { process, namespace: namespace.clone(), dir })
    }

    /// Ends it; gives its flow records as `nfdump -o json` shows them.
    ///
    /// # Errors
    /// [`LabError::Failed`], [`LabError::Parse`].
    pub fn stop(mut self) -> Result<Vec<Value>> {
        self.process.terminate(STOP)?;
        let command = self.namespace.command("nfdump").args(["-q", "-o", "json", "-R"]);
        let output = command.arg(self.dir.path()).run()?.stdout;
        // Quiet as it is, it leaves out the brackets of the list.
        serde_json::from_str(&format!("[{output}]")).map_err(|_| LabError::Parse {
            tool: "nfdump",
            expected: "a JSON list",
            output,
        })
    }
}
