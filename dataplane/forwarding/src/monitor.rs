//! Route monitors: probes through a tunnel, and an accumulator that says whether the route can be used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gridway_config::MonitorProtocol;
use gridway_wire::icmp::{MAX_ECHO_REQUEST_LEN, QuotedPacket, echo_sequence, write_echo_request};
use gridway_wire::packet::{Packet, Transport};
use gridway_wire::segment::{MAX_SEGMENT_LEN, Segment};
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;
use rand::Rng;

use crate::ids::{MonitorId, VnetId};
use crate::peers::Peers;
use crate::policy::{Policy, Probe};
use crate::verdict::{Emissions, Target, Tunnel};

/// Source ports of TCP probes: the dynamic ones (RFC 6335).
const FIRST_PORT: u16 = 49_152;

/// How many echo requests ago one may have been whose reply is known as a late one, for which nobody waits any more.
const LATE: u32 = 16;

/// All monitors of the node.
#[derive(Debug, Default)]
pub struct Monitors {
    inner: Mutex<Inner>,
    next: AtomicU64,
    /// Changes of all monitors so far.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    entries: Vec<Entry>,
    /// Monitors by the port or query identifier that their probes come from.
    by_port: HashMap<u16, usize>,
}

#[derive(Debug)]
struct Entry {
    vnet: VnetId,
    probe: Probe,
    /// Port or identifier of the probes: one for each monitor.
    port: u16,
    /// Sequence number of the last probe.
    sequence: u32,
    /// When the probe was sent that is not answered yet.
    waiting_since: Option<Nanos>,
    next_probe: Nanos,
    failures: u32,
    passes: bool,
    /// How often `passes` has changed.
    changes: u64,
    last_failure: Option<ProbeFailure>,
    latency: Option<Duration>,
}

/// Why a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// Nothing came in time.
    #[error("no reply in time")]
    NoReply,
    /// A reply came, later than the configuration allows.
    #[error("the reply was too slow")]
    TooSlow,
    /// TCP reset: nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// An ICMP error.
    #[error("the target is unreachable")]
    Unreachable,
}

/// A monitor as it stands, for listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorView {
    /// Failures less successes.
    pub failures: u32,
    /// Whether the route can be used as far as the monitor is concerned.
    pub passes: bool,
    /// How often that has changed since the monitor was configured: it passed then.
    pub changes: u64,
    /// Why the last probe that failed did.
    pub last_failure: Option<ProbeFailure>,
    /// How long the last reply took.
    pub latency: Option<Duration>,
}

impl Monitors {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Judgements are complete at every step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the monitors of a policy; those that it keeps go on where they are.
    pub fn configure(&self, policy: &Policy, peers: &Peers, random: &mut impl Rng, now: Nanos) {
        let mut inner = self.lock();
        if inner.generation == policy.generation {
            return;
        }
        inner.generation = policy.generation;
        let mut known: HashMap<MonitorId, Entry> =
            inner.entries.drain(..).map(|entry| (entry.probe.id, entry)).collect();
        let mut ports: HashMap<u16, usize> = HashMap::new();
        for vnet in policy.vnets() {
            for probe in &vnet.probes {
                let mut entry = known.remove(&probe.id).unwrap_or_else(|| {
                    // It may have been configured before, and have failed then.
                    peers.set_passes(probe.id, true);
                    Entry {
                        vnet: vnet.id,
                        probe: *probe,
                        port: random.random_range(FIRST_PORT..=u16::MAX),
                        sequence: random.random(),
                        waiting_since: None,
                        next_probe: now,
                        failures: 0,
                        passes: true,
                        changes: 0,
                        last_failure: None,
                        latency: None,
                    }
                });
                // There are fewer monitors than dynamic ports.
                while ports.contains_key(&entry.port) {
                    entry.port = entry.port.checked_add(1).unwrap_or(FIRST_PORT);
                }
                ports.insert(entry.port, inner.entries.len());
                inner.entries.push(entry);
            }
        }
        inner.by_port = ports;
        self.publish_next(&inner);
    }

