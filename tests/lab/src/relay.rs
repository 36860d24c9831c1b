//! A WAN with delay: two TAP devices and this process between them.
//!
//! The kernel here has no netem. The relay watches itself: every frame's lateness (the time between when it should
//! have left and when it did) goes into a histogram, and a test that depends on the delay asks
//! [`Relay::check_punctual`] whether the delay was what it claims.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::delay_line::DelayLine;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::side::WAN_INTERFACE;

/// Bytes in flight in one direction: 200 ms at 1 Gbit/s.
const IN_FLIGHT: usize = 25 << 20;
/// Frames read in a row before due ones are sent.
const BURST: usize = 64;
/// Largest frame: 64 KiB of MTU and an Ethernet header.
const FRAME: usize = 65_536 + 18;
/// Longest sleep, so that a request to stop is noticed.
const NAP: Duration = Duration::from_millis(50);
/// Largest lateness that the histogram tells apart, ns.
const WORST: u64 = 60_000_000_000;

/// What the relay did so far, both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayReport {
    /// Frames that went through.
    pub forwarded: u64,
    /// Frames lost because too much was in flight or the receiving device refused them.
    pub dropped: u64,
    /// Median lateness.
    pub p50: Duration,
    /// 99th percentile of lateness.
    pub p99: Duration,
    /// Worst lateness.
    pub max: Duration,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    delay_ns: AtomicU64,
    dropped: AtomicU64,
    /// Lateness in ns. Locked once a burst by each direction's thread.
    lateness: Mutex<Histogram<u64>>,
}

impl Shared {
    fn lateness(&self) -> MutexGuard<'_, Histogram<u64>> {
        // A histogram of counters is usable whatever a panicking holder was doing.
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of the relay: its threads end and the TAP devices vanish when it is dropped.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Creates `wan0` in both namespaces and starts carrying frames between them.
    pub(crate) fn start(gateways: &[Namespace; 2], mtu: u32, delay: Duration) -> Result<Self> {
        let [a, b] = gateways;
        let (tap_a, tap_b) = (Arc::new(tap(a, mtu)?), Arc::new(tap(b, mtu)?));
        let histogram = Histogram::new_with_max(WORST, 3).expect("bounds are constant and valid");
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            delay_ns: AtomicU64::new(nanos(delay)),
            dropped: AtomicU64::new(0),
            lateness: Mutex::new(histogram),
        });
        let mut relay = Self { shared, threads: Vec::new() };
        for (name, from, to) in [("relay-a-b", &tap_a, &tap_b), ("relay-b-a", &tap_b, &tap_a)] {
            let (from, to, shared) = (Arc::clone(from), Arc::clone(to), Arc::clone(&relay.shared));
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || carry(&from, &to, &shared))
                .map_err(LabError::io("start a relay thread"))?;
            relay.threads.push(thread);
        }
        Ok(relay)
    }

    /// Changes the one-way delay for frames that arrive from now on.
    pub fn set_delay(&self, one_way: Duration) {
        self.shared.delay_ns.store(nanos(one_way), Ordering::Relaxed);
    }

    /// What happened so far.
    #[must_use]
    pub fn report(&self) -> RelayReport {
        let lateness = self.shared.lateness();
        RelayReport {
            forwarded: lateness.len(),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            p50: Duration::from_nanos(lateness.value_at_quantile(0.5)),
            p99: Duration::from_nanos(lateness.value_at_quantile(0.99)),
            max: Duration::from_nanos(lateness.max()),
        }
    }

    /// Forgets the lateness seen so far, for instance after start-up.
    pub fn reset(&self) {
        self.shared.lateness().reset();
        self.shared.dropped.store(0, Ordering::Relaxed);
    }

    /// The report, if the 99th percentile of lateness is at most `bound`.
    ///
    /// # Errors
    /// [`LabError::RelayLate`] otherwise: the measurement that relied on the delay is void.
    pub fn check_punctual(&self, bound: Duration) -> Result<RelayReport> {
        let report = self.report();
        if report.p99 > bound {
            let RelayReport { p99, max, forwarded: frames, .. } = report;
            return Err(LabError::RelayLate { p99, max, bound, frames });
        }
        Ok(report)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a relay thread panicked");
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

fn tap(namespace: &Namespace, mtu: u32) -> Result<SyncDevice> {
    let what = format!("create TAP {WAN_INTERFACE} in {}", namespace.name());
    let mtu = u16::try_from(mtu)
        .map_err(|_| LabError::Unsupported(format!("a TAP has an MTU of at most 65535, not {mtu}")))?;
    let build = || {
        let device = DeviceBuilder::new().name(WAN_INTERFACE).layer(Layer::L2).mtu(mtu).build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    };
    namespace.enter(build)?.map_err(LabError::io::<io::Error>(what))
}

/// One direction: read what has arrived, send what is due, sleep until either.
fn carry(from: &SyncDevice, to: &SyncDevice, shared: &Shared) {
    // Nice applies to this thread alone on Linux. Without the privilege the histogram shows the cost.
    let _ = rustix::process::nice(-20);
    let mut line = DelayLine::new(IN_FLIGHT);
    let mut buffer = vec![0; FRAME];
    let mut late = Vec::with_capacity(BURST);
    let lost = |count: u64| shared.dropped.fetch_add(count, Ordering::Relaxed);
    while !shared.stop.load(Ordering::Relaxed) {
        let delay = Duration::from_nanos(shared.delay_ns.load(Ordering::Relaxed));
        for _ in 0..BURST {
            match from.recv(&mut buffer) {
                Ok(len) if line.push(Instant::now(), delay, &buffer[..len]) => {}
                Ok(_) => drop(lost(1)),
                // Nothing there, or the device is down (EIO): poll tells when that changes.
                Err(_) => break,
            }
        }
        while let Some((lateness, frame)) = line.pop_due(Instant::now()) {
            match to.send(&frame) {
                Ok(_) => late.push(nanos(lateness)),
                Err(_) => drop(lost(1)),
            }
        }
        if !late.is_empty() {
            let mut histogram = shared.lateness();
            late.drain(..).for_each(|ns| histogram.saturating_record(ns));
        }
        let nap = line.next_due().map_or(NAP, |due| due.saturating_duration_since(Instant::now()).min(NAP));
        let mut wanted = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        // Interruption and time-out lead to the same place: look again.
        let _ = ppoll(&mut wanted, Some(TimeSpec::from_duration(nap)), None);
        if wanted[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
