//! The data role of a worker: its queues of the data NIC, and the packets that pass through them.

mod answers;
mod delivery;
mod emissions;
mod eye;
mod trains;

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use gridway_forwarding::flow::Side;
use gridway_forwarding::next_hop::NextHops;
use gridway_forwarding::policy::Policy;
use gridway_forwarding::throttle::Throttle;
use gridway_forwarding::{
    Counters, Direction, DropReason, Expectations, Expected, Forwarder, Inbound, Origin, Outbound, VnetId,
};
use gridway_tunnel::Source;
use gridway_tunnel::aqm::CoDel;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use gridway_wire::frame::{self, FrameMut, FrameReader, FrameReaderMut, PacketsFrameMut};
use gridway_wire::mac::MacAddr;
use gridway_wire::time::Nanos;
use gridway_xsk::{BURST, Frame, Port, QueueStatistics};

use self::answers::is_neighbour_solicitation;
use self::eye::{Eye, Fate};
use self::trains::Trains;
use super::DataSockets;
use super::lanes::{Lanes, Outbox, Packet, mark};
use crate::held::Held;
use crate::link::Link;
use crate::node::Node;

/// Bursts of a queue in a turn at most: what came first waits for the last.
const BURSTS: usize = 8;
/// Records that are full from which on a turn takes no more bursts: there is enough to write.
const FULL_RECORDS: usize = 4;
/// Connections with a record under way from which on a turn takes no more bursts. Each costs a write and holds a buffer,
/// and a turn has to be short against what is measured in turns: how long records wait, and the order of sparse flows.
const OPEN_RECORDS: usize = 128;

/// Frames under way from which on they are flushed between two records: a ring has room for those of another one, 750 of
/// the smallest packets.
const CROWDED: u32 = 1024;

/// Queues, frames and packets.
pub(crate) struct DataRole {
    node: Arc<Node>,
    worker: usize,
    port: Port,
    mac: MacAddr,
    queues: usize,
    forwarder: Forwarder,
    counters: Arc<Counters>,
    policy: Cache<Arc<ArcSwap<Policy>>, Arc<Policy>>,
    next_hops: Cache<Arc<ArcSwap<NextHops>>, Arc<NextHops>>,
    hops_seen: Arc<NextHops>,
    lanes: Lanes,
    held: Held,
    /// Segments that leave together, where that is of use.
    trains: Option<Trains>,
    /// Somebody watches the packet at hand.
    watched: bool,
    /// The kernel has not taken all frames of the last turn.
    backlog: bool,
    burst: Vec<Frame>,
    /// What is known of the packets at hand.
    learnt: Expectations,
    eye: Eye,
    /// Laws of the node's rate limits: egress, ingress.
    throttled: [CoDel; 2],
}

impl DataRole {
    pub(crate) fn new(node: Arc<Node>, worker: usize, sockets: DataSockets) -> Self {
        let DataSockets { port, segments } = sockets;
        let counters = node.workers[worker].counters.clone();
        let queues = port.queues().len();
        let mut policy = Cache::new(node.policy.clone());
        let mut next_hops = Cache::new(node.next_hops.clone());
        let hops_seen = next_hops.load().clone();
        let forwarder = Forwarder::new(
            policy.load().clone(),
            hops_seen.clone(),
            node.shared(),
            counters.clone(),
            node.data_mtu(),
            rand::random(),
        );
        Self {
            worker,
            mac: MacAddr(node.data.as_ref().map_or([0; 6], |data| data.mac)),
            queues,
            port,
            forwarder,
            counters,
            policy,
            hops_seen,
            next_hops,
            lanes: Lanes::new(node.clone()),
            held: Held::new(node.config.load().limits.held_packets as usize),
            trains: segments.map(|(socket, limits)| Trains::new(socket, limits)),
            watched: false,
            backlog: false,
            burst: Vec::with_capacity(BURST),
            learnt: Expectations::default(),
            eye: Eye::new(worker),
            throttled: Default::default(),
            node,
        }
    }

