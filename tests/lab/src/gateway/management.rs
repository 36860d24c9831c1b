//! The management process beside a node, and requests to its API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gridway_config::{NodeName, ServiceName};
use gridway_pki::{OperatorRole, Store};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::command::Command;
use crate::error::{LabError, Result};
use crate::gateway::binaries::find_binary;
use crate::gateway::config::NodeConfig;
use crate::gateway::log::EarlierLog;
use crate::gateway::node::Gateway;
use crate::gateway::pki::Pki;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::side::{Side, WAN_INTERFACE};

/// How long it may take to be ready, and to end.
const LIMIT: Duration = Duration::from_secs(15);
/// Size of the file system that its database lies on: room for a while, and soon full when that is wanted.
const DISK: &str = "2m";

/// `gridway-mgmt` in a node's namespace, with its database on a small file system of its own. `Drop` ends it.
#[derive(Debug)]
pub struct Management {
    namespace: Namespace,
    dir: PathBuf,
    pki: PathBuf,
    listen: SocketAddr,
    name: String,
    process: Option<Process>,
    earlier: EarlierLog,
}

/// What came back for a request.
#[derive(Debug, Clone)]
pub struct ApiAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

impl ApiAnswer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Management {
    /// Port of its API.
    pub const PORT: u16 = 8444;

    /// Issues the certificates of the API, of the operator `alice` and of the viewer `vera`, writes `mgmt.toml` and
    /// starts it beside `gateway`.
    ///
    /// # Errors
    /// [`LabError::MissingBinary`], [`LabError::Pki`], [`LabError::Io`], and as [`Self::start`].
    pub fn launch(gateway: &Gateway, side: Side, pki: &Pki) -> Result<Self> {
        let name = gateway.config().name().to_owned();
        let pki_error = |error: &dyn std::fmt::Display| LabError::Pki(format!("{name}: {error}"));
        let node = NodeName::new(&name).map_err(|error| pki_error(&error))?;
        pki.store()?.issue_api(&node, true).map_err(|error| pki_error(&error))?;
        let mut operators = Store::operators(pki.dir()).map_err(|error| pki_error(&error))?;
        for (operator, role) in [("alice", OperatorRole::Operator), ("vera", OperatorRole::Viewer)] {
            let operator = ServiceName::new(operator).map_err(|error| pki_error(&error))?;
            operators.issue_operator(&operator, role, true).map_err(|error| pki_error(&error))?;
        }
        let dir = gateway.dir().join("management");
        std::fs::create_dir_all(dir.join("store"))
            .map_err(LabError::io("create the folder of the database"))?;
        let mut management = Self {
            namespace: gateway.namespace().clone(),
            dir,
            pki: pki.dir().to_owned(),
            listen: SocketAddr::new(side.wan().into(), Self::PORT),
            name,
            process: None,
            earlier: EarlierLog::default(),
        };
        let text = management.config(&gateway.socket());
        let path = management.dir.join("mgmt.toml");
        std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
        management.start()?;
        Ok(management)
    }

