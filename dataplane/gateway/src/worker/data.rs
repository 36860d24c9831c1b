//! The data role of a worker: its queues of the data NIC, and the packets that pass through them.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use gridway_forwarding::next_hop::{NextHop, NextHops};
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{Counters, DropReason, Forwarder, Inbound, Outbound};
use gridway_wire::arp::ArpRequest;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use gridway_wire::frame::{self, FrameMut, FrameReader, FrameReaderMut, PacketsFrameMut};
use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::mac::MacAddr;
use gridway_wire::ndp::NeighbourSolicitation;
use gridway_wire::packet::{IPV6_HEADER_LEN, parse};
use gridway_wire::time::Nanos;
use gridway_xsk::{BURST, Frame, Port, QueueStatistics, RejectReason};

use super::lanes::{Lanes, Outbox, Packet};
use crate::held::Held;
use crate::link::Link;
use crate::node::Node;

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
    burst: Vec<Frame>,
}

impl DataRole {
    pub(crate) fn new(node: Arc<Node>, worker: usize, port: Port) -> Self {
        let counters = node.workers[worker].counters.clone();
        let queues = port.queues().len();
        let mut policy = Cache::new(node.policy.clone());
        let mut next_hops = Cache::new(node.next_hops.clone());
        let (flows, peers) = (node.flows.clone(), node.peers.clone());
        let forwarder =
            Forwarder::new(policy.load().clone(), flows, peers, counters.clone(), node.data_mtu());
        Self {
            worker,
            mac: MacAddr(node.data.as_ref().map_or([0; 6], |data| data.mac)),
            queues,
            port,
            forwarder,
            counters,
            policy,
            hops_seen: next_hops.load().clone(),
            next_hops,
            lanes: Lanes::new(node.clone()),
            held: Held::new(node.config.load().limits.held_packets as usize),
            burst: Vec::with_capacity(BURST),
            node,
        }
    }

    /// Sockets whose readiness wakes the worker.
    pub(crate) fn sockets(&self) -> Vec<RawFd> {
        self.port.queues().map(|queue| queue.as_fd().as_raw_fd()).collect()
    }

    /// Takes in what changed since the last burst, and sends packets whose neighbour is known now.
    pub(crate) fn begin_burst(&mut self) {
        self.forwarder.begin_burst(|| self.policy.load());
        let hops = self.next_hops.load();
        if !Arc::ptr_eq(hops, &self.hops_seen) {
            self.hops_seen = hops.clone();
            self.send_resolved();
        }
    }

    /// Whether the kernel's view of the data link has changed since the last burst.
    pub(crate) fn has_news(&self) -> bool {
        !Arc::ptr_eq(&self.node.next_hops.load(), &self.hops_seen)
    }

    /// Receives a burst from every queue. Returns how many frames came.
    pub(crate) fn receive(&mut self, now: Nanos, outbox: &mut Outbox) -> usize {
        let mut total = 0;
        for queue in 0..self.queues {
            let mut burst = std::mem::take(&mut self.burst);
            let count = self.port.receive(queue, &mut burst);
            self.counters.outbound.received.add(count as u64);
            for frame in burst.drain(..) {
                self.outbound(queue, frame, now, outbox);
            }
            self.burst = burst;
            total += count;
        }
        total
    }

    /// Closes the records of this burst.
    pub(crate) fn close_records(&mut self, now: Nanos, outbox: &mut Outbox) {
        self.lanes.close_all(now, outbox);
    }

    /// One frame from a local host.
    fn outbound(&mut self, queue: usize, mut frame: Frame, now: Nanos, outbox: &mut Outbox) {
        let bytes = self.port.packet(&frame);
        let verdict = match Ethernet::parse(bytes).map(|ethernet| ethernet.ether_type) {
            Ok(ether_type::ARP) => self.answer_arp(queue, frame),
            Ok(ether_type::IPV6) if is_neighbour_solicitation(&bytes[ETHERNET_HEADER_LEN..]) => {
                self.answer_solicitation(queue, frame)
            }
            Ok(_) => {
                let verdict = self.forward(&mut frame, now, outbox);
                self.port.recycle(frame);
                verdict
            }
            Err(malformed) => {
                self.port.recycle(frame);
                Err(malformed.into())
            }
        };
        if let Err(reason) = verdict {
            self.counters.outbound.drop(reason, 1);
        }
    }