    /// Sockets whose readiness wakes the worker.
    pub(crate) fn sockets(&self) -> Vec<RawFd> {
        self.port.queues().map(|queue| queue.as_fd().as_raw_fd()).collect()
    }

    /// Takes in what changed since the last turn, and sends packets whose neighbour is known now.
    pub(crate) fn begin_turn(&mut self) {
        self.forwarder.begin_turn(|| self.policy.load());
        self.eye.begin_turn(&self.node.watch);
        let hops = self.next_hops.load();
        if !Arc::ptr_eq(hops, &self.hops_seen) {
            self.hops_seen = hops.clone();
            self.forwarder.set_next_hops(hops.clone());
            self.send_resolved();
        }
    }

    /// Whether the kernel's view of the data link has changed since the last turn.
    pub(crate) fn has_news(&self) -> bool {
        !Arc::ptr_eq(&self.node.next_hops.load(), &self.hops_seen)
    }

    /// Receives a burst from every queue, and more of them while a whole one waits and it is worth it: what is received
    /// together shares records, and the calls that write them. Returns how many frames came.
    pub(crate) fn receive(&mut self, now: Nanos, outbox: &mut Outbox) -> usize {
        let mut total = 0;
        for _ in 0..BURSTS {
            let mut more = false;
            for queue in 0..self.queues {
                let count = self.receive_burst(queue, now, outbox);
                total += count;
                more |= count == BURST;
            }
            if !more || outbox.len() >= FULL_RECORDS || self.lanes.open() >= OPEN_RECORDS {
                break;
            }
        }
        total
    }

    fn receive_burst(&mut self, queue: usize, now: Nanos, outbox: &mut Outbox) -> usize {
        let mut burst = std::mem::take(&mut self.burst);
        let count = self.port.receive(queue, &mut burst);
        self.counters.outbound.received.add(count as u64);
        let mut learnt = std::mem::take(&mut self.learnt);
        let packet = |frame| self.port.packet(frame).get(ETHERNET_HEADER_LEN..).unwrap_or_default();
        self.forwarder.expect_outbound(burst.iter().map(packet), &mut learnt);
        for (number, frame) in burst.drain(..).enumerate() {
            self.outbound(queue, frame, learnt.of(number), now, outbox);
        }
        (self.burst, self.learnt) = (burst, learnt);
        count
    }

    /// Closes the records of this turn.
    pub(crate) fn close_records(&mut self, now: Nanos, outbox: &mut Outbox) {
        self.lanes.close_all(now, outbox);
    }

    /// One frame from a local host.
    fn outbound(
        &mut self,
        queue: usize,
        frame: Frame,
        expected: Option<&Expected>,
        now: Nanos,
        outbox: &mut Outbox,
    ) {
        let bytes = self.port.packet(&frame);
        let verdict = match Ethernet::parse(bytes).map(|ethernet| ethernet.ether_type) {
            Ok(ether_type::ARP) => self.answer_arp(queue, frame),
            Ok(ether_type::IPV6) if is_neighbour_solicitation(&bytes[ETHERNET_HEADER_LEN..]) => {
                self.answer_solicitation(queue, frame)
            }
            Ok(_) => self.forward(queue, frame, expected, now, outbox),
            Err(malformed) => {
                self.port.recycle(frame);
                Err(malformed.into())
            }
        };
        if let Err(reason) = verdict {
            self.counters.outbound.drop(reason, 1);
        }
    }

