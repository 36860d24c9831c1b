//! FTP: `vsftpd` serves, `lftp` transfers. [`crate::tools::Transfer`] does so with curl.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, dir_of, open_dir, wait_until_listening, write_file};

/// Whom anonymous users are; the package of vsftpd makes it.
const USER: &str = "ftp";

/// A running `vsftpd`: anonymous users read and write its directory `pub`, passive and active.
#[derive(Debug)]
pub struct Vsftpd {
    /// Ends with this guard.
    _process: Process,
    dir: LabDir,
}

impl Vsftpd {
    /// Ports that it announces for passive data connections.
    pub const PASSIVE: RangeInclusive<u16> = 40_000..=40_099;

    /// Starts it on an address of either family.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let dir = open_dir()?;
        dir.subdir("empty")?;
        dir.subdir("root")?;
        dir_of(USER, &dir, "root/pub")?;
        let config = write_file(dir.path().join("vsftpd.conf"), config(dir.path(), address))?;
        let mut process = namespace.command("vsftpd").arg(config).spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Tcp, address)?;
        Ok(Self { _process: process, dir })
    }

    /// What users know as `/pub`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root/pub")
    }
}

fn config(dir: &Path, address: SocketAddr) -> String {
    let (low, high) = Vsftpd::PASSIVE.into_inner();
    let (listen, key) = if address.is_ipv4() {
        ("listen=YES\nlisten_ipv6=NO", "listen_address")
    } else {
        ("listen=NO\nlisten_ipv6=YES", "listen_address6")
    };
    format!(
        "{listen}\n{key}={ip}\nlisten_port={port}\nbackground=NO\n\
         anonymous_enable=YES\nno_anon_password=YES\nftp_username={USER}\n\
         nopriv_user={USER}\nsecure_chroot_dir={dir}/empty\nanon_root={dir}/root\n\
         write_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
         anon_other_write_enable=YES\nanon_world_readable_only=NO\nanon_umask=022\n\
         local_enable=NO\nconnect_from_port_20=YES\npasv_min_port={low}\npasv_max_port={high}\n\
         accept_timeout=10\nconnect_timeout=10\nseccomp_sandbox=NO\nxferlog_enable=NO\n\
         max_clients=0\nmax_per_ip=0\n",
        ip = address.ip(),
        port = address.port(),
        dir = dir.display(),
    )
}

/// Transfers by `lftp` with an FTP server, anonymous and without TLS.
#[derive(Debug, Clone)]
pub struct Lftp {
    server: SocketAddr,
    settings: Vec<String>,
}

impl Lftp {
    /// Passive: the client opens data connections.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, settings: vec!["ftp:ssl-allow no".to_owned(), "ftp:passive-mode on".to_owned()] }
    }

    /// The server opens data connections.
    #[must_use]
    pub fn active(self) -> Self {
        self.set("ftp:passive-mode off")
    }

    /// Any setting, as in its command `set`: `ftp:prefer-epsv yes`.
    #[must_use]
    pub fn set(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Gets a file.
    ///
    /// # Errors
    /// [`LabError::Failed`] with lftp's own message; likewise below.
    pub fn get(&self, from: &Namespace, remote: &str, local: &Path) -> Result<()> {
        self.run(from, &format!("get {remote} -o {}", local.display())).map(drop)
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// [`LabError::Failed`].
    pub fn put(&self, from: &Namespace, local: &Path, remote: &str) -> Result<()> {
        self.run(from, &format!("put {} -o {remote}", local.display())).map(drop)
    }

    /// Names in a directory.
    ///
    /// # Errors
    /// [`LabError::Failed`].
    pub fn list(&self, from: &Namespace, remote: &str) -> Result<Vec<String>> {
        let output = self.run(from, &format!("nlist {remote}"))?;
        Ok(output.lines().map(str::to_owned).collect())
    }

    fn run(&self, from: &Namespace, line: &str) -> Result<String> {
        let home = tempfile::tempdir().map_err(LabError::io("create a home for lftp"))?;
        let limits = ["net:max-retries 1", "net:timeout 10", "cmd:fail-exit yes", "cmd:move-background no"];
        let settings: String = limits
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
            .map(|setting| format!("set {setting}; "))
            .collect();
        let script = format!("{settings}open ftp://{}; {line}; bye", self.server);
        let command = from.command("lftp").args(["--norc", "-c", &script]).env("HOME", home.path());
        Ok(command.timeout(Duration::from_secs(60)).run()?.stdout)
    }
}