    fn forward(&mut self, frame: &mut Frame, now: Nanos, outbox: &mut Outbox) -> Result<(), DropReason> {
        let Self { port, forwarder, lanes, counters, .. } = self;
        let packet = &mut port.packet_mut(frame)[ETHERNET_HEADER_LEN..];
        counters.outbound.received_bytes.add(packet.len() as u64);
        match forwarder.outbound(packet, now) {
            Outbound::Tunnel { peer, vnet, spread, len } => {
                let packet = Packet { vnet, bytes: &mut packet[..len], own: false };
                lanes.push(peer, spread, packet, (forwarder.epoch(), now), counters, outbox)?;
                counters.outbound.queued.add(1);
                Ok(())
            }
            Outbound::Drop(reason) => Err(reason),
        }
    }

    fn answer_arp(&mut self, queue: usize, mut frame: Frame) -> Result<(), DropReason> {
        let mac = self.mac;
        let bytes = self.port.packet_mut(&mut frame);
        let answered = ArpRequest::parse(bytes).map_err(DropReason::from).and_then(|request| {
            let proxied = self.forwarder.policy().is_proxied(request.target_ip.into());
            if request.is_probe() || request.is_gratuitous() || !proxied {
                return Err(DropReason::NotAnswered);
            }
            request.answer_in_place(bytes, mac).map_err(DropReason::from)
        });
        self.send_answer(queue, frame, answered)
    }

    fn answer_solicitation(&mut self, queue: usize, mut frame: Frame) -> Result<(), DropReason> {
        let mac = self.mac;
        let parsed = NeighbourSolicitation::parse(self.port.packet(&frame)).map_err(DropReason::from);
        let answered = parsed.and_then(|solicitation| {
            let proxied = self.forwarder.policy().is_proxied(solicitation.target.into());
            if solicitation.is_probe() || !proxied {
                return Err(DropReason::NotAnswered);
            }
            let buffer = self.port.buffer_mut(&mut frame);
            let len = solicitation.answer_in_place(buffer, mac).map_err(DropReason::from)?;
            self.port.resize(&mut frame, len).map_err(|_| DropReason::TooBig)
        });
        self.send_answer(queue, frame, answered)
    }

    fn send_answer(
        &mut self,
        queue: usize,
        frame: Frame,
        answered: Result<(), DropReason>,
    ) -> Result<(), DropReason> {
        if let Err(reason) = answered {
            self.port.recycle(frame);
            return Err(reason);
        }
        self.transmit(queue, frame)?;
        self.counters.outbound.answered.add(1);
        Ok(())
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
        for packet in packets {
            counters.received_bytes.add(packet.len() as u64);
            let result = match self.forwarder.inbound(link.peer, vnet, packet, now) {
                Inbound::Deliver { destination, len } => {
                    self.deliver(link, destination, &mut packet[..len], now, outbox)
                }
                Inbound::Answer { len } => {
                    let packet = Packet { vnet, bytes: &mut packet[..len], own: true };
                    let at = (self.forwarder.epoch(), now);
                    let pushed = self.lanes.push(link.peer, 0, packet, at, &self.counters, outbox);
                    pushed.inspect(|()| counters.answered.add(1))
                }
                Inbound::Drop(reason) => Err(reason),
            };
            if let Err(reason) = result {
                counters.drop(reason, 1);
            }
        }
    }

    /// Sends a packet to a local host.
    fn deliver(
        &mut self,
        link: &Link,
        destination: IpAddr,
        packet: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        match self.hops_seen.resolve(destination) {
            NextHop::Mac(mac) => {
                let frame = self.frame_for(mac, packet)?;
                self.transmit(0, frame)?;
                self.counters.inbound.forwarded.add(1);
                self.counters.inbound.forwarded_bytes.add(packet.len() as u64);
                Ok(())
            }
            NextHop::Unresolved(neighbour) => {
                if let Some(resolver) = &self.node.resolver {
                    resolver.resolve(neighbour);
                }
                let frame = self.frame_for(MacAddr([0; 6]), packet)?;
                match self.held.hold(neighbour, frame, now) {
                    Ok(()) => {
                        self.counters.inbound.queued.add(1);
                        Ok(())
                    }
                    Err(frame) => {
                        self.port.recycle(frame);
                        Err(DropReason::HeldFull)
                    }
                }
            }
            NextHop::Own => self.answer_for_kernel(link, packet, now, outbox),
            NextHop::NoRoute => Err(DropReason::NoLocalRoute),
        }
    }

    /// A packet for the node's own data address: AF_XDP cannot hand it to the kernel, so echo is
    /// answered here, as if a local host had, and nothing else is.
    fn answer_for_kernel(
        &mut self,
        link: &Link,
        packet: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let parsed = parse(packet)?;
        if !echo_reply_in_place(packet, &parsed) {
            return Err(DropReason::ToOwnAddress);
        }
        let (vnet, len) = match self.forwarder.outbound(packet, now) {
            Outbound::Tunnel { vnet, len, .. } => (vnet, len),
            Outbound::Drop(reason) => return Err(reason),
        };
        let reply = Packet { vnet, bytes: &mut packet[..len], own: true };
        let at = (self.forwarder.epoch(), now);
        self.lanes.push(link.peer, 0, reply, at, &self.counters, outbox)?;
        self.counters.inbound.answered.add(1);
        Ok(())
    }

