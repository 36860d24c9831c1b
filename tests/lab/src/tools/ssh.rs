//! OpenSSH: `sshd`, and `ssh` and `scp` that know it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Command, Output};
use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, wait_until_listening, write_file};

/// Name under which clients know the server's key, whatever address they reach it at.
const ALIAS: &str = "laboratory";
/// `sshd` insists on its directory in `/run`: it sees a `/run` of its own.
const IN_OWN_RUN: &str = r#"mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd "$@""#;

/// A running `sshd` with keys of its own: root may enter with the laboratory's key.
#[derive(Debug)]
pub struct Sshd {
    /// Ends with this guard.
    _process: Process,
    dir: LabDir,
}

impl Sshd {
    /// Makes keys and starts the server on an address.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `ssh-keygen` said, [`LabError::Timeout`] with what the server said.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let dir = LabDir::create()?;
        let path = |name: &str| dir.path().join(name);
        for key in ["host", "client"] {
            let args = ["-q", "-t", "ed25519", "-N", "", "-f"];
            namespace.command("ssh-keygen").args(args).arg(path(key)).run()?;
        }
        let public = |key: &str| {
            let file = path(&format!("{key}.pub"));
            std::fs::read_to_string(&file).map_err(LabError::io(format!("read {}", file.display())))
        };
        write_file(path("authorized_keys"), public("client")?)?;
        write_file(path("known_hosts"), format!("{ALIAS} {}", public("host")?))?;
        let config = write_file(path("sshd_config"), config(dir.path(), address))?;
        let mut process = namespace
            .command("unshare")
            .args(["--mount", "sh", "-c", IN_OWN_RUN, "sshd", "-D", "-e", "-f"])
            .arg(config)
            .spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Tcp, address)?;
        Ok(Self { _process: process, dir })
    }

    /// A client that reaches this server at an address.
    #[must_use]
    pub fn client(&self, at: SocketAddr) -> Ssh<'_> {
        Ssh { server: self, at }
    }
}

/// The directory may lie in one that all may write to: modes are not looked at.
fn config(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "ListenAddress {address}\nStrictModes no\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized_keys\n\
         PidFile none\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
         UseDNS no\nPrintMotd no\nPrintLastLog no\nSubsystem sftp internal-sftp\n"
    )
}

/// `ssh` and `scp` to an [`Sshd`].
#[derive(Debug, Clone, Copy)]
pub struct Ssh<'a> {
    server: &'a Sshd,
    at: SocketAddr,
}

impl Ssh<'_> {
    /// Runs a command line there.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what ssh or the command said; likewise below.
    pub fn run(&self, from: &Namespace, line: &str) -> Result<Output> {
        let host = format!("root@{}", self.at.ip());
        self.command(from, "ssh", "-p").args([host.as_str(), line]).run()
    }

    /// Copies a file to it.
    ///
    /// # Errors
    /// [`LabError::Failed`].
    pub fn copy_to(&self, from: &Namespace, local: &Path, remote: &Path) -> Result<()> {
        self.command(from, "scp", "-P").arg(local).arg(self.remote(remote)).run().map(drop)
    }

    /// Copies a file from it.
    ///
    /// # Errors
    /// [`LabError::Failed`].
    pub fn copy_from(&self, from: &Namespace, remote: &Path, local: &Path) -> Result<()> {
        self.command(from, "scp", "-P").arg(self.remote(remote)).arg(local).run().map(drop)
    }

    fn remote(&self, path: &Path) -> String {
        let address = self.at.ip();
        let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        format!("root@{host}:{}", path.display())
    }

    fn command(&self, from: &Namespace, program: &str, port_option: &str) -> Command {
        let path = |name: &str| -> PathBuf { self.server.dir.path().join(name) };
        let known = format!("UserKnownHostsFile={}", path("known_hosts").display());
        let options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "ConnectTimeout=10",
            known.as_str(),
        ];
        let mut command = from.command(program).args(["-F", "none", "-i"]).arg(path("client"));
        for option in options {
            command = command.args(["-o", option]);
        }
        command
            .args(["-o", &format!("HostKeyAlias={ALIAS}"), port_option, &self.at.port().to_string()])
            .timeout(Duration::from_secs(60))
    }
}
