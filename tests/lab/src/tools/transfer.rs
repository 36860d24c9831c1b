//! `curl`: a file from or to a URL of any scheme that it knows.

use std::path::Path;
use std::time::Duration;

use crate::command::Command;
use crate::error::Result;
use crate::namespace::Namespace;

/// A transfer by curl. What becomes of it is in its exit code: 7 connection refused, 28 time-out, 52 closed without
/// an answer, 56 reset (`curl(1)`, "EXIT CODES").
#[derive(Debug, Clone)]
pub struct Transfer {
    url: String,
    args: Vec<String>,
    limit: Duration,
}

impl Transfer {
    /// Of that URL; 30 s to be done.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), args: Vec::new(), limit: Duration::from_secs(30) }
    }

    /// How long it may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Any other argument of `curl`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// FTP: the server opens data connections, to the address of the namespace that curl runs in (EPRT, or PORT
    /// with `--disable-eprt`).
    #[must_use]
    pub fn active(self) -> Self {
        self.arg("--ftp-port").arg("-")
    }

    /// Gets it into a file.
    ///
    /// # Errors
    /// [`crate::LabError::Failed`] with curl's own message; likewise below.
    pub fn download(&self, from: &Namespace, file: &Path) -> Result<()> {
        self.command(from).arg("--output").arg(file).run().map(drop)
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// [`crate::LabError::Failed`].
    pub fn upload(&self, from: &Namespace, file: &Path) -> Result<()> {
        self.command(from).arg("--upload-file").arg(file).run().map(drop)
    }

    /// Gets it as text.
    ///
    /// # Errors
    /// [`crate::LabError::Failed`].
    pub fn text(&self, from: &Namespace) -> Result<String> {
        Ok(self.command(from).run()?.stdout)
    }

    /// The program, to be started without waiting for it.
    #[must_use]
    pub fn command(&self, from: &Namespace) -> Command {
        let seconds = format!("{:.3}", self.limit.as_secs_f64());
        from.command("curl")
            .args(["-q", "-sS", "--fail", "--globoff", "--noproxy", "*", "--max-time", &seconds])
            .args(&self.args)
            .arg(&self.url)
            .timeout(self.limit + Duration::from_secs(10))
    }
}
