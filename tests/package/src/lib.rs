//! The Debian package, made of the binaries that the tests run with, and a fresh Debian to install it in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gridway_lab::LabDir;
use gridway_lab::gateway::find_binary;

/// The package, and its files below a folder of their own. Gone with the value, or with the process.
#[derive(Debug)]
pub struct Package {
    dir: LabDir,
}

impl Package {
    /// Makes the package as `cargo xtask package` does.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn make() -> Self {
        let dir = LabDir::create().expect("a folder can be made");
        let xtask = find_binary("xtask").expect("xtask was built");
        let binaries = xtask.parent().expect("a binary lies in a folder").to_owned();
        let out = dir.path().join("out");
        good(Command::new(&xtask).arg("package").arg("--binaries").arg(binaries).arg("--out").arg(&out));
        let mut made =
            std::fs::read_dir(&out).expect("the folder is there").flatten().map(|entry| entry.path());
        let deb = made.next().expect("a package was made");
        std::fs::rename(deb, dir.path().join("gridway.deb")).expect("the package can be moved");
        let package = Self { dir };
        good(Command::new("dpkg-deb").arg("--extract").arg(package.deb()).arg(package.root()));
        package
    }

    /// The package.
    #[must_use]
    pub fn deb(&self) -> PathBuf {
        self.dir.path().join("gridway.deb")
    }

    /// Where its files are.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A folder for what a test makes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its files in a folder, in order.
    ///
    /// # Panics
    /// When there is no such folder.
    #[must_use]
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root().join(folder)).expect("the folder is in the package");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_unstable();
        assert!(!files.is_empty(), "{folder} holds nothing");
        files
    }
}

/// Runs a program and insists on success.
///
/// # Panics
/// With its output when it fails.
pub fn good(command: &mut Command) -> Output {
    let output = command.env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Standard output of a program that succeeds.
///
/// # Panics
/// As [`good`].
#[must_use]
pub fn stdout(command: &mut Command) -> String {
    String::from_utf8(good(command).stdout).expect("text")
}
