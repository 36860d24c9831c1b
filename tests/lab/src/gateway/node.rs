//! A node as a process: start, reload, end, crash.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{LabError, Result};
use crate::gateway::binaries::find_binary;
use crate::gateway::config::{NodeConfig, NodeFiles};
use crate::gateway::log::{EarlierLog, last_lines};
use crate::gateway::notify::NotifySocket;
use crate::gateway::pki::Pki;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::side::Side;
use crate::topology::Lab;
use crate::wait::try_wait_until;

/// How long a node may take to become ready.
pub(crate) const START: Duration = Duration::from_secs(20);
/// How long it may take to end after TERM.
const STOP: Duration = Duration::from_secs(10);
/// How long it may take to judge a new configuration.
const RELOAD: Duration = Duration::from_secs(10);

/// `gridway-dataplane` in a namespace. `Drop` ends it without a verdict; [`Gateway::stop`] insists on exit code 0.
#[derive(Debug)]
pub struct Gateway {
    config: NodeConfig,
    namespace: Namespace,
    binary: PathBuf,
    through: Vec<OsString>,
    dir: PathBuf,
    pki: PathBuf,
    notify: NotifySocket,
    process: Option<Process>,
    earlier: EarlierLog,
}

impl Gateway {
    /// Prepares a node in the namespace of a side's gateway: issues its certificate unless there is one and writes
    /// `node.toml`. Does not start it.
    ///
    /// # Errors
    /// [`LabError::MissingBinary`] without `gridway-dataplane`, [`LabError::Pki`], [`LabError::Io`].
    pub fn prepare(lab: &Lab, side: Side, pki: &Pki, config: NodeConfig) -> Result<Self> {
        Self::prepare_in(lab, lab.gateway(side), pki, config)
    }

    /// As [`Gateway::prepare`] in any namespace that has a data and a management interface.
    ///
    /// # Errors
    /// As [`Gateway::prepare`].
    pub fn prepare_in(lab: &Lab, namespace: &Namespace, pki: &Pki, config: NodeConfig) -> Result<Self> {
        let binary = find_binary("gridway-dataplane")?;
        pki.ensure(config.name())?;
        let dir = lab.dir().subdir(config.name())?;
        let gateway = Self {
            notify: NotifySocket::bind(&dir.join("notify"))?,
            pki: pki.dir().to_owned(),
            namespace: namespace.clone(),
            config,
            binary,
            through: Vec::new(),
            dir,
            process: None,
            earlier: EarlierLog::default(),
        };
        gateway.write_config()?;
        Ok(gateway)
    }

    /// Prepares and starts.
    ///
    /// # Errors
    /// As [`Gateway::prepare`] and [`Gateway::start`].
    pub fn launch(lab: &Lab, side: Side, pki: &Pki, config: NodeConfig) -> Result<Self> {
        let mut gateway = Self::prepare(lab, side, pki, config)?;
        gateway.start()?;
        Ok(gateway)
    }

