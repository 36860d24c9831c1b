//! The package in a fresh Debian: installed, used, removed, purged.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gridway_package_test::{good, stdout};

use crate::PACKAGE;

/// A Debian of the least packages, and what this one needs besides.
struct Debian {
    root: PathBuf,
}

impl Debian {
    /// Makes it of the packages that this machine gets its own from.
    fn fresh(root: PathBuf) -> Self {
        let release = std::fs::read_to_string("/etc/os-release").unwrap();
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap();
        let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
        let source =
            sources.into_iter().find(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 0));
        let needed = "systemd-standalone-sysusers,systemd-standalone-tmpfiles,libelf1,zlib1g,libgcc-s1";
        let mut make = Command::new("timeout");
        make.args(["--kill-after=5", "300", "mmdebstrap", "--quiet", "--variant=essential"]);
        make.args(["--dpkgopt=force-unsafe-io", &format!("--include={needed}")]);
        good(make.arg(suite).arg(&root).args(source));
        Self { root }
    }

    /// A program within it, with `/proc`, which is gone with the program.
    fn command(&self, words: &[&str]) -> Command {
        let script = r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#;
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "60", "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-c", script]).arg(&self.root).args(words).env_remove("TMPDIR");
        command
    }

    fn good(&self, words: &[&str]) -> Output {
        good(&mut self.command(words))
    }

    fn stdout(&self, words: &[&str]) -> String {
        stdout(&mut self.command(words))
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    /// Mode, user and group of a folder, by their names.
    fn owner(&self, path: &str) -> (u32, String) {
        let metadata = self.root.join(path).metadata().unwrap();
        let name = |database, number: u32| {
            let entry = self.stdout(&["getent", database, &number.to_string()]);
            entry.split(':').next().unwrap().to_owned()
        };
        let owner = format!("{}:{}", name("passwd", metadata.uid()), name("group", metadata.gid()));
        (metadata.permissions().mode() & 0o7777, owner)
    }

    /// Everything below the root, but what dpkg and the user database keep for themselves.
    fn paths(&self) -> BTreeSet<PathBuf> {
        let kept =
            ["var/lib/dpkg", "var/cache", "var/log/dpkg.log", "etc/passwd-", "etc/shadow-", "etc/group-"];
        let kept =
            kept.iter().chain(&["etc/gshadow-", "etc/shadow", "etc/gshadow", "etc/.pwd.lock", "gridway.deb"]);
        let kept: Vec<PathBuf> = kept.map(|path| self.root.join(path)).collect();
        let (mut found, mut folders) = (BTreeSet::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if kept.contains(&path) {
                    continue;
                }
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path);
            }
        }
        found
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn the_package_installs_works_and_leaves_only_what_is_the_operator_s() {
    let debian = Debian::fresh(PACKAGE.dir().join("debian"));
    std::fs::copy(PACKAGE.deb(), debian.root.join("gridway.deb")).unwrap();
    let before = debian.paths();

    debian.good(&["dpkg", "--install", "/gridway.deb"]);
    assert!(debian.stdout(&["getent", "passwd", "gridway-mgmt"]).contains("/usr/sbin/nologin"));
    assert!(debian.stdout(&["getent", "group", "gridway"]).trim().ends_with("gridway-mgmt"));
    for (folder, mode, owner) in [
        ("etc/gridway", 0o755, "root:root"),
        ("run/gridway", 0o750, "root:gridway"),
        ("run/gridway/mgmt", 0o750, "gridway-mgmt:gridway"),
        ("var/lib/gridway", 0o750, "gridway-mgmt:gridway"),
        ("var/log/gridway", 0o750, "root:gridway"),
    ] {
        assert_eq!(debian.owner(folder), (mode, owner.to_owned()), "{folder}");
    }
    assert!(!debian.exists("etc/systemd/system/multi-user.target.wants"), "nothing is enabled");

    // The programs find their libraries, and a first configuration can be made and judged.
    debian.good(&["gridway-dataplane", "--version"]);
    debian.good(&["gridway", "pki", "init", "--domain", "lab.example", "--out", "/etc/gridway/gw-a/pki"]);
    debian.good(&["gridway", "pki", "issue", "--dir", "/etc/gridway/gw-a/pki", "--node", "gw-a"]);
    let node = debian.root.join("etc/gridway/gw-a/node.toml");
    std::fs::copy(debian.root.join("usr/share/doc/gridway/examples/gateway.toml"), &node).unwrap();
    let checked = debian.good(&["gridway", "config", "check", "/etc/gridway/gw-a/node.toml"]);
    assert_eq!(String::from_utf8(checked.stderr).unwrap(), "");
    let examined = debian.command(&["gridway", "doctor"]).output().unwrap();
    assert_eq!(examined.status.code(), Some(1), "there are no such interfaces");
    let text = String::from_utf8(examined.stdout).unwrap();
    for line in ["config.file", "certificate.chain", "there is no interface data0"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Rotation of what nodes write.
    let rotation = debian.root.join("etc/logrotate.d/gridway");
    let script = r#"mount --bind "$0/etc/group" /etc/group && exec logrotate --debug "$1""#;
    let mut rotate = Command::new("unshare");
    let said = good(rotate.args(["--mount", "sh", "-c", script]).args([&debian.root, &rotation])).stderr;
    assert!(!String::from_utf8(said).unwrap().contains("error:"));

    // An operator's change of a setting stays through an upgrade.
    let changed = std::fs::read_to_string(&rotation).unwrap().replace("rotate 14", "rotate 30");
    write(&rotation, &changed);
    write(&debian.root.join("var/lib/gridway/gw-a.db"), "");
    write(&debian.root.join("etc/systemd/system/multi-user.target.wants/gridway@gw-a.service"), "");
    debian.good(&["dpkg", "--install", "/gridway.deb"]);
    assert_eq!(std::fs::read_to_string(&rotation).unwrap(), changed);

    debian.good(&["dpkg", "--remove", "gridway"]);
    assert!(
        !debian.exists("usr/bin/gridway-dataplane")
            && !debian.exists("usr/lib/systemd/system/gridway@.service")
    );
    assert!(debian.exists("etc/logrotate.d/gridway") && debian.exists("var/lib/gridway/gw-a.db"));

    debian.good(&["dpkg", "--purge", "gridway"]);
    assert!(!debian.exists("etc/logrotate.d/gridway") && !debian.exists("var/lib/gridway"));
    assert!(node.exists(), "the operator's configuration and keys stay");
    std::fs::remove_dir_all(debian.root.join("etc/gridway")).unwrap();

    debian.good(&["dpkg", "--install", "/gridway.deb"]);
    debian.good(&["dpkg", "--purge", "gridway"]);
    let left: Vec<PathBuf> = debian.paths().difference(&before).cloned().collect();
    let expected = ["etc/systemd/system", "etc/systemd/system/multi-user.target.wants"]
        .map(|path| debian.root.join(path));
    let left: Vec<&PathBuf> = left.iter().filter(|path| !expected.contains(path)).collect();
    assert!(left.is_empty(), "{left:#?}");
}
