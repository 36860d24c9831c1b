//! The steering program in the oldest kernel that is supported: Debian's, in a virtual machine without hardware help.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{built, cargo, output, run, say, succeeds};
use crate::setup;

/// What the virtual machine is made of.
const PACKAGES: [&str; 3] = ["busybox-static", "cpio", "qemu-system-x86"];
/// Depends on the newest build of Debian's kernel.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Modules of it, and what they need.
const MODULES: [&str; 2] = ["veth.ko", "tun.ko"];
/// Programs that the tests run.
const TOOLS: [&str; 11] =
    ["bash", "cat", "cut", "ethtool", "grep", "ip", "nsenter", "ping", "sleep", "sysctl", "unshare"];
/// Programs that the machine itself needs.
const APPLETS: [&str; 4] = ["insmod", "mount", "poweroff", "uname"];
/// Tests of what that kernel has not (TCX, nftables' modules), or of a program beside them.
const LEFT_OUT: [&str; 5] = [
    "tc::",
    "a_host_cannot_reach_the_address_of_another_interface",
    "the_kernel_forwards_nothing_once_start_up_has_run",
    "the_program_is_gone_when_the_process_is_killed",
    "xdp_is_refused_when_the_mtu_is_another_one_than_at_the_start",
];
const LIMIT: &str = "600";

/// What the machine says when all tests have passed.
pub(crate) const PASSED: &str = "status 0";

/// Sets up, and runs the tests of the steering program in that kernel.
pub(crate) fn kernel() -> Result<()> {
    setup::setup()?;
    if !test_in_machine()?.lines().any(|line| line == PASSED) {
        bail!("the tests failed in that kernel");
    }
    Ok(())
}

/// Boots the kernel and runs the tests in it; shows and returns what the machine said.
pub(crate) fn test_in_machine() -> Result<String> {
    setup::install_packages(&PACKAGES)?;
    let folder = crate::demo::target()?.join("kernel");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let kernel = fetch(&folder)?;

    say("Building the tests of the steering program");
    let mut build = cargo();
    build.args(["test", "--no-run", "--locked", "-p", "gridway-steer", "--test", "steering"]);
    let tests = built(&mut build)?;
    let tests = tests.first().context("cargo names the tests that it built")?;

    say("Making the virtual machine");
    let memory = folder.join("memory.cpio");
    lay_out(&folder.join("root"), &kernel, tests)?;
    let pack = format!("find . | cpio --quiet -o -H newc > {}", memory.display());
    run(Command::new("sh").args(["-c", &pack]).current_dir(folder.join("root")))?;

    say("Running them there");
    let image = find(&kernel.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    let mut machine = Command::new("timeout");
    machine.args([
        LIMIT,
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-m",
        "2048",
        "-nographic",
        "-no-reboot",
    ]);
    machine.arg("-kernel").arg(image).arg("-initrd").arg(memory);
    machine.args(["-append", "console=ttyS0 panic=-1 quiet"]);
    let said = machine.stdin(Stdio::null()).output().context("cannot start qemu-system-x86_64")?;
    // A serial console ends its lines with both.
    let said = String::from_utf8_lossy(&said.stdout).replace('\r', "");
    for line in said.lines().skip_while(|line| !line.contains("Linux ")) {
        println!("{line}");
    }
    Ok(said)
}

/// Downloads the kernel's package and unpacks it, without installing it.
fn fetch(folder: &Path) -> Result<PathBuf> {
    say("Fetching Debian's kernel");
    // Old lists name builds that are gone. Without the right to renew them the ones at hand may do.
    let _renewed = succeeds(Command::new("apt-get").args(["update", "--quiet"]));
    let depends = output(Command::new("apt-cache").args(["depends", "--important", KERNEL]));
    let package = depends
        .lines()
        .find_map(|line| {
            line.trim().strip_prefix("Depends: ").filter(|name| name.starts_with("linux-image-"))
        })
        .with_context(|| format!("{KERNEL} names no kernel: this needs Debian's packages for amd64"))?;
    run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(folder))?;
    let archive = find(folder, |name| name.ends_with(".deb"))?;
    let unpacked = folder.join("kernel");
    run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked))?;
    Ok(unpacked)
}

/// The contents of the machine's memory: tools, modules, tests.
fn lay_out(root: &Path, kernel: &Path, tests: &Path) -> Result<()> {
    for folder in ["bin", "modules", "proc", "sys", "dev", "tmp", "run"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static")?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    for tool in TOOLS {
        let path = output(Command::new("sh").args(["-c", &format!("command -v {tool}")]));
        copy_program(root, Path::new(&path), tool)?;
    }
    symlink("bash", root.join("bin/sh"))?;
    copy_program(root, tests, "tests")?;
    run(Command::new("strip").arg(root.join("bin/tests")))?;
    for module in MODULES {
        let found = output(Command::new("find").arg(kernel.join("lib/modules")).args(["-name", module]));
        fs::copy(&found, root.join("modules").join(module))
            .with_context(|| format!("{module}: {found:?}"))?;
    }
    let left_out: String = LEFT_OUT.iter().map(|test| format!("--skip {test} ")).collect();
    fs::write(root.join("arguments"), left_out)?;
    fs::write(root.join("init"), include_str!("init.sh"))?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Copies a program, and the libraries that it is linked to, to where it looks for them.
fn copy_program(root: &Path, program: &Path, name: &str) -> Result<()> {
    fs::copy(program, root.join("bin").join(name))
        .with_context(|| format!("{name}: {}", program.display()))?;
    let linked = output(Command::new("ldd").arg(program));
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(&library[1..]);
        fs::create_dir_all(to.parent().context("a library lies in a folder")?)?;
        fs::copy(library, to).with_context(|| library.to_owned())?;
    }
    Ok(())
}

/// The file of a folder whose name fits.
fn find(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let found = entries.flatten().find(|entry| fits(&entry.file_name().to_string_lossy()));
    Ok(found.with_context(|| format!("{} has no such file", folder.display()))?.path())
}