    fn forward(
        &mut self,
        queue: usize,
        mut frame: Frame,
        expected: Option<&Expected>,
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let bytes = self.port.packet_mut(&mut frame);
        let (header, packet) = bytes.split_at_mut(ETHERNET_HEADER_LEN);
        self.counters.outbound.received_bytes.add(packet.len() as u64);
        let look = self.eye.look(Side::Local, None, packet, &mut self.forwarder);
        let verdict = match look {
            None => self.forwarder.outbound_expected(packet, expected, now),
            Some(_) => self.forwarder.outbound_at_length(packet, now),
        };
        let seen = look.map(|look| (look, packet[..verdict.sent_len()].to_vec()));
        let result = match verdict {
            Outbound::Tunnel { to, len } => {
                let law = &mut self.throttled[0];
                throttle(&self.node.egress, law, &mut packet[..len], &self.counters.outbound, now).and_then(
                    |()| {
                        let packet =
                            Packet { vnet: to.vnet, bytes: &mut packet[..len], source: Source::Local };
                        let at = (self.forwarder.epoch(), now);
                        self.lanes.push(to.peer, to.spread, packet, at, &self.counters, outbox)
                    },
                )
            }
            Outbound::Answer { .. } | Outbound::Held => Ok(()),
            Outbound::Drop(reason) => Err(reason),
        };
        if let Some((look, bytes)) = seen {
            let fate = Fate::outbound(verdict, result, bytes);
            self.eye.show(&look, &fate, &mut self.forwarder, now);
        }
        if let Outbound::Answer { len, .. } = verdict {
            return self.answer_host(queue, frame, len);
        }
        match result {
            Ok(()) => self.counters.outbound.queued.add(1),
            Err(_) => self.forwarder.emissions.discard_pieces(),
        }
        if !self.forwarder.emissions.is_empty() {
            let sender = Ethernet::parse(header).map_or(self.mac, |ethernet| ethernet.source);
            self.send_emissions(Some(sender), now, outbox);
        }
        self.port.recycle(frame);
        result
    }

    /// The packets of an opened record.
    pub(crate) fn inbound(
        &mut self,
        link: &Arc<Link>,
        plaintext: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) {
        // The tunnel worker has read these frames: an error was the end of the connection there.
        for frame in FrameReaderMut::new(plaintext).map_while(Result::ok) {
            if let FrameMut::Packets(packets) = frame {
                self.inbound_packets(link, packets, now, outbox);
            }
        }
        // One read can hold more packets than the transmit ring.
        if self.port.transmitting() >= CROWDED {
            self.flush(now);
        }
    }

    fn inbound_packets(
        &mut self,
        link: &Arc<Link>,
        packets: PacketsFrameMut<'_>,
        now: Nanos,
        outbox: &mut Outbox,
    ) {
        let counters = self.counters.clone();
        let counters = &counters.inbound;
        counters.received.add(packets.len() as u64);
        let Some(vnet) = link.vnet(packets.vnet) else {
            counters.drop(DropReason::UnknownVnet, packets.len() as u64);
            return;
        };
        let mut learnt = std::mem::take(&mut self.learnt);
        self.forwarder.expect_inbound(vnet, packets.iter(), &mut learnt);
        for (number, packet) in packets.into_iter().enumerate() {
            counters.received_bytes.add(packet.len() as u64);
            let result = self.inbound_packet(link, vnet, packet, learnt.of(number), now, outbox);
            if let Err(reason) = result {
                self.forwarder.emissions.discard_pieces();
                counters.drop(reason, 1);
            }
            if !self.forwarder.emissions.is_empty() {
                self.send_emissions(None, now, outbox);
            }
        }
        self.learnt = learnt;
    }

    fn inbound_packet(
        &mut self,
        link: &Link,
        vnet: VnetId,
        packet: &mut [u8],
        expected: Option<&Expected>,
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let by = Some((link.peer, vnet));
        let look = self.eye.look(Side::Overlay, by, packet, &mut self.forwarder);
        let law = &mut self.throttled[1];
        let verdict = match throttle(&self.node.ingress, law, packet, &self.counters.inbound, now) {
            Ok(()) if look.is_none() => {
                self.forwarder.inbound_expected(link.peer, vnet, packet, expected, now)
            }
            Ok(()) => self.forwarder.inbound_at_length(link.peer, vnet, packet, now),
            Err(reason) => Inbound::Drop(reason),
        };
        let seen = look.map(|look| (look, packet[..verdict.sent_len()].to_vec()));
        self.watched = seen.is_some();
        let result = self.carry_out(verdict, link, vnet, packet, now, outbox);
        self.watched = false;
        if let Some((look, bytes)) = seen {
            let fate = Fate::inbound(verdict, result, bytes);
            self.eye.show(&look, &fate, &mut self.forwarder, now);
        }
        result
    }

