//! The neighbour entries this process had the kernel make: which to give up, which to renew.
//!
//! Bookkeeping only; the watcher speaks with the kernel.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Entries at most.
const ENTRIES: usize = 4096;
/// Unresolved entries at most. The kernel tries a managed one again every five seconds with three probes: whoever
/// scans a large prefix from afar must not turn that into a flood.
const UNRESOLVED: usize = 512;
/// An unresolved entry that nobody asked for this long is given up.
const UNRESOLVED_IDLE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Entry {
    asked: Instant,
    /// When the kernel was last told.
    sent: Instant,
    /// As far as we know the kernel still has it. One that it dropped stays here until it is asked for again or given
    /// up, so a late notification cannot make us forget an entry that is to be removed at exit.
    installed: bool,
    resolved: bool,
}

/// The entries made on behalf of the data plane.
#[derive(Debug, Default)]
pub(crate) struct Managed {
    entries: HashMap<IpAddr, Entry>,
    unresolved: usize,
}

impl Managed {
    /// Notes that an address was asked for. True when the kernel has to be told: it is not an entry of ours, or the
    /// kernel dropped it.
    pub(crate) fn ask(&mut self, address: IpAddr, now: Instant) -> bool {
        match self.entries.get_mut(&address) {
            Some(entry) => {
                entry.asked = now;
                !entry.installed
            }
            None => true,
        }
    }

    /// The entry to give up before `address` can be added, if there are too many.
    pub(crate) fn excess(&self, address: IpAddr) -> Option<IpAddr> {
        if self.entries.contains_key(&address) {
            return None;
        }
        let full = self.entries.len() >= ENTRIES || self.unresolved >= UNRESOLVED;
        if full { self.least_wanted() } else { None }
    }

    /// The entry to give up first: unresolved ones before others, then whichever was asked for longest ago.
    pub(crate) fn least_wanted(&self) -> Option<IpAddr> {
        let (address, _) = self.entries.iter().min_by_key(|(_, entry)| (entry.resolved, entry.asked))?;
        Some(*address)
    }

    /// The kernel took the entry.
    pub(crate) fn added(&mut self, address: IpAddr, resolved: bool, now: Instant) {
        self.forget(address);
        self.unresolved += usize::from(!resolved);
        self.entries.insert(address, Entry { asked: now, sent: now, installed: true, resolved });
    }

    /// The kernel's entry changed, or is gone (both false).
    pub(crate) fn observe(&mut self, address: IpAddr, installed: bool, resolved: bool) {
        if let Some(entry) = self.entries.get_mut(&address) {
            self.unresolved -= usize::from(!entry.resolved);
            self.unresolved += usize::from(!resolved);
            entry.installed = installed;
            entry.resolved = resolved;
        }
    }

    /// No longer ours.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        if let Some(entry) = self.entries.remove(&address) {
            self.unresolved -= usize::from(!entry.resolved);
        }
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.entries.keys().copied().collect()
    }

    /// Unresolved entries nobody asks for any more.
    pub(crate) fn idle(&self, now: Instant) -> Vec<IpAddr> {
        let idle = |entry: &Entry| !entry.resolved && now.duration_since(entry.asked) > UNRESOLVED_IDLE;
        self.entries.iter().filter(|(_, entry)| idle(entry)).map(|(address, _)| *address).collect()
    }

    /// Entries the kernel was last told of longer ago than `age`; each is returned once an `age`.
    pub(crate) fn due(&mut self, age: Duration, now: Instant) -> Vec<IpAddr> {
        let due = self.entries.iter_mut().filter(|(_, entry)| now.duration_since(entry.sent) > age);
        due.map(|(address, entry)| {
            entry.sent = now;
            *address
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n as u32).to_be_bytes())
    }

    #[test]
    fn unresolved_entries_are_given_up_before_resolved_ones() {
        let start = Instant::now();
        let mut managed = Managed::default();
        managed.added(address(0), true, start);
        for n in 1..=UNRESOLVED {
            assert_eq!(managed.excess(address(n)), None);
            managed.added(address(n), false, start + Duration::from_millis(n as u64));
        }
        assert_eq!(managed.excess(address(9_999)), Some(address(1)), "the oldest unresolved one");
        assert_eq!(managed.excess(address(5)), None, "one that is there needs no room");
        managed.ask(address(1), start + Duration::from_secs(9));
        assert_eq!(managed.excess(address(9_999)), Some(address(2)));
        managed.observe(address(2), true, true);
        assert_eq!(managed.excess(address(9_999)), None, "and one less is unresolved");
    }

    #[test]
    fn never_more_entries_than_the_limit() {
        let start = Instant::now();
        let mut managed = Managed::default();
        for n in 0..ENTRIES + 10 {
            let now = start + Duration::from_millis(n as u64);
            if let Some(excess) = managed.excess(address(n)) {
                assert_eq!(excess, address(n - ENTRIES), "the one asked for longest ago");
                managed.forget(excess);
            }
            managed.added(address(n), true, now);
        }
        assert_eq!(managed.addresses().len(), ENTRIES);
    }

    #[test]
    fn unresolved_entries_are_idle_when_nobody_asks() {
        let start = Instant::now();
        let mut managed = Managed::default();
        managed.added(address(1), false, start);
        managed.added(address(2), false, start);
        managed.added(address(3), true, start);
        let later = start + UNRESOLVED_IDLE + Duration::from_secs(1);
        assert!(!managed.ask(address(2), later));
        assert_eq!(managed.idle(later), [address(1)]);
    }

    #[test]
    fn an_entry_the_kernel_dropped_is_installed_again_when_asked_for() {
        let now = Instant::now();
        let mut managed = Managed::default();
        assert!(managed.ask(address(1), now));
        managed.added(address(1), false, now);
        assert!(!managed.ask(address(1), now));
        managed.observe(address(1), false, false);
        assert!(managed.ask(address(1), now));
        assert_eq!(managed.addresses(), [address(1)], "and removed at exit in any case");
    }
}
