//! `/proc` and `/sys`.

use std::path::{Path, PathBuf};

/// The file systems through which the kernel shows itself.
#[derive(Debug, Clone)]
pub(crate) struct System {
    root: PathBuf,
}

impl System {
    /// Those of this machine, as the network namespace of this process has them.
    pub(crate) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// Those below another folder, for tests.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// A file's text without the white space around it; none when it cannot be read.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A file that holds one number.
    pub(crate) fn number(&self, path: impl AsRef<Path>) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// A setting of sysctl(8), by its name with dots, as one word. An interface's name may itself hold dots, so those
    /// are given apart: `{}` in `name` stands for it.
    pub(crate) fn sysctl(&self, name: &str, interface: &str) -> Option<String> {
        let path = name.replace('.', "/").replace("{}", interface);
        self.text(Path::new("/proc/sys").join(path))
    }

    /// Names in a folder, in order; none when there is no such folder.
    pub(crate) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }
}
