//! Packets on their way to local hosts: next hop, neighbour, frame, transmit ring.

use std::net::IpAddr;

use gridway_forwarding::next_hop::NextHop;
use gridway_forwarding::{DropReason, Outbound};
use gridway_tunnel::Source;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::mac::MacAddr;
use gridway_wire::packet::parse;
use gridway_wire::time::Nanos;
use gridway_xsk::{Frame, RejectReason};

use super::DataRole;
use crate::held::HeldFrame;
use crate::worker::lanes::{Outbox, Packet};

impl DataRole {
    /// Sends a packet to a local host. One of the node's `own` stands in no books.
    pub(super) fn deliver(
        &mut self,
        destination: IpAddr,
        packet: &mut [u8],
        own: bool,
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        match self.hops_seen.resolve(destination) {
            NextHop::Mac(mac) => self.send_to(mac, packet, own, now),
            NextHop::Unresolved(neighbour) => {
                if let Some(resolver) = &self.node.resolver {
                    resolver.resolve(neighbour);
                }
                let frame = self.frame_for(MacAddr([0; 6]), packet)?;
                match self.held.hold(neighbour, frame, own, now) {
                    Ok(()) => {
                        self.counters.inbound.queued.add(u64::from(!own));
                        Ok(())
                    }
                    Err(frame) => {
                        self.port.recycle(frame);
                        Err(DropReason::HeldFull)
                    }
                }
            }
            NextHop::Own => self.answer_for_kernel(packet, now, outbox),
            NextHop::NoRoute => {
                self.forwarder.undeliverable(packet, now);
                Err(DropReason::NoLocalRoute)
            }
        }
    }

    pub(super) fn count_delivered(&self, len: usize, own: bool) {
        let books = &self.counters.inbound;
        if own {
            books.originated.add(1);
        } else {
            books.forwarded.add(1);
            books.forwarded_bytes.add(len as u64);
        }
    }

    /// A packet for the node's own data address: AF_XDP cannot hand it to the kernel, so echo is
    /// answered here, as if a local host had, and nothing else is.
    pub(super) fn answer_for_kernel(
        &mut self,
        packet: &mut [u8],
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let parsed = parse(packet)?;
        if !echo_reply_in_place(packet, &parsed) {
            self.forwarder.undeliverable(packet, now);
            return Err(DropReason::ToOwnAddress);
        }
        let (to, len) = match self.forwarder.outbound(packet, now) {
            Outbound::Tunnel { to, len } => (to, len),
            Outbound::Drop(reason) => return Err(reason),
            Outbound::Answer { .. } | Outbound::Held => return Err(DropReason::ToOwnAddress),
        };
        let reply = Packet { vnet: to.vnet, bytes: &mut packet[..len], source: Source::Own };
        let at = (self.forwarder.epoch(), now);
        self.lanes.push(to.peer, to.spread, reply, at, &self.counters, outbox)?;
        self.counters.inbound.answered.add(1);
        Ok(())
    }

    /// A frame with `packet` behind an Ethernet header to `destination`.
    pub(super) fn frame_for(&mut self, destination: MacAddr, packet: &[u8]) -> Result<Frame, DropReason> {
        let mut frame = self.port.allocate().ok_or(DropReason::NoFrame)?;
        let len = ETHERNET_HEADER_LEN + packet.len();
        if self.port.resize(&mut frame, len).is_err() {
            self.port.recycle(frame);
            return Err(DropReason::TooBig);
        }
        let bytes = self.port.packet_mut(&mut frame);
        let header = header_for([self.mac, destination], packet);
        header.write(bytes).expect("the frame was sized for the header");
        bytes[ETHERNET_HEADER_LEN..].copy_from_slice(packet);
        Ok(frame)
    }

    /// Puts a frame on the transmit ring; where that is full, what is on it has to leave first.
    pub(super) fn transmit(&mut self, queue: usize, frame: Frame) -> Result<(), DropReason> {
        let Err(rejected) = self.port.transmit(queue, frame) else { return Ok(()) };
        debug_assert_eq!(rejected.reason, RejectReason::RingFull, "frames are this port's own");
        // An error of it is told by the flush at the end of the turn.
        drop(self.port.flush());
        self.port.transmit(queue, rejected.frame).map_err(|rejected| {
            self.port.recycle(rejected.frame);
            DropReason::TxFull
        })
    }

    /// Sends a packet to a neighbour by the first queue's ring.
    pub(super) fn send_by_ring(&mut self, destination: MacAddr, packet: &[u8]) -> Result<(), DropReason> {
        let frame = self.frame_for(destination, packet)?;
        self.transmit(0, frame)
    }

    /// Sends held packets whose neighbour has become known.
    pub(super) fn send_resolved(&mut self) {
        let (hops, mut ready) = (self.hops_seen.clone(), Vec::new());
        self.held.take_resolved(|neighbour| hops.neighbour(neighbour), |mac, held| ready.push((*mac, held)));
        for (mac, HeldFrame { mut frame, own, .. }) in ready {
            let packet_len = frame.len() - ETHERNET_HEADER_LEN;
            self.port.packet_mut(&mut frame)[..6].copy_from_slice(&mac.0);
            self.counters.inbound.dequeued.add(u64::from(!own));
            match self.transmit(0, frame) {
                Ok(()) => self.count_delivered(packet_len, own),
                Err(_) if own => self.counters.inbound.unsent.add(1),
                Err(reason) => self.counters.inbound.drop(reason, 1),
            }
        }
    }

    /// Drops packets whose patience is over at `until`; their senders are told.
    pub(super) fn give_up_held(&mut self, until: Nanos, now: Nanos) {
        let Self { held, port, forwarder, counters, .. } = self;
        held.take_expired(until, |HeldFrame { frame, own, .. }| {
            if own {
                counters.inbound.unsent.add(1);
            } else {
                forwarder.undeliverable(&port.packet(&frame)[ETHERNET_HEADER_LEN..], now);
                counters.inbound.dequeued.add(1);
                counters.inbound.drop(DropReason::NeighbourFailed, 1);
            }
            port.recycle(frame);
        });
    }
}

/// The Ethernet header in front of an IP packet, from the first to the second of two MAC addresses.
pub(super) fn header_for([source, destination]: [MacAddr; 2], packet: &[u8]) -> Ethernet {
    let ether_type = if packet[0] >> 4 == 6 { ether_type::IPV6 } else { ether_type::IPV4 };
    Ethernet { destination, source, ether_type }
}
