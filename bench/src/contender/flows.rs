//! Contenders whose flows come and go: the same room and the same time-outs for both that keep flows, and how many there
//! are.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use gridway_control::{FlowFilter, Reply, Request};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::{Lab, Side, WAN_INTERFACE};

/// Flows that either end has room for.
pub(crate) const ROOM: u32 = 4_194_304;
/// Seconds without a packet after which a UDP flow has ended.
pub(crate) const UDP_SECONDS: u32 = 1;

const KERNEL: &str = "/proc/sys/net/netfilter";
/// Of the kernel: sources are translated by prefix at both gateways, as with Gridway's inside and outside NAT.
const TRANSLATE: &str = "
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    snat ip prefix to ip saddr map { 10.1.0.0/24 : 10.200.1.0/24, 10.200.1.0/24 : 172.16.1.0/24, 10.2.0.0/24 : 10.200.2.0/24, 10.200.2.0/24 : 172.16.2.0/24 }
  }
}
";

/// Vnet `corp` with room for [`ROOM`] flows that end after [`UDP_SECONDS`].
pub(super) fn corp(side: Side) -> String {
    format!("{}\n[flows]\nudp = \"{UDP_SECONDS}s\"\n\n[limits]\nflows = {ROOM}\n", vnets::corp(side))
}

/// The way to what the far side's hosts are called between the gateways.
fn route(verb: &str, side: Side) -> String {
    let far = side.other();
    format!("route {verb} {} via {} dev {WAN_INTERFACE}", vnets::virtual_network(far), far.wan())
}

/// Kernel forwarding with connection tracking and translation, until it is dropped.
pub(crate) struct Tracking<'a> {
    lab: &'a Lab,
    /// What the machine had: its namespaces have no room of their own.
    before: Vec<(PathBuf, String)>,
}

impl<'a> Tracking<'a> {
    pub(super) fn start(lab: &'a Lab) -> Result<Self> {
        // It is dropped, and what was done undone, if a step fails.
        let mut tracking = Self { lab, before: Vec::new() };
        lab.kernel_forwarding(true)?;
        for side in Side::BOTH {
            let gateway = lab.gateway(side);
            gateway.command("nft").args(["-f", "-"]).stdin(TRANSLATE).run()?;
            gateway.ip_batch(&route("replace", side))?;
            for key in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
                gateway.sysctl(&format!("net/netfilter/{key}"), &UDP_SECONDS.to_string())?;
            }
        }
        // As many buckets as flows, as the kernel has it by itself.
        tracking.raise("nf_conntrack_buckets")?;
        tracking.raise("nf_conntrack_max")?;
        Ok(tracking)
    }

    pub(super) fn lab(&self) -> &'a Lab {
        self.lab
    }

    /// Raises what the machine has at most to [`ROOM`].
    fn raise(&mut self, key: &str) -> Result<()> {
        let file = PathBuf::from(KERNEL).join(key);
        let cannot = || format!("cannot raise {}", file.display());
        let before = std::fs::read_to_string(&file).with_context(cannot)?.trim().to_owned();
        if before.parse::<u32>().is_ok_and(|before| before >= ROOM) {
            return Ok(());
        }
        std::fs::write(&file, ROOM.to_string()).with_context(cannot)?;
        self.before.push((file, before));
        Ok(())
    }

    /// Flows of the end that has more.
    pub(super) fn count(&self) -> Result<u64> {
        let of = |side| -> Result<u64> {
            Ok(self.lab.gateway(side).read_sysctl("net/netfilter/nf_conntrack_count")?.parse()?)
        };
        Ok(of(Side::A)?.max(of(Side::B)?))
    }

    /// Flows of either end that gave way to others or found no room.
    pub(super) fn displaced(&self) -> Result<u64> {
        // Not `/proc/net`, which is of the namespace of the main thread.
        const FILE: &str = "/proc/thread-self/net/stat/nf_conntrack";
        let of = |side| -> Result<u64> {
            let table = self.lab.gateway(side).enter(|| std::fs::read_to_string(FILE))?;
            let table = table.with_context(|| format!("cannot read {FILE}"))?;
            displaced_of(&table).with_context(|| format!("{FILE} says {table}"))
        };
        Ok(of(Side::A)? + of(Side::B)?)
    }

    /// Ends all flows.
    pub(super) fn forget(&self) -> Result<()> {
        for side in Side::BOTH {
            self.lab.gateway(side).run("conntrack", ["--flush"])?;
        }
        Ok(())
    }
}

impl Drop for Tracking<'_> {
    fn drop(&mut self) {
        for side in Side::BOTH {
            let gateway = self.lab.gateway(side);
            if let Err(error) = gateway.run("nft", ["flush", "ruleset"]) {
                eprintln!("cannot take the rules away: {error}");
            }
            if let Err(error) = gateway.ip_batch(&route("del", side)) {
                eprintln!("cannot take the route away: {error}");
            }
        }
        for (file, before) in &self.before {
            if let Err(error) = std::fs::write(file, before) {
                eprintln!("cannot set {} to {before} again: {error}", file.display());
            }
        }
    }
}

/// Flows of the gateway that has more.
pub(super) fn count(gateways: &[Gateway]) -> Result<u64> {
    let counts = gateways.iter().map(|gateway| Ok(gateway.status()?.flows));
    Ok(counts.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0))
}

/// Flows of either gateway that gave way to others or found no room.
pub(super) fn displaced(gateways: &[Gateway]) -> Result<u64> {
    let of = |gateway: &Gateway| -> Result<u64> {
        let counters = gateway.counters()?;
        Ok(counters.flows_evicted + counters.drops.get("flow_table_full").copied().unwrap_or(0))
    };
    gateways.iter().map(of).sum()
}

/// Ends all flows.
pub(super) fn forget(gateways: &[Gateway]) -> Result<()> {
    for gateway in gateways {
        match gateway.ask(&Request::KillFlows { filter: FlowFilter::default() })? {
            Reply::Killed(_) => {}
            other => bail!("unexpected reply {other:?}"),
        }
    }
    Ok(())
}

/// Reads the kernel's statistics of all CPUs: names, then a line of hexadecimal numbers a CPU.
fn displaced_of(table: &str) -> Option<u64> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let rows: Vec<Vec<u64>> = lines.map(|line| words(line).collect::<Option<_>>()).collect::<Option<_>>()?;
    let column = |name: &str| {
        let column = names.iter().position(|found| *found == name)?;
        rows.iter().map(|row| row.get(column).copied()).sum::<Option<u64>>()
    };
    Some(column("insert_failed")? + column("drop")? + column("early_drop")?)
}

fn words(line: &str) -> impl Iterator<Item = Option<u64>> {
    line.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_by_cpu_in_hexadecimal() {
        let table = "entries insert_failed drop early_drop\n0000000a 00000001 00000010 00000000\n0000000a 00000000 00000000 000000ff\n";
        assert_eq!(displaced_of(table), Some(1 + 16 + 255));
        assert_eq!(displaced_of("entries drop\n00000001 00000001\n"), None);
    }
}
