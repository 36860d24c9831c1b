//! Runs a program as a unit of systemd confines it, without systemd: its capabilities, system calls, address
//! families, group and file system.
//!
//! `gridway-confined UNIT WRITABLE PROGRAM [ARGUMENT]…` where `WRITABLE` is a folder that stands for those that the
//! unit may write to. What the unit answers with an error ends the program here, so that nothing is refused unseen.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use caps::{CapSet, Capability};
use gridway_e2e::unit::Unit;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, setgid, setgroups};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use syscalls::Sysno;

type Failure = Box<dyn std::error::Error>;

/// Number of the unit's group in the program's `/etc/group`.
const GROUP: u32 = 4242;
/// Of mmap(2), mprotect(2).
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;

fn main() -> ExitCode {
    let error = confine().expect_err("success replaces this program");
    eprintln!("gridway-confined: {error}");
    ExitCode::FAILURE
}

/// Confines this process and becomes the program.
fn confine() -> Result<std::convert::Infallible, Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(unit), Some(writable), Some(program)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: gridway-confined UNIT WRITABLE PROGRAM [ARGUMENT]…".into());
    };
    let unit = Unit::read(Path::new(&unit));
    let filter = filter(&unit)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let group = unit.words("Group").next().ok_or("the unit has no group")?.to_owned();
    enter_group(&group, Path::new(&writable))?;
    protect_files(&unit, Path::new(&writable))?;
    bound_capabilities(&unit)?;
    // Last: installing it is a system call that the unit does not allow.
    seccompiler::apply_filter(&filter)?;
    Err(std::process::Command::new(program).args(arguments).exec().into())
}

/// Makes the group known and takes it.
fn enter_group(name: &str, scratch: &Path) -> Result<(), Failure> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    let file = scratch.join("group");
    std::fs::write(&file, format!("root:x:0:\n{name}:x:{GROUP}:\n"))?;
    mount(Some(&file), "/etc/group", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    setgroups(&[Gid::from_raw(GROUP)])?;
    Ok(setgid(Gid::from_raw(GROUP))?)
}

/// `ProtectSystem=strict`: all is read-only but `/dev`, `/proc`, `/sys` and what the unit names; of these
/// `ReadOnlyPaths` are read-only as well.
fn protect_files(unit: &Unit, writable: &Path) -> Result<(), Failure> {
    if !unit.says("ProtectSystem", "strict") {
        return Err("the unit does not protect the system".into());
    }
    // Of the unit's own folders the laboratory's takes the place.
    let mut open: Vec<PathBuf> =
        unit.words("ReadWritePaths").filter(|path| path.starts_with("/proc")).map(PathBuf::from).collect();
    open.push(writable.to_owned());
    let closed: Vec<PathBuf> = unit.words("ReadOnlyPaths").map(PathBuf::from).collect();
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    for path in open.iter().chain(&closed) {
        mount(Some(path), path, None::<&str>, bind, None::<&str>)?;
    }
    for path in &open {
        // Closing a parent covered it.
        mount(Some(path), path, None::<&str>, bind, None::<&str>)?;
    }
    for point in mount_points()? {
        let within = |folder: &PathBuf| point.starts_with(folder);
        let stays = ["/dev", "/proc", "/sys"].iter().any(|folder| point.starts_with(folder));
        if open.iter().any(within) || (stays && !closed.iter().any(within)) {
            continue;
        }
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        // A mount below another one cannot be reached, and need not be closed.
        mount(None::<&str>, &point, None::<&str>, flags, None::<&str>).ok();
    }
    match std::fs::File::create("/etc/written-by-gridway-confined") {
        Err(error) if error.raw_os_error() == Some(nix::libc::EROFS) => Ok(()),
        other => Err(format!("/etc is not read-only: {other:?}").into()),
    }
}

fn mount_points() -> Result<Vec<PathBuf>, Failure> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect())
}

/// `CapabilityBoundingSet`: what root has after it executes the program.
fn bound_capabilities(unit: &Unit) -> Result<(), Failure> {
    let kept =
        unit.words("CapabilityBoundingSet").map(Capability::from_str).collect::<Result<Vec<_>, _>>()?;
    for capability in caps::all().into_iter().filter(|capability| !kept.contains(capability)) {
        if caps::has_cap(None, CapSet::Bounding, capability)? {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    caps::clear(None, CapSet::Inheritable)?;
    Ok(())
}

/// `SystemCallFilter`, `RestrictAddressFamilies` and `MemoryDenyWriteExecute`.
fn filter(unit: &Unit) -> Result<BpfProgram, Failure> {
    // Names that this machine's architecture does not have are of others.
    let numbers = unit.system_calls().into_iter().filter_map(|name| Sysno::from_str(&name).ok());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        numbers.map(|number| (i64::from(number.id()), Vec::new())).collect();
    let families = unit.words("RestrictAddressFamilies").map(family).collect::<Result<Vec<_>, _>>()?;
    let one_of = families.into_iter().map(|family| rule(0, SeccompCmpOp::Eq, family));
    rules.insert(number(Sysno::socket), one_of.collect::<Result<_, _>>()?);
    if unit.says("MemoryDenyWriteExecute", "yes") {
        let without = |protection| rule(2, SeccompCmpOp::MaskedEq(protection), 0);
        rules.insert(number(Sysno::mmap), vec![without(PROT_WRITE)?, without(PROT_EXEC)?]);
        rules.insert(number(Sysno::mprotect), vec![without(PROT_EXEC)?]);
        rules.insert(number(Sysno::pkey_mprotect), vec![without(PROT_EXEC)?]);
    }
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
    Ok(filter.try_into()?)
}

fn number(call: Sysno) -> i64 {
    i64::from(call.id())
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Failure> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

/// Number of an address family (socket(2)).
fn family(name: &str) -> Result<u64, Failure> {
    let number = match name {
        "AF_UNIX" => nix::libc::AF_UNIX,
        "AF_INET" => nix::libc::AF_INET,
        "AF_INET6" => nix::libc::AF_INET6,
        "AF_NETLINK" => nix::libc::AF_NETLINK,
        "AF_PACKET" => nix::libc::AF_PACKET,
        "AF_XDP" => nix::libc::AF_XDP,
        other => return Err(format!("{other} is not an address family known here").into()),
    };
    Ok(u64::try_from(number)?)
}
