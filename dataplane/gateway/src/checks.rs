//! What a machine must have before the node starts, and how to mend what is missing.

use std::path::Path;

use anyhow::{Context, Result, bail};
use caps::{CapSet, Capability};
use gridway_config::{Config, InterfaceName};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Oldest kernel that has what the data path needs.
const OLDEST_KERNEL: (u32, u32) = (6, 1);
/// Needed to start with a data NIC.
const NEEDED: [Capability; 5] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_BPF,
    Capability::CAP_IPC_LOCK,
    Capability::CAP_NET_BIND_SERVICE,
];
/// Needed to start without one: sockets are all there is.
const NEEDED_FOR_SOCKETS: [Capability; 1] = [Capability::CAP_NET_BIND_SERVICE];
/// Kept after start-up: neighbour entries, and low ports at a reload.
const KEPT: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE];

/// Checks everything, and reports all that is wrong at once.
pub(crate) fn machine(config: &Config) -> Result<()> {
    let interfaces = [Some(&config.management.interface), config.data.as_ref().map(|data| &data.interface)];
    let problems: Vec<String> = [kernel(), capabilities(config.data.is_some())]
        .into_iter()
        .chain(interfaces.into_iter().flatten().map(interface))
        .filter_map(|check| check.err().map(|error| format!("{error:#}")))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this machine is not ready:\n  - {}", problems.join("\n  - "));
}

fn kernel() -> Result<()> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < OLDEST_KERNEL {
        let (major, minor) = OLDEST_KERNEL;
        bail!("kernel {release} is too old: install {major}.{minor} or newer");
    }
    Ok(())
}

fn capabilities(has_data: bool) -> Result<()> {
    let needed = if has_data { &NEEDED[..] } else { &NEEDED_FOR_SOCKETS };
    let missing: Vec<String> = needed
        .iter()
        .filter(|capability| !caps::has_cap(None, CapSet::Effective, **capability).unwrap_or(false))
        .map(|capability| capability.to_string())
        .collect();
    if !missing.is_empty() {
        bail!(
            "capabilities missing: {}; run as root, or grant them in the service's unit",
            missing.join(", ")
        );
    }
    Ok(())
}

fn interface(name: &InterfaceName) -> Result<()> {
    let folder = Path::new("/sys/class/net").join(name.as_str());
    if !folder.exists() {
        bail!(
            "there is no interface {name}: see `ip link`, and [data] and [management] in the configuration"
        );
    }
    let flags = std::fs::read_to_string(folder.join("flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
    if flags & 1 == 0 {
        bail!("interface {name} is down: `ip link set {name} up`");
    }
    Ok(())
}

/// Receive queues of an interface.
pub(crate) fn receive_queues(interface: &str) -> u32 {
    let queues = std::fs::read_dir(Path::new("/sys/class/net").join(interface).join("queues"));
    let count = queues.map(|entries| {
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-")).count()
    });
    u32::try_from(count.unwrap_or(1)).unwrap_or(1).max(1)
}

/// Descriptors that a node needs beside those of its sessions.
const DESCRIPTORS: u64 = 1024;

/// Lets the process have a descriptor for each of `sessions` Layer 4 sessions, or as many as it may.
pub(crate) fn raise_descriptors(sessions: u32) {
    let wanted = u64::from(sessions) + DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is enough.
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if soft >= wanted {
        return;
    }
    let raised = |to: u64| Rlimit { current: Some(to.min(wanted)), maximum: Some(to) };
    let set = setrlimit(Resource::Nofile, raised(hard.max(wanted)))
        .or_else(|_| setrlimit(Resource::Nofile, raised(hard)));
    let got = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if set.is_err() || got < wanted {
        tracing::warn!(
            descriptors = got,
            wanted,
            "fewer Layer 4 sessions than limits.sessions are possible: raise LimitNOFILE in the service's unit"
        );
    }
}

/// Gives up every privilege that is not needed any more. Threads started later inherit what is left.
pub(crate) fn drop_privileges() -> Result<()> {
    let has = |set, capability| caps::has_cap(None, set, capability).unwrap_or(false);
    let kept = KEPT.into_iter().filter(|capability| has(CapSet::Permitted, *capability)).collect();
    // Who may not narrow the bounding set has nothing to gain from it either: no_new_privs below.
    let may_narrow = has(CapSet::Effective, Capability::CAP_SETPCAP);
    for capability in caps::all().into_iter().filter(|_| may_narrow) {
        if !KEPT.contains(&capability) && has(CapSet::Bounding, capability) {
            caps::drop(None, CapSet::Bounding, capability)
                .with_context(|| format!("cannot drop {capability} from the bounding set"))?;
        }
    }
    caps::clear(None, CapSet::Inheritable).context("cannot clear inheritable capabilities")?;
    caps::set(None, CapSet::Effective, &kept).context("cannot bound effective capabilities")?;
    caps::set(None, CapSet::Permitted, &kept).context("cannot bound permitted capabilities")?;
    rustix::thread::set_no_new_privs(true).context("cannot set no_new_privs")?;
    Ok(())
}