    fn publish_next(&self, inner: &Inner) {
        let next = inner.entries.iter().map(Entry::due).min();
        self.next.store(next.map_or(u64::MAX, |next| next.0), Ordering::Relaxed);
    }

    /// When [`Self::handle_timeouts`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Nanos {
        Nanos(self.next.load(Ordering::Relaxed))
    }

    /// Judges probes that were not answered in time, and sends those that are due.
    pub(crate) fn handle_timeouts(&self, emissions: &mut Emissions, peers: &Peers, now: Nanos) {
        if now < self.next_timeout() {
            return;
        }
        let mut inner = self.lock();
        for entry in &mut inner.entries {
            if entry.waiting_since.is_some_and(|sent| now.since(sent) >= entry.probe.monitor.max_latency) {
                self.count(entry.judge(Err(ProbeFailure::NoReply), peers));
            }
            if now >= entry.next_probe {
                entry.next_probe = now + entry.probe.monitor.interval;
                // Without a tunnel the route is not available anyway, and nothing is learned.
                if peers.is_up(entry.probe.peer) {
                    if entry.waiting_since.is_none() {
                        entry.send(emissions, now);
                    }
                } else {
                    entry.waiting_since = None;
                }
            }
        }
        self.publish_next(&inner);
    }

    /// A packet that is no echo request came to this node's own address. Whether a monitor waited for it.
    pub(crate) fn handle_reply(
        &self,
        vnet: VnetId,
        bytes: &[u8],
        packet: &Packet,
        (peers, emissions): (&Peers, &mut Emissions),
        now: Nanos,
    ) -> bool {
        let mut inner = self.lock();
        let Some(entry) = inner.of_reply(vnet, &packet.tuple) else { return false };
        let answered = match (packet.transport, entry.probe.monitor.protocol) {
            (Transport::IcmpReply, MonitorProtocol::Icmp) => echo_sequence(bytes, packet)
                .map(|sequence| (u32::from((entry.sequence as u16).wrapping_sub(sequence)), true)),
            (Transport::Tcp { flags }, MonitorProtocol::Tcp) if flags.ack() => {
                Segment::numbers(bytes, packet)
                    .filter(|(_, acknowledged)| *acknowledged == entry.sequence.wrapping_add(1))
                    .map(|_| (0, !flags.rst() && flags.syn()))
            }
            _ => None,
        };
        let Some((age, success)) = answered.filter(|(age, _)| *age <= LATE) else { return false };
        if success && let Some(reset) = Segment::reset(bytes, packet) {
            // The target need not wait for the rest of the handshake.
            emissions.write(entry.target(), MAX_SEGMENT_LEN, |out| reset.write(out));
        }
        if let (0, Some(sent)) = (age, entry.waiting_since) {
            let latency = now.since(sent);
            entry.latency = Some(latency);
            let outcome = match (success, latency < entry.probe.monitor.max_latency) {
                (true, true) => Ok(()),
                (true, false) => Err(ProbeFailure::TooSlow),
                (false, _) => Err(ProbeFailure::Refused),
            };
            self.count(entry.judge(outcome, peers));
        }
        self.publish_next(&inner);
        true
    }

    /// An ICMP error, in `bytes`, quotes a packet of this node's own. Whether it was the probe that is waited for: its
    /// sequence number says so, which whoever has not seen it would have to guess.
    pub(crate) fn handle_error(
        &self,
        vnet: VnetId,
        bytes: &[u8],
        quote: &QuotedPacket,
        peers: &Peers,
    ) -> bool {
        let mut inner = self.lock();
        let Some(entry) = inner.of_reply(vnet, &quote.tuple.reversed()) else { return false };
        if !entry.is_quoted(bytes, quote) {
            return false;
        }
        if entry.waiting_since.is_some() {
            self.count(entry.judge(Err(ProbeFailure::Unreachable), peers));
        }
        self.publish_next(&inner);
        true
    }

    /// A monitor as it stands.
    #[must_use]
    pub fn view(&self, id: MonitorId) -> Option<MonitorView> {
        let inner = self.lock();
        let entry = inner.entries.iter().find(|entry| entry.probe.id == id)?;
        Some(entry.view())
    }

    /// All of them as they stand.
    #[must_use]
    pub fn views(&self) -> Vec<(MonitorId, MonitorView)> {
        self.lock().entries.iter().map(|entry| (entry.probe.id, entry.view())).collect()
    }

    /// How often any of them went down or came up: whether [`Self::views`] has news.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn count(&self, changed: bool) {
        if changed {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }
}

