//! Start-up insists on what a machine must have, and gives up what is needed no more.

use anyhow::{Context, Result, bail};
use caps::{CapSet, Capability};
use gridway_checks::{Status, descriptors_wanted};
use gridway_config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept after start-up: neighbour entries, and low ports at a reload.
const KEPT: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE];

/// Checks everything, and reports all that is wrong at once.
pub(crate) fn machine(config: &Config) -> Result<()> {
    let findings = gridway_checks::required(config);
    let problems: Vec<String> = findings
        .into_iter()
        .filter(|finding| finding.status == Status::Problem)
        .map(|finding| format!("{}: {}", finding.found, finding.advice))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this machine is not ready:\n  - {}", problems.join("\n  - "));
}

/// Lets the process have a descriptor for each of `sessions` Layer 4 sessions, or as many as it may.
pub(crate) fn raise_descriptors(sessions: u32) {
    let wanted = descriptors_wanted(sessions);
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