    fn carry_out(
        &mut self,
        verdict: Inbound,
        link: &Link,
        vnet: VnetId,
        packet: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        match verdict {
            Inbound::Deliver { destination, len } => {
                self.deliver(destination, &mut packet[..len], false, now, outbox)
            }
            Inbound::Relay { to, len } => {
                self.emit_to_peer(to, Origin::Inbound, &mut packet[..len], now, outbox)
            }
            Inbound::Answer { len } => {
                let packet = Packet { vnet, bytes: &mut packet[..len], source: Source::Own };
                let at = (self.forwarder.epoch(), now);
                self.lanes.push(link.peer, 0, packet, at, &self.counters, outbox)?;
                self.counters.inbound.answered.add(1);
                Ok(())
            }
            Inbound::Consumed => {
                self.counters.inbound.consumed.add(1);
                Ok(())
            }
            Inbound::Held => {
                self.counters.inbound.queued.add(1);
                Ok(())
            }
            Inbound::Drop(reason) => Err(reason),
        }
    }

    /// Has the kernel send what was queued. Returns whether packets still wait for it.
    pub(crate) fn flush(&mut self, now: Nanos) -> bool {
        self.depart_all(now);
        let flushed = match self.port.flush() {
            Ok(flushed) => flushed,
            Err(error) => {
                tracing::debug!(%error, "transmit failed");
                return false;
            }
        };
        self.backlog = flushed.unsent > 0;
        self.backlog && !flushed.interface_down
    }

    /// What need not be done in every turn: time-outs, tidying, publishing.
    pub(crate) fn tick(&mut self, now: Nanos, outbox: &mut Outbox) {
        self.give_up_held(now, now);
        self.send_emissions(None, now, outbox);
        // Answers to the overlay, of this turn and of the lines above.
        self.lanes.close_all(now, outbox);
        self.lanes.tidy();
        let published = &self.node.workers[self.worker].port;
        if let Ok(statistics) = self.port.statistics() {
            let sum = |field: fn(&QueueStatistics) -> u64| statistics.iter().map(field).sum();
            published.ring_full.store(sum(|queue| queue.rx_ring_full), Ordering::Relaxed);
            published.no_frame.store(sum(|queue| queue.rx_dropped), Ordering::Relaxed);
        }
        let accounting = self.port.accounting();
        let adrift = accounting.held.abs_diff(self.held.len()) + accounting.leaked;
        debug_assert!(accounting.balances(), "{accounting:?}");
        published.held.store(self.held.len() as u64, Ordering::Relaxed);
        published.leaked.store(adrift as u64, Ordering::Relaxed);
    }

    /// Gives held packets up, so that all frames are home when the worker ends.
    pub(crate) fn finish(&mut self, now: Nanos) {
        self.give_up_held(Nanos(u64::MAX), now);
    }
}

/// Holds a packet to the node's rate limit: it passes, perhaps with an ECN mark (RFC 3168), or is dropped.
fn throttle(
    limit: &Throttle,
    law: &mut CoDel,
    packet: &mut [u8],
    books: &Direction,
    now: Nanos,
) -> Result<(), DropReason> {
    if !limit.is_limited() {
        return Ok(());
    }
    let excess = limit.join(packet.len(), now).ok_or(DropReason::Throttled)?;
    if law.signal(excess, now) && mark(packet) {
        books.ecn_marked.add(1);
    }
    Ok(())
}

/// Packets in the frames of a record.
pub(crate) fn count_packets(frames: &[u8]) -> u64 {
    let packets = |frame| match frame {
        frame::Frame::Packets(packets) => packets.len() as u64,
        _ => 0,
    };
    FrameReader::new(frames).map_while(Result::ok).map(packets).sum()
}