impl Inner {
    /// The monitor whose probe a packet with this tuple answers.
    fn of_reply(&mut self, vnet: VnetId, tuple: &FiveTuple) -> Option<&mut Entry> {
        let entry = &mut self.entries[*self.by_port.get(&tuple.destination_port)?];
        let Probe { source, monitor, .. } = entry.probe;
        let fits = entry.vnet == vnet
            && tuple.destination == source
            && tuple.source == monitor.target
            && (tuple.protocol.is_icmp() || Some(tuple.source_port) == monitor.port);
        fits.then_some(entry)
    }
}

impl Entry {
    fn due(&self) -> Nanos {
        match self.waiting_since {
            Some(sent) => self.next_probe.min(sent + self.probe.monitor.max_latency),
            None => self.next_probe,
        }
    }

    fn view(&self) -> MonitorView {
        let Self { failures, passes, changes, last_failure, latency, .. } = *self;
        MonitorView { failures, passes, changes, last_failure, latency }
    }

    /// Failures add one until the route is down, successes take one until it is up again. Returns whether it has
    /// changed.
    fn judge(&mut self, outcome: Result<(), ProbeFailure>, peers: &Peers) -> bool {
        self.waiting_since = None;
        let count = self.probe.monitor.count;
        self.failures = match outcome {
            Ok(()) => self.failures.saturating_sub(1),
            Err(failure) => {
                self.last_failure = Some(failure);
                (self.failures + 1).min(count)
            }
        };
        let passes = match self.failures {
            0 => true,
            failures if failures == count => false,
            _ => self.passes,
        };
        let changed = passes != self.passes;
        if changed {
            (self.passes, self.changes) = (passes, self.changes + 1);
            peers.set_passes(self.probe.id, passes);
        }
        changed
    }

    /// Whether the quote is of the last probe: of its 8 bytes of transport header TCP's (RFC 9293, 3.1) and ICMP's
    /// sequence number (RFC 792) are compared.
    fn is_quoted(&self, bytes: &[u8], quote: &QuotedPacket) -> bool {
        let header = bytes.get(quote.l4_offset..).and_then(<[u8]>::first_chunk::<8>);
        header.is_some_and(|header| match self.probe.monitor.protocol {
            MonitorProtocol::Icmp => header[6..] == (self.sequence as u16).to_be_bytes(),
            MonitorProtocol::Tcp => header[4..] == self.sequence.to_be_bytes(),
        })
    }

    fn target(&self) -> Target {
        Target::Tunnel(Tunnel { peer: self.probe.peer, vnet: self.vnet, spread: 0 })
    }

    fn send(&mut self, emissions: &mut Emissions, now: Nanos) {
        let Probe { source, monitor, .. } = self.probe;
        self.sequence = self.sequence.wrapping_add(1);
        let (port, sequence) = (self.port, self.sequence);
        let to = self.target();
        let sent = match monitor.protocol {
            MonitorProtocol::Icmp => emissions.write(to, MAX_ECHO_REQUEST_LEN, |out| {
                write_echo_request(source, monitor.target, port, sequence as u16, out)
            }),
            MonitorProtocol::Tcp => emissions.write(to, MAX_SEGMENT_LEN, |out| {
                let segment = Segment {
                    source: (source, port),
                    destination: (monitor.target, monitor.port.unwrap_or_default()),
                    sequence,
                    acknowledgement: 0,
                    flags: TcpFlags::SYN,
                };
                segment.write(out)
            }),
        };
        if sent {
            self.waiting_since = Some(now);
        }
    }
}
