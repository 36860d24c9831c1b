//! The package's files, laid out as they are installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Program, manual};
use crate::run::run;

/// Files that are copied as they are: from, to.
const FILES: [(&str, &str); 4] = [
    ("packaging/sysctl.conf", "usr/lib/sysctl.d/60-gridway.conf"),
    ("packaging/sysusers.conf", "usr/lib/sysusers.d/gridway.conf"),
    ("packaging/tmpfiles.conf", "usr/lib/tmpfiles.d/gridway.conf"),
    ("packaging/logrotate", "etc/logrotate.d/gridway"),
];
/// What `gridway reference` writes: from, to.
const COMPLETIONS: [(&str, &str); 3] = [
    ("gridway.bash", "usr/share/bash-completion/completions/gridway"),
    ("gridway.zsh", "usr/share/zsh/vendor-completions/_gridway"),
    ("gridway.fish", "usr/share/fish/vendor_completions.d/gridway.fish"),
];

/// Lays everything out in `stage`, which is made anew: `root/` holds the files, beside it is what cargo-deb reads.
pub(super) fn lay_out(programs: &[&Program], binaries: &Path, stage: &Path) -> Result<()> {
    if stage.exists() {
        fs::remove_dir_all(stage).with_context(|| format!("cannot empty {}", stage.display()))?;
    }
    let root = stage.join("root");
    for program in programs {
        let to = root.join("usr/bin").join(program.binary);
        copy(&binaries.join(program.binary), &to)?;
        run(Command::new("strip").arg(&to))?;
        if let Some(unit) = program.unit {
            copy(
                &Path::new("packaging/systemd").join(unit),
                &root.join("usr/lib/systemd/system").join(unit),
            )?;
        }
    }
    for (from, to) in FILES {
        copy(Path::new(from), &root.join(to))?;
    }
    let reference = stage.join("reference");
    run(Command::new(root.join("usr/bin/gridway")).arg("reference").arg(&reference))?;
    for (from, to) in COMPLETIONS {
        copy(&reference.join(from), &root.join(to))?;
    }
    copy_all(&reference.join("man1"), &root.join("usr/share/man/man1"))?;
    copy_all(Path::new("mgmt/config/examples"), &root.join("usr/share/doc/gridway/examples"))?;
    for page in manual::pages(programs.iter().map(|program| program.binary))? {
        write(&root.join("usr/share/man/man8").join(page.file), &page.text)?;
    }

    let manifest = fs::read_to_string("packaging/package.toml")?;
    write(&stage.join("Cargo.toml"), manifest.replace("VERSION", env!("CARGO_PKG_VERSION")).as_bytes())?;
    write(&stage.join("empty.rs"), b"")?;
    for file in ["changelog", "license"] {
        copy(&Path::new("packaging/debian").join(file), &stage.join(file))?;
    }
    for script in ["postinst", "prerm", "postrm"] {
        copy(&Path::new("packaging/debian/scripts").join(script), &stage.join("scripts").join(script))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_folder_of(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Copies the files of a folder.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn write(to: &Path, text: &[u8]) -> Result<()> {
    make_folder_of(to)?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
