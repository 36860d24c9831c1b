//! Frames that the node answers on the data link itself: ARP, neighbour discovery, echo.

use gridway_forwarding::DropReason;
use gridway_wire::arp::ArpRequest;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet};
use gridway_wire::ndp::NeighbourSolicitation;
use gridway_wire::packet::IPV6_HEADER_LEN;
use gridway_xsk::Frame;

use super::DataRole;

impl DataRole {
    /// Sends a frame whose packet was turned into an answer of `len` bytes back to where it came from.
    pub(super) fn answer_host(
        &mut self,
        queue: usize,
        mut frame: Frame,
        len: usize,
    ) -> Result<(), DropReason> {
        let bytes = self.port.packet_mut(&mut frame);
        let answered = Ethernet::parse(bytes).and_then(|ethernet| {
            Ethernet { destination: ethernet.source, source: self.mac, ..ethernet }.write(bytes)
        });
        let resized = self.port.resize(&mut frame, ETHERNET_HEADER_LEN + len);
        let answered = answered.map_err(DropReason::from).and(resized.map_err(|_| DropReason::TooBig));
        self.send_answer(queue, frame, answered)
    }

    pub(super) fn answer_arp(&mut self, queue: usize, mut frame: Frame) -> Result<(), DropReason> {
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

    pub(super) fn answer_solicitation(&mut self, queue: usize, mut frame: Frame) -> Result<(), DropReason> {
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

    pub(super) fn send_answer(
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
}

/// An IPv6 packet that asks for a link-layer address (RFC 4861, 4.3); the steering program sends only
/// those here that ask for a proxied one.
pub(super) fn is_neighbour_solicitation(packet: &[u8]) -> bool {
    const NEXT_HEADER: usize = 6;
    const HOP_LIMIT: usize = 7;
    const ICMPV6: u8 = 58;
    const SOLICITATION: u8 = 135;
    packet.get(NEXT_HEADER) == Some(&ICMPV6)
        && packet.get(HOP_LIMIT) == Some(&255)
        && packet.get(IPV6_HEADER_LEN) == Some(&SOLICITATION)
}
