//! An interface that packets are sent from or received on.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_steer::{Attach, AttachedMode, Hooks, Kind, Steer};
use gridway_wire::mac::MacAddr;
use gridway_xsk::{BURST, Frame, Port, PortOptions};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::{get_timerslack, set_timerslack};
use nix::sys::time::TimeSpec;

use super::flows::{Space, Tuple};
use super::frame;
use super::stamp::{Clock, Stamp};
use super::tally::Tally;
use super::turns::Schedule;

/// Shortest sleep of a sender that is not late, nanoseconds: what falls due meanwhile leaves together. One that waited
/// in a loop would take its processor from what it measures, where there are few.
const SHORTEST_SLEEP: u64 = 20_000;
/// How much later than asked the kernel may end a sleep, nanoseconds (`PR_SET_TIMERSLACK`; 50,000 is usual).
const TIMER_SLACK: u64 = 1;
/// How often a receiver looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);
/// How long receivers go on behind the last packet.
pub(crate) const DRAIN: Duration = Duration::from_millis(300);

/// An interface with its queues, which get all its IP packets while this exists.
pub(crate) struct Endpoint {
    port: Port,
    steer: Steer,
    hooks: Hooks,
    burst: Vec<Frame>,
}

/// What a sender is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) next_hop: MacAddr,
    pub(crate) space: Space,
    pub(crate) schedule: Schedule,
    pub(crate) trial: u16,
    /// Packets a second; `None`: as many as go.
    pub(crate) rate: Option<f64>,
    pub(crate) time: Duration,
    /// Lengths of frames, in turn.
    pub(crate) lengths: Vec<usize>,
}

impl Plan {
    fn tuple(&self, sequence: u64) -> Tuple {
        self.space.tuple(self.schedule.flow(sequence))
    }

    /// Packets that should have left after so many nanoseconds.
    fn due(&self, elapsed: u64) -> u64 {
        self.rate.map_or(u64::MAX, |rate| (elapsed as f64 * rate / 1e9) as u64 + 1)
    }

    /// Nanoseconds from `elapsed` on until packet `sequence` is due.
    fn gap(&self, sequence: u64, elapsed: u64) -> u64 {
        self.rate.map_or(0, |rate| ((sequence as f64 * 1e9 / rate) as u64).saturating_sub(elapsed))
    }
}

/// When the endpoints of a trial are done: some time after the last of them has sent its last packet.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    sending: AtomicUsize,
    until: AtomicU64,
}

impl Finish {
    /// Of so many senders.
    pub(crate) fn of(senders: usize) -> Self {
        Self { sending: AtomicUsize::new(senders), until: AtomicU64::new(0) }
    }

    fn has_come(&self, now: u64) -> bool {
        self.sending.load(Ordering::Acquire) == 0 && now >= self.until.load(Ordering::Acquire)
    }
}

/// Sleeps of this thread end when they should, until this is dropped. What it starts meanwhile inherits that.
struct ExactSleeps(u64);

impl ExactSleeps {
    fn ask() -> Result<Self> {
        let before = get_timerslack().context("cannot ask how exact sleeps are")?;
        set_timerslack(TIMER_SLACK).context("cannot ask for exact sleeps")?;
        Ok(Self(before.try_into().unwrap_or(0)))
    }
}

impl Drop for ExactSleeps {
    fn drop(&mut self) {
        // 0 is the thread's default.
        if let Err(error) = set_timerslack(self.0) {
            eprintln!("sleeps of this thread stay exact: {error}");
        }
    }
}

/// A sender at work; it counts as done when this is dropped, also by an error.
struct Sending<'a> {
    plan: &'a Plan,
    finish: &'a Finish,
    clock: Clock,
    start: u64,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.finish.until.fetch_max(self.clock.now() + DRAIN.as_nanos() as u64, Ordering::AcqRel);
        self.finish.sending.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a sender did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Packets the kernel took.
    pub(crate) packets: u64,
    /// Their bytes, without check sequences.
    pub(crate) bytes: u64,
    /// How long it took.
    pub(crate) nanoseconds: u64,
}

impl Sent {
    /// Packets a second.
    pub(crate) fn rate(self) -> f64 {
        self.packets as f64 * 1e9 / self.nanoseconds.max(1) as f64
    }
}

impl Endpoint {
    /// Takes the queues of an interface in the network namespace of this thread. The kernel gets no IP packets of
    /// it until the endpoint is dropped, but ARP.
    pub(crate) fn open(interface: &str, queues: u32) -> Result<Self> {
        let taken = || format!("cannot take the packets of {interface}");
        let (mut steer, mut hooks) = Steer::load(interface).with_context(taken)?;
        hooks.attach_xdp(Attach::Auto).with_context(taken)?;
        let options = PortOptions::new(interface, (0..queues).collect());
        let port = Port::open(&options).with_context(|| format!("cannot open rings on {interface}"))?;
        for queue in port.queues() {
            steer.register_socket(queue.id, queue.as_fd())?;
        }
        Ok(Self { port, steer, hooks, burst: Vec::with_capacity(BURST) })
    }