    /// Has the next starts go through another program: `words` are that program and its arguments, which ends in
    /// executing what follows them.
    pub fn start_through<W: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = W>) {
        self.through = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    }

    /// Takes what the process told its service manager since the last look, and says whether `assignment`
    /// (`WATCHDOG=1`) was among it.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn announced(&self, assignment: &str) -> Result<bool> {
        self.notify.announced(assignment)
    }

    /// Starts the process and waits until it says that it is ready (`sd_notify`).
    ///
    /// # Errors
    /// [`LabError::Timeout`] with its last words when it ends or stays silent instead;
    /// [`LabError::Unsupported`] when it runs already.
    pub fn start(&mut self) -> Result<()> {
        if self.is_running()? {
            return Err(LabError::Unsupported(format!("{} runs already", self.config.name())));
        }
        self.keep_log()?;
        // What an earlier run announced says nothing about this one.
        self.notify.announced("READY=1")?;
        let mut words = self.through.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let program = words.next().expect("the binary is one of the words");
        let mut process = self
            .namespace
            .command(program)
            .args(words)
            .arg("--config")
            .arg(self.config_path())
            .env("NOTIFY_SOCKET", self.notify.path())
            .current_dir(&self.dir)
            .spawn()?;
        let ready = self.notify.wait_for("READY=1", START, || Ok(process.status()?.is_none()));
        let what = format!("{} ready", self.config.name());
        match ready {
            Ok(true) => {
                self.process = Some(process);
                Ok(())
            }
            Ok(false) | Err(LabError::Timeout { .. }) => {
                Err(LabError::Timeout { what, after: START, detail: process.last_words() })
            }
            Err(error) => Err(error),
        }
    }

    /// Ends it with TERM and insists that it ends in order, in time, with exit code 0.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the end of its log; [`LabError::Timeout`] when it had to be killed.
    pub fn stop(&mut self) -> Result<()> {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(STOP)?;
        let stderr = process.stderr().tail(40)?;
        let command = process.line().to_owned();
        self.keep_log()?;
        if status.success() {
            return Ok(());
        }
        let namespace = self.namespace.name().to_owned();
        Err(LabError::Failed { namespace, command, status, stdout: String::new(), stderr })
    }

    /// Ends it with KILL: a crash, as far as the rest of the world can tell.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self) -> Result<()> {
        if let Some(process) = self.process.as_mut() {
            process.kill()?;
        }
        self.keep_log()
    }

    /// [`Gateway::stop`], then [`Gateway::start`].
    ///
    /// # Errors
    /// As both.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Writes another configuration; takes effect with [`Gateway::reload`] or the next start.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn set_config(&mut self, config: NodeConfig) -> Result<()> {
        self.config = config;
        self.write_config()
    }

    /// Writes text that no builder would: for tests of refused configurations.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn write_raw_config(&self, text: &str) -> Result<()> {
        let path = self.config_path();
        std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))
    }

    /// Sends HUP and waits until the node has taken the new configuration or refused it. Returns the reason of a
    /// refusal.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does neither; [`LabError::Control`].
    pub fn reload(&mut self) -> Result<Option<String>> {
        let before = self.status()?;
        self.signal(Signal::SIGHUP)?;
        let outcome = try_wait_until("the new configuration to be judged", RELOAD, || {
            let now = self.status()?;
            if now.policy_generation > before.policy_generation {
                return Ok(Some(None));
            }
            let refused =
                now.last_reload_error.is_some() && now.last_reload_error != before.last_reload_error;
            Ok(refused.then_some(now.last_reload_error))
        });
        outcome.map_err(|error| self.with_log(error))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`LabError::Io`]; [`LabError::Unsupported`] when it does not run.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        match self.process.as_mut() {
            Some(process) => process.signal(signal),
            None => Err(LabError::Unsupported(format!("{} does not run", self.config.name()))),
        }
    }

    /// True while the process runs.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn is_running(&mut self) -> Result<bool> {
        self.process.as_mut().map_or(Ok(false), |process| Ok(process.status()?.is_none()))
    }

    /// Process id while it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Its `node.toml`.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("node.toml")
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Directory of its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its log: the end of what earlier runs wrote, then all of the present one.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn log(&self) -> Result<String> {
        let now = self.process.as_ref().map_or(Ok(String::new()), |process| process.stderr().text())?;
        Ok(format!("{}{now}", self.earlier.text()))
    }

    /// Adds the end of the log to a time-out.
    pub(crate) fn with_log(&self, error: LabError) -> LabError {
        match error {
            LabError::Timeout { what, after, detail } => {
                let log = self.log().unwrap_or_else(|error| error.to_string());
                let (name, tail) = (self.config.name(), last_lines(&log, 40));
                let detail = format!("{detail}\nlog of {name}:\n{tail}");
                LabError::Timeout { what, after, detail }
            }
            other => other,
        }
    }

    fn write_config(&self) -> Result<()> {
        let files = NodeFiles { pki: self.pki.clone(), socket: self.socket() };
        self.write_raw_config(&self.config.to_toml(&files))
    }

    /// Moves the log of a process that has ended to the earlier ones.
    fn keep_log(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            self.earlier.append(&process.stderr().text()?);
        }
        Ok(())
    }
}
