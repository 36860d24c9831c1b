//! TFTP: `in.tftpd` serves, `tftp` transfers (both tftp-hpa's). [`crate::tools::Transfer`] does so with curl, which
//! also asks for options (RFC 2347).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, UNPRIVILEGED, dir_of, open_dir, wait_until_listening};

/// A running `in.tftpd`; every transfer comes from a port of its own.
#[derive(Debug)]
pub struct Tftpd {
    /// Ends with this guard.
    _process: Process,
    dir: LabDir,
}

impl Tftpd {
    /// Starts it on an address of either family.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let dir = open_dir()?;
        let root = dir_of(UNPRIVILEGED, &dir, "root")?;
        let mut process = namespace
            .command("in.tftpd")
            .args(["--listen", "--foreground", "--secure", "--create", "--user", UNPRIVILEGED])
            .args(["--address", &address.to_string()])
            .arg(root)
            .spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Udp, address)?;
        Ok(Self { _process: process, dir })
    }

    /// The directory that it serves.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }
}

/// Transfers by `tftp`, in blocks of 512 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Tftp {
    server: SocketAddr,
}

impl Tftp {
    /// With that server.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server }
    }

    /// Gets a file.
    ///
    /// # Errors
    /// [`LabError::Failed`], [`LabError::Parse`] with what it said: its exit code knows only of some errors.
    pub fn get(&self, from: &Namespace, remote: &str, local: &Path) -> Result<()> {
        self.run(from, &["get", remote, &local.to_string_lossy()])
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// As [`Tftp::get`].
    pub fn put(&self, from: &Namespace, local: &Path, remote: &str) -> Result<()> {
        self.run(from, &["put", &local.to_string_lossy(), remote])
    }

    fn run(&self, from: &Namespace, words: &[&str]) -> Result<()> {
        let (host, port) = (self.server.ip().to_string(), self.server.port().to_string());
        let command = from.command("tftp").args(["-m", "binary", &host, &port, "-c"]).args(words);
        let output = command.timeout(Duration::from_secs(40)).run()?;
        let output = output.stdout + &output.stderr;
        if output.contains("rror") || output.contains("timed out") {
            return Err(LabError::Parse { tool: "tftp", expected: "silence", output });
        }
        Ok(())
    }
}
