//! CPUs: how many there are for how many queues, and what disturbs or slows those of workers.

use std::collections::BTreeSet;
use std::path::Path;

use gridway_config::{Config, Cpus, Polling, Roles};

use crate::finding::Finding;
use crate::nic::receive_queues;
use crate::system::System;

const CPUS: &str = "/sys/devices/system/cpu";
/// A sleep that takes longer than this to wake from is felt as latency, microseconds.
const SLOW_WAKE: i64 = 50;

/// Frequency and sleep of the CPUs.
pub(crate) fn power(system: &System) -> Vec<Finding> {
    vec![governor(system), idle_states(system)]
}

fn governor(system: &System) -> Finding {
    const ID: &str = "cpu.governor";
    match system.text(Path::new(CPUS).join("cpu0/cpufreq/scaling_governor")).as_deref() {
        None => Finding::ok(ID, "", "the kernel does not change the CPUs' frequency"),
        Some("performance") => Finding::ok(ID, "", "performance"),
        Some(other) => Finding::warning(
            ID,
            "",
            format!("governor {other}: packets after a pause wait for the CPU to speed up"),
            "cpupower frequency-set -g performance",
        ),
    }
}

fn idle_states(system: &System) -> Finding {
    const ID: &str = "cpu.idle_states";
    let folder = Path::new(CPUS).join("cpu0/cpuidle");
    let slow: Vec<String> = system
        .names(&folder)
        .into_iter()
        .filter(|state| {
            let value = |name: &str| system.number(folder.join(state).join(name)).unwrap_or(0);
            value("latency") > SLOW_WAKE && value("disable") == 0
        })
        .filter_map(|state| system.text(folder.join(state).join("name")))
        .collect();
    if slow.is_empty() {
        return Finding::ok(ID, "", format!("no sleep that takes more than {SLOW_WAKE} us to wake from"));
    }
    Finding::warning(
        ID,
        "",
        format!(
            "idle CPUs fall into deep sleep ({}): the first packet after a pause is late",
            slow.join(", ")
        ),
        format!("cpupower idle-set -D {SLOW_WAKE}, if latency matters more than power"),
    )
}

/// The CPUs of this node's workers.
pub(crate) fn of_node(system: &System, config: &Config) -> Vec<Finding> {
    let online = system.text(Path::new(CPUS).join("online")).map(|text| list(&text)).unwrap_or_default();
    let workers: Vec<usize> = match &config.workers.cpus {
        Cpus::Auto => online.iter().copied().collect(),
        Cpus::List(cpus) => cpus.clone(),
    };
    let mut findings = vec![there(&workers, &online)];
    if let Some(data) = &config.data {
        let interface = data.interface.as_str();
        findings.push(queues(
            interface,
            receive_queues(interface),
            receiving(config.workers.roles, workers.len()),
        ));
        findings.extend(interrupts(system, interface));
    }
    if config.workers.polling == Polling::Busy {
        let isolated =
            system.text(Path::new(CPUS).join("isolated")).map(|text| list(&text)).unwrap_or_default();
        findings.push(isolation(&workers, &isolated));
    }
    findings
}

fn there(workers: &[usize], online: &BTreeSet<usize>) -> Finding {
    const ID: &str = "cpu.workers";
    let missing: Vec<String> =
        workers.iter().filter(|cpu| !online.contains(cpu)).map(usize::to_string).collect();
    if missing.is_empty() {
        return Finding::ok(ID, "", format!("{} workers on {} CPUs", workers.len(), online.len()));
    }
    Finding::warning(
        ID,
        "",
        format!(
            "workers.cpus names CPUs that are not there: {}; their workers are not pinned",
            missing.join(", ")
        ),
        "workers.cpus = \"auto\", or numbers that `lscpu --online` shows",
    )
}

/// How many of `workers` could have receive queues: where roles are separate, half of them have the tunnels.
fn receiving(roles: Roles, workers: usize) -> usize {
    let separate = roles == Roles::Separate || (roles == Roles::Auto && workers > 2);
    if separate { (workers - workers / 2).max(1) } else { workers }
}

