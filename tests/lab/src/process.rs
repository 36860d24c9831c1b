//! A running program: its output, its signals, and its end.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{LabError, Result};
use crate::wait::{try_wait_until, wait_until};

/// How long a program may take to end after TERM before it gets KILL, when its guard is dropped.
const GRACE: Duration = Duration::from_secs(2);

/// Most that [`Captured::text`] returns.
const TEXT_LIMIT: u64 = 16 << 20;

/// One output stream of a program, kept in a file without a name (gone when nobody holds it).
#[derive(Debug)]
pub struct Captured {
    file: File,
}

impl Captured {
    pub(crate) fn create() -> Result<Self> {
        let file = tempfile::tempfile().map_err(LabError::io("create a file for a program's output"))?;
        Ok(Self { file })
    }

    pub(crate) fn writer(&self) -> Result<Stdio> {
        let file = self.file.try_clone().map_err(LabError::io("share a program's output file"))?;
        Ok(Stdio::from(file))
    }

    /// Bytes written so far.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(LabError::io("stat a program's output"))?.len())
    }

    /// True while nothing was written.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset` on; returns how many bytes there were. The writer's position is unaffected.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = offset + filled as u64;
            match self.file.read_at(&mut buffer[filled..], position) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => return Err(LabError::io("read a program's output")(error)),
            }
        }
        Ok(filled)
    }

    /// What was written so far: at most its last 16 MiB, invalid UTF-8 replaced.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn text(&self) -> Result<String> {
        let len = self.len()?;
        let start = len.saturating_sub(TEXT_LIMIT);
        let size = usize::try_from(len - start).expect("bounded by TEXT_LIMIT");
        let mut bytes = vec![0; size];
        let filled = self.read_at(&mut bytes, start)?;
        Ok(String::from_utf8_lossy(&bytes[..filled]).into_owned())
    }

    /// The last `lines` lines written so far.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn tail(&self, lines: usize) -> Result<String> {
        let text = self.text()?;
        let all: Vec<&str> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}

/// Guard of a running program. `Drop` ends it: TERM, then KILL after 2 s, then waits.
#[derive(Debug)]
pub struct Process {
    line: String,
    child: Child,
    status: Option<ExitStatus>,
    stdout: Captured,
    stderr: Captured,
}

impl Process {
    pub(crate) fn new(line: String, child: Child, stdout: Captured, stderr: Captured) -> Self {
        Self { line, child, status: None, stdout, stderr }
    }

    /// Process id (also its process group).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Program and arguments.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Standard output so far.
    #[must_use]
    pub fn stdout(&self) -> &Captured {
        &self.stdout
    }

    /// Standard error so far.
    #[must_use]
    pub fn stderr(&self) -> &Captured {
        &self.stderr
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().map_err(LabError::io(format!("wait for {}", self.line)))?;
        }
        Ok(self.status)
    }

    /// Waits for its end; kills it when `limit` has passed.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the last lines of its output.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("end of `{}`", self.line);
        match try_wait_until(&what, limit, || self.status()) {
            Err(LabError::Timeout { what, after, .. }) => {
                self.kill()?;
                Err(LabError::Timeout { what, after, detail: self.last_words() })
            }
            outcome => outcome,
        }
    }

    /// Sends a signal to its process group; does nothing once it has ended.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // A process that was not waited for keeps its pid, so the signal cannot hit a stranger.
        if self.status()?.is_some() {
            return Ok(());
        }
        let group = Pid::from_raw(i32::try_from(self.pid()).expect("pids fit in i32"));
        killpg(group, signal).map_err(LabError::io(format!("send {signal} to `{}`", self.line)))
    }

    /// TERM, then KILL if it is still there after `grace`; returns how it ended.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn terminate(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        match try_wait_until("end after TERM", grace, || self.status()) {
            Ok(status) => Ok(status),
            Err(LabError::Timeout { .. }) => self.kill(),
            Err(error) => Err(error),
        }
    }

    /// KILL and wait.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        let status = self.child.wait().map_err(LabError::io(format!("wait for {}", self.line)))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Waits until `needle` appears on standard output or standard error.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with its last lines when it does not, or when the program ended without it.
    pub fn wait_for_output(&mut self, needle: &str, limit: Duration) -> Result<()> {
        let what = format!("`{}` says {needle:?}", self.line);
        let seen = try_wait_until(&what, limit, || {
            // Asked before reading: output of a program that has ended is complete.
            let ended = self.status()?.is_some();
            let said = self.stdout.text()?.contains(needle) || self.stderr.text()?.contains(needle);
            Ok((said || ended).then_some(said))
        });
        match seen {
            Ok(true) => Ok(()),
            Ok(false) => Err(LabError::Timeout { what, after: Duration::ZERO, detail: self.last_words() }),
            Err(LabError::Timeout { what, after, .. }) => {
                Err(LabError::Timeout { what, after, detail: self.last_words() })
            }
            Err(error) => Err(error),
        }
    }

    /// Status and last lines, for messages.
    pub(crate) fn last_words(&mut self) -> String {
        let status = match self.status() {
            Ok(Some(status)) => status.to_string(),
            Ok(None) => "running".to_owned(),
            Err(error) => error.to_string(),
        };
        let text = |captured: &Captured| captured.tail(20).unwrap_or_else(|error| error.to_string());
        format!("status: {status}\nstdout: {}\nstderr: {}", text(&self.stdout), text(&self.stderr))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.terminate(GRACE) {
            eprintln!("could not end `{}`: {error}", self.line);
        }
    }
}

/// True while a process with that id exists and is not a zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the command name, which stands in parentheses and may hold anything.
        Ok(stat) => !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')),
        Err(_) => false,
    }
}

/// Waits until a process has ended or was never there.
///
/// # Errors
/// [`LabError::Timeout`].
pub fn wait_until_dead(pid: u32, limit: Duration) -> Result<()> {
    wait_until(&format!("end of process {pid}"), limit, || (!is_alive(pid)).then_some(()))
}
