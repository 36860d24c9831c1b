//! Serving requests: neighbour entries made, kept fresh, given up and withdrawn.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Watcher;
use crate::NetlinkError;
use crate::managed::Managed;
use crate::neighbour::Neighbour;
use crate::requests::Keep;

/// Requests served at a stretch, and the pause that follows. Together they bound how often a flood of packets to
/// neighbours that never answer wakes this thread.
const REQUESTS: usize = 128;
const PAUSE: Duration = Duration::from_millis(5);
/// How often entries are looked over.
const SWEEP: Duration = Duration::from_secs(1);
/// Without `NTF_EXT_MANAGED`, how often an entry is used again: well within the kernel's `base_reachable_time` (30 s,
/// randomised from half of it).
const USE_AGAIN: Duration = Duration::from_secs(15);

/// Brings the books up to date with the kernel's entry, `None` when it is gone.
pub(super) fn observe(managed: &mut Managed, keep: Keep, address: IpAddr, entry: Option<&Neighbour>) {
    match entry {
        // An administrator made it permanent: it is no longer ours to remove.
        Some(entry) if entry.fixed => managed.forget(address),
        Some(entry) => {
            let installed = keep == Keep::Use || entry.managed;
            managed.observe(address, installed, entry.mac.is_some());
        }
        None => managed.observe(address, false, false),
    }
}

impl Watcher {
    /// Removes the neighbour entries this watcher made. Done on drop too.
    ///
    /// Best effort: an entry the kernel refuses to remove is logged and forgotten.
    pub fn withdraw(&mut self) {
        for address in self.managed.addresses() {
            self.give_up(address);
        }
    }

    /// Serves requests when it is time, and looks over the entries.
    pub(super) fn serve(&mut self, now: Instant) {
        if now >= self.next_serve {
            let mut served = 0;
            while served < REQUESTS {
                let Some(address) = self.resolver.next() else { break };
                self.resolve(address, now);
                served += 1;
            }
            if served > 0 {
                self.next_serve = now + PAUSE;
            }
        }
        if now >= self.next_sweep {
            self.sweep(now);
            self.next_sweep = now + SWEEP;
        }
    }

    fn resolve(&mut self, address: IpAddr, now: Instant) {
        // The kernel drops every entry of a link without carrier; whoever still wants it asks again.
        if !self.link.up || !self.may_be_neighbour(address) || !self.managed.ask(address, now) {
            return;
        }
        if let Some(excess) = self.managed.excess(address) {
            self.give_up(excess);
        }
        let mut added = self.add(address);
        if matches!(&added, Err(error) if error.refusal() == Some(libc::ENOBUFS))
            && let Some(least_wanted) = self.managed.least_wanted()
        {
            // The kernel's neighbour table is full (gc_thresh3).
            self.give_up(least_wanted);
            added = self.add(address);
        }
        match added {
            Ok(()) => {
                let resolved = self.neighbours.get(address).is_some_and(|entry| entry.mac.is_some());
                self.managed.added(address, resolved, now);
            }
            Err(error) => {
                self.counters.refused += 1;
                tracing::debug!(interface = self.name, %address, %error, "cannot resolve a neighbour");
            }
        }
    }

    fn may_be_neighbour(&self, address: IpAddr) -> bool {
        let impossible = address.is_unspecified()
            || address.is_multicast()
            || address.is_loopback()
            || matches!(address, IpAddr::V4(address) if address.is_broadcast());
        // To manage a permanent entry would make it an ordinary one (`__neigh_update` in net/core/neighbour.c).
        let fixed = self.neighbours.get(address).is_some_and(|entry| entry.fixed);
        !impossible && !fixed && self.own.binary_search(&address).is_err()
    }

    /// Has the kernel make an entry; falls back to `NTF_USE` for good when the kernel takes that but not
    /// `NTF_EXT_MANAGED`.
    fn add(&mut self, address: IpAddr) -> Result<(), NetlinkError> {
        let added = self.requests.add_neighbour(self.link.index, address, self.keep);
        let unsupported = matches!(
            &added,
            Err(error) if matches!(error.refusal(), Some(libc::EINVAL | libc::EOPNOTSUPP))
        );
        if self.keep != Keep::Managed || !unsupported {
            return added;
        }
        self.requests.add_neighbour(self.link.index, address, Keep::Use)?;
        tracing::warn!(interface = self.name, "this kernel does not manage neighbours; using them instead");
        self.keep = Keep::Use;
        Ok(())
    }

    fn sweep(&mut self, now: Instant) {
        for address in self.managed.idle(now) {
            self.give_up(address);
        }
        if self.keep == Keep::Use && self.link.up {
            for address in self.managed.due(USE_AGAIN, now) {
                if let Err(error) = self.requests.add_neighbour(self.link.index, address, Keep::Use) {
                    self.counters.refused += 1;
                    tracing::debug!(interface = self.name, %address, %error, "cannot keep a neighbour");
                }
            }
        }
    }

    fn give_up(&mut self, address: IpAddr) {
        self.managed.forget(address);
        if let Err(error) = self.requests.delete_neighbour(self.link.index, address) {
            tracing::warn!(interface = self.name, %address, %error, "cannot remove a neighbour entry");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sched::{CloneFlags, unshare};

    use super::*;

    fn ip(arguments: &str) -> String {
        let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A namespace with one veth pair whose far end is up but has no address.
    fn watcher() -> Watcher {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link add data0 type veth peer name far0");
        ip("link set far0 up");
        ip("link set data0 up");
        ip("address add 10.0.0.1/24 dev data0");
        let mut watcher = Watcher::open("data0").unwrap();
        while watcher.wait(Duration::from_millis(100)).unwrap() {}
        assert!(watcher.link.up);
        watcher
    }

    #[test]
    fn neighbours_are_used_where_they_cannot_be_managed() {
        let mut watcher = watcher();
        watcher.keep = Keep::Use;
        let (address, now) = (IpAddr::from([10, 0, 0, 2]), Instant::now());
        watcher.resolve(address, now);
        let table = ip("neigh show dev data0 nud all");
        assert!(table.contains("10.0.0.2 ") && !table.contains("managed"), "{table}");

        // As when the entry was resolved, then taken away without our being told: it is used again in time.
        watcher.managed.observe(address, true, true);
        ip("neigh del 10.0.0.2 dev data0");
        watcher.sweep(now + USE_AGAIN);
        assert!(!ip("neigh show dev data0 nud all").contains("10.0.0.2 "));
        watcher.sweep(now + 2 * USE_AGAIN);
        assert!(ip("neigh show dev data0 nud all").contains("10.0.0.2 "));
        watcher.withdraw();
        assert!(!ip("neigh show dev data0 nud all").contains("10.0.0.2 "));
    }

    #[test]
    fn an_unresolved_neighbour_nobody_asks_for_is_given_up() {
        let mut watcher = watcher();
        let now = Instant::now();
        watcher.resolve(IpAddr::from([10, 0, 0, 2]), now);
        assert!(ip("neigh show dev data0 nud all").contains("managed"));
        watcher.sweep(now + Duration::from_secs(20));
        assert!(ip("neigh show dev data0 nud all").contains("10.0.0.2 "));
        watcher.sweep(now + Duration::from_secs(40));
        assert!(!ip("neigh show dev data0 nud all").contains("10.0.0.2 "));
        assert!(watcher.managed.addresses().is_empty());
    }
}
