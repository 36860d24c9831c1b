//! An interface that packets are sent from or received on.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use gridway_steer::{Attach, Steer, SteerOptions};
use gridway_wire::mac::MacAddr;
use gridway_xsk::{BURST, Frame, Port, PortOptions};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::frame::{self, Route};
use super::pattern;
use super::stamp::{Clock, Stamp};
use super::tally::Tally;

/// A gap to the next packet that is worth a sleep: shorter ones are waited for in a loop.
const WORTH_A_SLEEP: u64 = 100_000;
/// How long before its time a sleep ends.
const EARLY: u64 = 60_000;
/// How often a receiver looks whether it is to end, in milliseconds.
const LOOK: u8 = 20;

/// An interface with its queues, which get all its IP packets while this exists.
pub(crate) struct Endpoint {
    port: Port,
    steer: Steer,
    burst: Vec<Frame>,
}

/// What a sender is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) route: Route,
    pub(crate) trial: u16,
    /// Packets a second; `None`: as many as go.
    pub(crate) rate: Option<f64>,
    pub(crate) time: Duration,
    pub(crate) flows: u32,
    /// Lengths of frames, in turn.
    pub(crate) lengths: Vec<usize>,
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
        let options = SteerOptions { interface, attach: Attach::Auto };
        let mut steer =
            Steer::attach(&options).with_context(|| format!("cannot take the packets of {interface}"))?;
        let options = PortOptions::new(interface, (0..queues).collect());
        let port = Port::open(&options).with_context(|| format!("cannot open rings on {interface}"))?;
        for queue in port.queues() {
            steer.register_socket(queue.id, queue.as_fd())?;
        }
        Ok(Self { port, steer, burst: Vec::with_capacity(BURST) })
    }

    /// The interface's MAC address.
    pub(crate) fn mac(&self) -> MacAddr {
        MacAddr(self.steer.mac())
    }

    /// AF_XDP and XDP modes, for the record.
    pub(crate) fn modes(&self) -> String {
        format!("rings {:?}, XDP {:?}", self.port.mode(), self.steer.mode())
    }

    /// Sends what `plan` says, on the first queue.
    pub(crate) fn send(&mut self, plan: &Plan, clock: Clock) -> Result<Sent> {
        let (start, time) = (clock.now(), plan.time.as_nanos() as u64);
        let mut sent = Sent::default();
        loop {
            let now = clock.now();
            let elapsed = now - start;
            if elapsed >= time {
                sent.nanoseconds = elapsed;
                break;
            }
            let due = match plan.rate {
                Some(rate) => (elapsed as f64 * rate / 1e9) as u64 + 1,
                None => u64::MAX,
            };
            match (due.saturating_sub(sent.packets), plan.rate) {
                (0, Some(rate)) => {
                    let next = (sent.packets as f64 * 1e9 / rate) as u64;
                    let gap = next.saturating_sub(elapsed);
                    if gap > WORTH_A_SLEEP {
                        std::thread::sleep(Duration::from_nanos(gap - EARLY));
                    } else {
                        std::hint::spin_loop();
                    }
                }
                (due, _) => self.send_burst(due.min(BURST as u64), plan, now, &mut sent)?,
            }
        }
        Ok(sent)
    }

    fn send_burst(&mut self, count: u64, plan: &Plan, now: u64, sent: &mut Sent) -> Result<()> {
        for _ in 0..count {
            let Some(mut frame) = self.port.allocate() else { break };
            let len = plan.lengths[(sent.packets % plan.lengths.len() as u64) as usize];
            self.port.resize(&mut frame, len).context("the frame is too long for the rings")?;
            let stamp = Stamp { trial: plan.trial, sequence: sent.packets, sent: now };
            let ports = pattern::ports((sent.packets % u64::from(plan.flows)) as u32);
            frame::write(self.port.packet_mut(&mut frame), &plan.route, ports, stamp);
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

    /// Receives into `tally` until `ended` says so.
    pub(crate) fn receive(
        &mut self,
        tally: &mut Tally,
        clock: Clock,
        ended: impl Fn() -> bool,
    ) -> Result<()> {
        let queues = self.port.queues().len();
        while !ended() {
            let mut count = 0;
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
            if count == 0 {
                let sockets: Vec<_> = self.port.queues().collect();
                let mut waited: Vec<_> =
                    sockets.iter().map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN)).collect();
                match poll(&mut waited, PollTimeout::from(LOOK)) {
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => return Err(error).context("cannot wait for packets"),
                }
            }
        }
        Ok(())
    }

    /// Packets that came and found the sink's rings full, so far.
    pub(crate) fn overrun(&self) -> u64 {
        let statistics = self.port.statistics().unwrap_or_default();
        statistics.iter().map(|queue| queue.rx_ring_full + queue.rx_dropped).sum()
    }
}