    /// The interface's MAC address.
    pub(crate) fn mac(&self) -> MacAddr {
        MacAddr(self.steer.mac())
    }

    /// AF_XDP and XDP modes, for the record.
    pub(crate) fn modes(&self) -> String {
        let xdp = self.hooks.mode().map_or("none", AttachedMode::name);
        format!("rings {:?}, XDP {xdp}", self.port.mode())
    }

    /// Sends what `plan` says, on the first queue, and receives into `tally`, until all of the trial have sent.
    pub(crate) fn work(
        &mut self,
        plan: Option<&Plan>,
        mut tally: Option<&mut Tally>,
        clock: Clock,
        finish: &Finish,
    ) -> Result<Sent> {
        let _exact = ExactSleeps::ask()?;
        let mut sending = plan.map(|plan| Sending { plan, finish, clock, start: clock.now() });
        let mut sent = Sent::default();
        loop {
            let now = clock.now();
            let mut rest = LOOK;
            if let Some(Sending { plan, start, .. }) = sending {
                let elapsed = now - start;
                if elapsed >= plan.time.as_nanos() as u64 {
                    sent.nanoseconds = elapsed;
                    sending = None;
                    continue;
                }
                let due = plan.due(elapsed).saturating_sub(sent.packets).min(BURST as u64);
                if due > 0 {
                    self.send_burst(due, plan, now, &mut sent)?;
                }
                let elapsed = clock.now() - start;
                let left = (plan.time.as_nanos() as u64).saturating_sub(elapsed);
                rest = match plan.gap(sent.packets, elapsed) {
                    0 => Duration::ZERO,
                    gap => Duration::from_nanos(gap.max(SHORTEST_SLEEP).min(left)),
                };
            } else if tally.is_none() || finish.has_come(now) {
                return Ok(sent);
            }
            let received = tally.as_mut().map_or(0, |tally| self.receive(tally, clock));
            if received == 0 && !rest.is_zero() {
                self.wait(tally.is_some(), rest)?;
            }
        }
    }

    fn send_burst(&mut self, count: u64, plan: &Plan, now: u64, sent: &mut Sent) -> Result<()> {
        let macs = [self.mac(), plan.next_hop];
        for _ in 0..count {
            let Some(mut frame) = self.port.allocate() else { break };
            let len = plan.lengths[(sent.packets % plan.lengths.len() as u64) as usize];
            self.port.resize(&mut frame, len).context("the frame is too long for the rings")?;
            let stamp = Stamp { trial: plan.trial, sequence: sent.packets, sent: now };
            frame::write(self.port.packet_mut(&mut frame), macs, &plan.tuple(sent.packets), stamp);
            if let Err(rejected) = self.port.transmit(0, frame) {
                self.port.recycle(rejected.frame);
                break;
            }
            sent.packets += 1;
            sent.bytes += len as u64;
        }
        self.port.flush().context("cannot send")?;
        Ok(())
    }

    /// Takes in a burst of every queue; how many packets came.
    fn receive(&mut self, tally: &mut Tally, clock: Clock) -> usize {
        let (mut count, queues) = (0, self.port.queues().len());
        for queue in 0..queues {
            let mut burst = std::mem::take(&mut self.burst);
            count += self.port.receive(queue, &mut burst);
            let now = clock.now();
            for frame in burst.drain(..) {
                tally.take(frame::read(self.port.packet(&frame)), now);
                self.port.recycle(frame);
            }
            self.burst = burst;
        }
        count
    }

    /// Sleeps, for packets if it is to receive any.
    fn wait(&self, receives: bool, time: Duration) -> Result<()> {
        let sockets: Vec<_> = self.port.queues().take_while(|_| receives).collect();
        let mut waited: Vec<_> =
            sockets.iter().map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut waited, Some(TimeSpec::from_duration(time)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for packets"),
        }
    }

    /// Frames that came and that the steering program dropped, by its reasons, so far.
    pub(crate) fn dropped(&self) -> Result<Vec<(&'static str, u64)>> {
        let counters = self.steer.counters()?;
        let dropped = counters.iter().filter(|(fate, frames)| fate.kind() == Kind::Drop && *frames > 0);
        Ok(dropped.map(|(fate, frames)| (fate.name(), frames)).collect())
    }

    /// Packets that came and found the sink's rings full, so far.
    pub(crate) fn overrun(&self) -> Result<u64> {
        let statistics = self.port.statistics().context("cannot read what the rings had no room for")?;
        Ok(statistics.iter().map(|queue| queue.rx_ring_full + queue.rx_dropped).sum())
    }
}
