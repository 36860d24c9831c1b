//! The laboratory's temporary directory, removed even when its owner is killed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::error::{LabError, Result};

/// Blocks until its standard input ends, which happens when the owner closes it or dies, then removes the
/// directory. Tries again for 5 s because processes that die with the owner may still be writing there.
const JANITOR: &str = r#"
read -r _
tries=0
until rm -rf -- "$0" || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// A private directory (mode 0700) for configuration, keys and sockets.
///
/// `Drop` removes it. A `kill -9` runs no `Drop`, so a janitor process waits on a pipe whose other end only this
/// process holds; the kernel closes that end whatever way the process ends.
#[derive(Debug)]
pub struct LabDir {
    dir: Option<TempDir>,
    janitor: Child,
}

impl LabDir {
    /// Creates the directory under the system's temporary directory and starts its janitor.
    ///
    /// # Errors
    /// [`LabError::Io`] when the directory or the janitor cannot be created.
    pub fn create() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("gridway-lab-")
            .tempdir()
            .map_err(LabError::io("create the laboratory's directory"))?;
        let janitor = Command::new("sh")
            .args(["-c", JANITOR])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal reaches the whole foreground group; the janitor has to outlive it.
            .process_group(0)
            .spawn()
            .map_err(LabError::io("start the janitor of the laboratory's directory"))?;
        Ok(Self { dir: Some(dir), janitor })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("the directory is taken only by drop").path()
    }

    /// Last component of the path: unique, and used to mark the laboratory's processes and interfaces.
    #[must_use]
    pub fn id(&self) -> String {
        self.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Makes a sub-directory and returns its path.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn subdir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).map_err(LabError::io(format!("create {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for LabDir {
    fn drop(&mut self) {
        drop(self.dir.take());
        // End of input releases the janitor; it then finds nothing left to remove and ends.
        drop(self.janitor.stdin.take());
        if let Err(error) = self.janitor.wait() {
            eprintln!("the janitor of a laboratory could not be waited for: {error}");
        }
    }
}