    /// A frame with `packet` behind an Ethernet header to `destination`.
    fn frame_for(&mut self, destination: MacAddr, packet: &[u8]) -> Result<Frame, DropReason> {
        let mut frame = self.port.allocate().ok_or(DropReason::NoFrame)?;
        let len = ETHERNET_HEADER_LEN + packet.len();
        if self.port.resize(&mut frame, len).is_err() {
            self.port.recycle(frame);
            return Err(DropReason::TooBig);
        }
        let ether_type = if packet[0] >> 4 == 6 { ether_type::IPV6 } else { ether_type::IPV4 };
        let bytes = self.port.packet_mut(&mut frame);
        let header = Ethernet { destination, source: self.mac, ether_type };
        header.write(bytes).expect("the frame was sized for the header");
        bytes[ETHERNET_HEADER_LEN..].copy_from_slice(packet);
        Ok(frame)
    }

    fn transmit(&mut self, queue: usize, frame: Frame) -> Result<(), DropReason> {
        self.port.transmit(queue, frame).map_err(|rejected| {
            debug_assert_eq!(rejected.reason, RejectReason::RingFull, "frames are this port's own");
            self.port.recycle(rejected.frame);
            DropReason::TxFull
        })
    }

    /// Sends held packets whose neighbour has become known.
    fn send_resolved(&mut self) {
        let (hops, mut ready) = (self.hops_seen.clone(), Vec::new());
        self.held
            .take_resolved(|neighbour| hops.neighbour(neighbour), |mac, frame| ready.push((*mac, frame)));
        let counters = self.counters.clone();
        for (mac, mut frame) in ready {
            let packet_len = (frame.len() - ETHERNET_HEADER_LEN) as u64;
            self.port.packet_mut(&mut frame)[..6].copy_from_slice(&mac.0);
            counters.inbound.dequeued.add(1);
            match self.transmit(0, frame) {
                Ok(()) => {
                    counters.inbound.forwarded.add(1);
                    counters.inbound.forwarded_bytes.add(packet_len);
                }
                Err(reason) => counters.inbound.drop(reason, 1),
            }
        }
    }

    /// Has the kernel send what was queued. Returns whether packets still wait for it.
    pub(crate) fn flush(&mut self) -> bool {
        match self.port.flush() {
            Ok(flushed) => flushed.unsent > 0 && !flushed.interface_down,
            Err(error) => {
                tracing::debug!(%error, "transmit failed");
                false
            }
        }
    }

    /// What need not be done with every burst: time-outs, tidying, publishing.
    pub(crate) fn tick(&mut self, now: Nanos) {
        let mut expired = 0;
        let port = &mut self.port;
        self.held.take_expired(now, |frame| {
            port.recycle(frame);
            expired += 1;
        });
        self.counters.inbound.dequeued.add(expired);
        self.counters.inbound.drop(DropReason::NeighbourFailed, expired);
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
        published.leaked.store(adrift as u64, Ordering::Relaxed);
    }

    /// Gives held packets up, so that all frames are home when the worker ends.
    pub(crate) fn finish(&mut self) {
        let end_of_time = Nanos(u64::MAX);
        let mut given_up = 0;
        let port = &mut self.port;
        self.held.take_expired(end_of_time, |frame| {
            port.recycle(frame);
            given_up += 1;
        });
        self.counters.inbound.dequeued.add(given_up);
        self.counters.inbound.drop(DropReason::NeighbourFailed, given_up);
    }
}

/// An IPv6 packet that asks for a link-layer address (RFC 4861, 4.3); the steering program sends only
/// those here that ask for a proxied one.
fn is_neighbour_solicitation(packet: &[u8]) -> bool {
    const NEXT_HEADER: usize = 6;
    const HOP_LIMIT: usize = 7;
    const ICMPV6: u8 = 58;
    const SOLICITATION: u8 = 135;
    packet.get(NEXT_HEADER) == Some(&ICMPV6)
        && packet.get(HOP_LIMIT) == Some(&255)
        && packet.get(IPV6_HEADER_LEN) == Some(&SOLICITATION)
}

/// Packets in the frames of a record.
pub(crate) fn count_packets(frames: &[u8]) -> u64 {
    let packets = |frame| match frame {
        frame::Frame::Packets(packets) => packets.len() as u64,
        _ => 0,
    };
    FrameReader::new(frames).map_while(Result::ok).map(packets).sum()
}