    fn config(&self, socket: &Path) -> String {
        let (pki, listen, name) = (self.pki.display(), self.listen, &self.name);
        format!(
            "[node]\nsocket = \"{}\"\n[api]\nlisten = \"{listen}\"\ninterface = \"{WAN_INTERFACE}\"\n\
             operators_ca = \"{pki}/operators/ca.crt\"\noperators_crl = \"{pki}/operators/crl.pem\"\n\
             certificate = \"{pki}/{name}-api.crt\"\nprivate_key = \"{pki}/{name}-api.key\"\n\
             requests_per_second = 10000\n[store]\npath = \"store/node.db\"\n[local]\nsocket = \"local.sock\"\n",
            socket.display(),
        )
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with its last words.
    pub fn start(&mut self) -> Result<()> {
        let binary = find_binary("gridway-mgmt")?;
        // What is mounted goes with the process: nobody else sees it.
        let script = format!(
            "mount -t tmpfs -o size={DISK} none store; \
             [ ! -d kept ] || cp -a kept/. store/; exec \"$0\" --config mgmt.toml"
        );
        let mut process = self
            .namespace
            .command("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(&binary)
            .current_dir(&self.dir)
            .spawn()?;
        process.wait_for_output("ready", LIMIT)?;
        self.process = Some(process);
        Ok(())
    }

    /// Where its database lies, as the process sees it; reachable while it runs.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when it does not run.
    pub fn store(&self) -> Result<PathBuf> {
        let process = self.process.as_ref();
        let process = process.ok_or_else(|| LabError::Unsupported("management does not run".to_owned()))?;
        let inside = self.dir.join("store");
        let inside = inside.strip_prefix("/").unwrap_or(&inside);
        Ok(PathBuf::from(format!("/proc/{}/root", process.pid())).join(inside))
    }

    /// Ends it with TERM and insists on exit code 0. Its database is kept for the next start.
    ///
    /// # Errors
    /// [`LabError::Failed`], [`LabError::Timeout`], [`LabError::Io`].
    pub fn stop(&mut self) -> Result<()> {
        self.end(|process| {
            process.signal(Signal::SIGTERM)?;
            process.wait(LIMIT)
        })
        .and_then(|status| match status.success() {
            true => Ok(()),
            false => Err(LabError::Unsupported(format!("management ended with {status}\n{}", self.log()?))),
        })
    }

    /// Ends it with KILL. Its database is kept for the next start.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self) -> Result<()> {
        self.end(Process::kill).map(drop)
    }

    fn end(
        &mut self,
        end: impl FnOnce(&mut Process) -> Result<std::process::ExitStatus>,
    ) -> Result<std::process::ExitStatus> {
        // A file descriptor holds the file system while the process goes.
        let held =
            std::fs::File::open(self.store()?).map_err(LabError::io("open the folder of the database"))?;
        let mut process =
            self.process.take().ok_or_else(|| LabError::Unsupported("management does not run".to_owned()))?;
        let status = end(&mut process)?;
        self.earlier.append(&process.stderr().text()?);
        self.keep(&held)?;
        Ok(status)
    }

    /// Copies what the process left in its file system to where its next start finds it.
    fn keep(&self, held: &std::fs::File) -> Result<()> {
        use std::os::fd::AsRawFd;
        let from = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let kept = self.dir.join("kept");
        // There is none before the first end.
        drop(std::fs::remove_dir_all(&kept));
        std::fs::create_dir(&kept).map_err(LabError::io("keep the database"))?;
        for entry in std::fs::read_dir(&from).map_err(LabError::io("read the folder of the database"))? {
            let entry = entry.map_err(LabError::io("read the folder of the database"))?;
            std::fs::copy(entry.path(), kept.join(entry.file_name()))
                .map_err(LabError::io("keep the database"))?;
        }
        Ok(())
    }

    /// Process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Its address.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Its local socket.
    #[must_use]
    pub fn local_socket(&self) -> PathBuf {
        self.dir.join("local.sock")
    }

    /// Certificate and key of an operator.
    #[must_use]
    pub fn credentials(&self, who: &str) -> [PathBuf; 2] {
        ["crt", "key"].map(|extension| self.pki.join(format!("operators/{who}.{extension}")))
    }

    /// Its log.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn log(&self) -> Result<String> {
        let now = self.process.as_ref().map_or(Ok(String::new()), |process| process.stderr().text())?;
        Ok(format!("{}{now}", self.earlier.text()))
    }

    /// `curl` in a namespace, as an operator, with the API known by its name; arguments and the address follow.
    #[must_use]
    pub fn curl(&self, from: &Namespace, who: &str) -> Command {
        let [certificate, key] = self.credentials(who);
        let host = format!("{}.{}", self.name, NodeConfig::DOMAIN);
        from.command("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"])
            .args(["--resolve", &format!("{host}:{}:{}", self.listen.port(), self.listen.ip()), "--cacert"])
            .arg(self.pki.join("ca.crt"))
            .arg("--cert")
            .arg(certificate)
            .arg("--key")
            .arg(key)
    }

    /// Address of a path of the API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}.{}:{}{path}", self.name, NodeConfig::DOMAIN, self.listen.port())
    }

    /// A request; with a body of JSON if there is one.
    ///
    /// # Errors
    /// [`LabError::Failed`] with curl's words, [`LabError::Parse`].
    pub fn request(
        &self,
        from: &Namespace,
        who: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ApiAnswer> {
        let mut curl = self.curl(from, who).args(["--request", method]);
        if let Some(body) = body {
            curl = curl
                .args(["--header", "content-type: application/json", "--data-binary", "@-"])
                .stdin(body.to_string());
        }
        let output = curl.arg(self.url(path)).run()?.stdout;
        let parted = output.rsplit_once('\n').and_then(|(body, status)| Some((body, status.parse().ok()?)));
        match parted {
            Some((body, status)) => Ok(ApiAnswer { status, body: body.to_owned() }),
            None => Err(LabError::Parse { tool: "curl", expected: "a status", output }),
        }
    }
}
