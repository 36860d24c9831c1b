//! A unit file of systemd, as far as its restrictions go.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Assignments of a unit file, in order.
#[derive(Debug, Clone)]
pub struct Unit(Vec<(String, String)>);

impl Unit {
    /// Reads a unit file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a unit file can be read");
        let assignments = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let pairs = assignments.filter_map(|line| line.split_once('='));
        Self(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// The words of all assignments to `key`, which add up.
    pub fn words(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).flat_map(|(_, value)| value.split_whitespace())
    }

    /// Whether `key` was assigned `yes`, or `value`.
    #[must_use]
    pub fn says(&self, key: &str, value: &str) -> bool {
        self.0.iter().rev().find(|(name, _)| name == key).is_some_and(|(_, found)| found == value)
    }

    /// Names of the system calls that `SystemCallFilter` leaves (systemd.exec(5)): the first assignment allows, later
    /// ones add, or take away after a `~`.
    ///
    /// # Panics
    /// When `systemd-analyze` does not know a group.
    #[must_use]
    pub fn system_calls(&self) -> BTreeSet<String> {
        // Always allowed, so that a program can be started and end at all.
        let mut allowed = members("@default");
        allowed.extend(["execve", "exit", "exit_group", "rt_sigreturn"].map(str::to_owned));
        for (_, value) in self.0.iter().filter(|(key, _)| key == "SystemCallFilter") {
            let (takes_away, names) = match value.strip_prefix('~') {
                Some(names) => (true, names),
                None => (false, value.as_str()),
            };
            for name in names.split_whitespace().flat_map(members) {
                if takes_away {
                    allowed.remove(&name)
                } else {
                    allowed.insert(name)
                };
            }
        }
        allowed
    }
}

/// A system call itself, or those of a group, also of groups within it.
fn members(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let output = Command::new("systemd-analyze").args(["syscall-filter", name]).output();
    let output = output.expect("systemd-analyze runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    let names = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(members).collect()
}
