//! `nginx` as a web server.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, open_dir, wait_until_listening, write_file};
use crate::tools::transfer::Transfer;

/// Files it may have open.
const FILES: &str = "16384:";

/// A running nginx: one process that serves and takes (PUT) the files of a directory, and tells who asked.
#[derive(Debug)]
pub struct Nginx {
    /// Ends with this guard.
    _process: Process,
    dir: LabDir,
}

impl Nginx {
    /// Starts it on an address.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it said when it does not come up.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        Self::start_with(namespace, address, "", "$remote_addr $remote_port")
    }

    /// As [`Nginx::start`], but it takes connections only with a PROXY protocol header (version 1 or 2) and
    /// believes it.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_behind_proxy(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let client = "$proxy_protocol_addr $proxy_protocol_port";
        Self::start_with(namespace, address, "proxy_protocol", client)
    }

    fn start_with(namespace: &Namespace, address: SocketAddr, option: &str, client: &str) -> Result<Self> {
        let dir = open_dir()?;
        let root = dir.subdir("www")?;
        let config = write_file(dir.path().join("nginx.conf"), config(dir.path(), address, option, client))?;
        let mut process = namespace
            .command("prlimit")
            .arg(format!("--nofile={FILES}"))
            .args(["nginx", "-e", "stderr", "-c"])
            .arg(config)
            .current_dir(root)
            .spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Tcp, address)?;
        Ok(Self { _process: process, dir })
    }

    /// The directory that it serves.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("www")
    }

    /// Asks at `server` who the nginx there takes the client for.
    ///
    /// # Errors
    /// [`LabError::Failed`] with curl's own message, [`LabError::Parse`].
    pub fn client_seen(from: &Namespace, server: SocketAddr) -> Result<SocketAddr> {
        let output = Transfer::new(&format!("http://{server}/client")).text(from)?;
        let client = output.trim().split_once(' ').and_then(|(address, port)| {
            let address: IpAddr = address.parse().ok()?;
            Some(SocketAddr::new(address, port.parse().ok()?))
        });
        client.ok_or(LabError::Parse { tool: "nginx", expected: "address and port", output })
    }
}

/// One process, so that nothing is left when it is killed.
fn config(dir: &Path, address: SocketAddr, option: &str, client: &str) -> String {
    let dir = dir.display();
    format!(
        r#"
daemon off;
master_process off;
pid {dir}/pid;
error_log stderr notice;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    server {{
        listen {address} {option} backlog=4096;
        root {dir}/www;
        location / {{ dav_methods PUT; }}
        location = /client {{ return 200 "{client}\n"; }}
    }}
}}
"#
    )
}