fn queues(interface: &str, queues: u32, wanted: usize) -> Finding {
    const ID: &str = "data.queues";
    if queues as usize >= wanted {
        return Finding::ok(
            ID,
            interface,
            format!("{queues} receive queues for {wanted} workers that receive"),
        );
    }
    Finding::warning(
        ID,
        interface,
        format!("{queues} receive queues for {wanted} workers that could receive: {queues} of them do"),
        format!("ethtool -L {interface} combined {wanted}, if the NIC has as many"),
    )
}

fn isolation(workers: &[usize], isolated: &BTreeSet<usize>) -> Finding {
    const ID: &str = "cpu.isolation";
    let shared: Vec<String> =
        workers.iter().filter(|cpu| !isolated.contains(cpu)).map(usize::to_string).collect();
    if shared.is_empty() {
        return Finding::ok(ID, "", "busy workers have their CPUs to themselves");
    }
    Finding::warning(
        ID,
        "",
        format!(
            "workers.polling = \"busy\", but other programs may run on their CPUs: {}",
            shared.join(", ")
        ),
        format!("isolcpus={0} nohz_full={0} rcu_nocbs={0} on the kernel's command line", shared.join(",")),
    )
}

/// Whether something moves the NIC's interrupts about.
fn interrupts(system: &System, interface: &str) -> Option<Finding> {
    const ID: &str = "data.interrupts";
    let table = system.text("/proc/interrupts")?;
    let count = table.lines().filter(|line| line.contains(interface)).count();
    if count == 0 {
        return None;
    }
    let balances = system.names("/proc").iter().any(|process| {
        system.text(Path::new("/proc").join(process).join("comm")).as_deref() == Some("irqbalance")
    });
    Some(match balances {
        false => Finding::ok(ID, interface, format!("{count} interrupts, moved by nobody")),
        true => Finding::warning(
            ID,
            interface,
            format!("irqbalance moves the {count} interrupts of {interface} away from their workers"),
            "systemctl disable --now irqbalance, then queue N's CPU into /proc/irq/NUMBER/smp_affinity_list",
        ),
    })
}

/// A list as the kernel writes it: `0-3,7`.
fn list(text: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().take(Cpus::LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn lists_of_the_kernel_are_read() {
        assert_eq!(list("0-2,7"), BTreeSet::from([0, 1, 2, 7]));
        assert_eq!(list(""), BTreeSet::new());
        assert_eq!(list("x,3-1,5"), BTreeSet::from([5]));
        assert_eq!(list("0-99999999999").len(), Cpus::LIMIT);
    }

    #[test]
    fn workers_need_cpus_that_are_there_and_queues_to_receive_from() {
        let online = list("0-1");
        assert_eq!(there(&[0, 1, 1], &online).status, Status::Ok);
        assert_eq!(there(&[0, 5], &online).status, Status::Warning);
        assert_eq!(queues("data0", 1, 1).status, Status::Ok);
        assert_eq!(queues("data0", 1, 2).advice, "ethtool -L data0 combined 2, if the NIC has as many");
        assert_eq!(queues("data0", 4, receiving(Roles::Auto, 8)).status, Status::Ok);
        assert_eq!(queues("data0", 4, receiving(Roles::Combined, 8)).status, Status::Warning);
    }

    #[test]
    fn busy_workers_want_their_cpus_to_themselves() {
        assert_eq!(isolation(&[2, 3], &list("2-3")).status, Status::Ok);
        assert_eq!(isolation(&[1, 2], &list("2-3")).status, Status::Warning);
    }

    #[test]
    fn a_saving_governor_deep_sleep_and_wandering_interrupts_are_warned_of() {
        let root = tempfile::tempdir().unwrap();
        let system = System::below(root.path());
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(power(&system).iter().all(|finding| finding.status == Status::Ok));
        write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        for (file, text) in [("name", "C6\n"), ("latency", "133\n"), ("disable", "0\n")] {
            write(&format!("sys/devices/system/cpu/cpu0/cpuidle/state3/{file}"), text);
        }
        assert!(power(&system).iter().all(|finding| finding.status == Status::Warning));
        assert!(interrupts(&system, "eth0").is_none());
        write("proc/interrupts", " 33: 0 0 PCI-MSI eth0-rx-0\n 34: 0 0 PCI-MSI eth0-rx-1\n");
        assert_eq!(interrupts(&system, "eth0").unwrap().status, Status::Ok);
        write("proc/77/comm", "irqbalance\n");
        assert_eq!(interrupts(&system, "eth0").unwrap().status, Status::Warning);
    }
}
