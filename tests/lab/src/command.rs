//! A builder for programs that run inside a namespace and die with the laboratory.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::{Captured, Process};

/// How long [`Command::run`] lets a program run unless told otherwise.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// Runs what follows, unless the parent died before the parent-death signal was set: then nobody would send it.
const UNLESS_ORPHANED: &str = r#"[ "$PPID" = "$0" ] || exit 125; exec "$@""#;

/// What a finished program left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Standard output (its last 16 MiB, invalid UTF-8 replaced).
    pub stdout: String,
    /// Standard error (likewise).
    pub stderr: String,
}

/// A program with arguments, to be run inside a namespace.
///
/// The program gets `LC_ALL=C` and `GRIDWAY_LAB=<laboratory>`, an empty standard input unless [`Command::stdin`] is
/// used, a process group of its own, and a parent-death signal (KILL), so it does not outlive this process or the
/// namespace. The signal reaches the program itself and not the children that it starts; programs that give up
/// their uid lose it (`prctl(2)`, `PR_SET_PDEATHSIG`).
#[derive(Debug)]
pub struct Command {
    namespace: Namespace,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

impl Command {
    pub(crate) fn new(namespace: Namespace, program: &OsStr) -> Self {
        Self {
            namespace,
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What the program reads from its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(bytes.as_ref().to_vec());
        self
    }

    /// How long [`Command::run`] may take (30 s unless set).
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs to the end and insists on exit code 0.
    ///
    /// # Errors
    /// [`LabError::Failed`] with standard error and output; [`LabError::Timeout`] (the program is then killed).
    pub fn run(self) -> Result<Output> {
        let namespace = self.namespace.name().to_owned();
        let command = self.line();
        let output = self.run_unchecked()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(LabError::Failed {
            namespace,
            command,
            status: output.status,
            stdout: last_part(&output.stdout),
            stderr: last_part(&output.stderr),
        })
    }

    /// Runs to the end; any exit code will do.
    ///
    /// # Errors
    /// [`LabError::Timeout`] (the program is then killed), [`LabError::Io`].
    pub fn run_unchecked(self) -> Result<Output> {
        let limit = self.limit;
        let mut process = self.spawn()?;
        let status = process.wait(limit)?;
        Ok(Output { status, stdout: process.stdout().text()?, stderr: process.stderr().text()? })
    }

    /// Starts the program and returns its guard, which ends it when dropped.
    ///
    /// # Errors
    /// [`LabError::Io`] when it cannot be started.
    pub fn spawn(self) -> Result<Process> {
        let line = self.line();
        let (stdout, stderr) = (Captured::create()?, Captured::create()?);
        // setpriv sets the parent-death signal and becomes the shell, which becomes the program: same process,
        // same pid.
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHANED])
            .arg(std::process::id().to_string())
            .arg(&self.program)
            .args(&self.args)
            .env("LC_ALL", "C")
            .env("GRIDWAY_LAB", self.namespace.lab())
            .envs(self.env)
            .stdin(match self.stdin {
                Some(bytes) => Stdio::from(unnamed_file(&bytes)?),
                None => Stdio::null(),
            })
            .stdout(stdout.writer()?)
            .stderr(stderr.writer()?)
            .process_group(0);
        if let Some(dir) = self.dir {
            command.current_dir(dir);
        }
        let child = self.namespace.spawn(command)?;
        Ok(Process::new(line, child, stdout, stderr))
    }

    /// Program and arguments as one line, for messages.
    fn line(&self) -> String {
        let mut line = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }
}

/// A file without a name that holds `bytes`, positioned at its start.
fn unnamed_file(bytes: &[u8]) -> Result<std::fs::File> {
    use std::io::Seek;
    let mut file = tempfile::tempfile().map_err(LabError::io("create a program's input"))?;
    file.write_all(bytes).map_err(LabError::io("write a program's input"))?;
    file.rewind().map_err(LabError::io("rewind a program's input"))?;
    Ok(file)
}

/// The last 4 KiB or so of a text, for an error message.
fn last_part(text: &str) -> String {
    let mut start = text.len().saturating_sub(4096);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].trim().to_owned()
}
