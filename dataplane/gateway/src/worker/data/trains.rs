//! TCP segments for local hosts that leave as one long packet: see [`gridway_wire::train`].
//!
//! ```text
//!                     a row of several ─────> packet socket ─> kernel cuts ─┐
//!  segments ─> train <                          ^                            > data NIC
//!                     one alone: of a connection that has just had a train   │
//!                                of another ──> transmit ring ───────────────┘
//! ```
//!
//! The two ways do not keep their order with each other: the socket's goes through the kernel's queues. So a connection
//! that has had a train stays with the socket until it has paused.

use std::io;
use std::time::Duration;

use gridway_control::Severity;
use gridway_forwarding::DropReason;
use gridway_netlink::Segmentation;
use gridway_wire::ethernet::ETHERNET_HEADER_LEN;
use gridway_wire::mac::MacAddr;
use gridway_wire::packet::IpVersion;
use gridway_wire::time::Nanos;
use gridway_wire::train::{Candidate, Cut, Limits, Offer, Train};
use gridway_xsk::{SegmentSocket, VIRTIO_HEADER_LEN, VirtioHeader};

use super::DataRole;
use super::delivery::header_for;
use crate::events::Kind;

/// Connections whose segments are collected at a time.
const TRAINS: usize = 8;
/// What stands in front of a packet.
const ROOM: usize = VIRTIO_HEADER_LEN + ETHERNET_HEADER_LEN;
/// Connections that are remembered, by a number that a few may share.
const REMEMBERED: usize = 1024;
/// How long a connection stays with the socket: longer than a packet waits in any queue of the kernel.
const PAUSE: Duration = Duration::from_secs(2);

/// Trains under way, and the socket that they leave by.
#[derive(Debug)]
pub(super) struct Trains {
    socket: SegmentSocket,
    trains: Vec<Car>,
    /// How many of them, from the first on, hold segments.
    busy: usize,
    /// When a connection last sent by the socket.
    last: Box<[Option<Nanos>]>,
    /// Where single packets get their headers.
    single: Vec<u8>,
}

/// A train, and where it goes.
#[derive(Debug)]
struct Car {
    destination: MacAddr,
    connection: Option<u32>,
    train: Train,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is part of a train, which may be full now.
    Taken(usize),
    /// It goes behind the train with this number.
    Behind(usize),
    /// It goes by itself.
    Alone,
}

impl Trains {
    pub(super) fn new(socket: SegmentSocket, limits: Segmentation) -> Self {
        let limits = Limits { bytes: limits.bytes as usize, segments: limits.segments };
        let car = || Car { destination: MacAddr([0; 6]), connection: None, train: Train::new(ROOM, limits) };
        Self {
            socket,
            trains: std::iter::repeat_with(car).take(TRAINS).collect(),
            busy: 0,
            last: vec![None; REMEMBERED].into_boxed_slice(),
            single: Vec::new(),
        }
    }

    /// Takes a packet for `destination` if it fits somewhere, or if a train can begin with it.
    fn take(&mut self, destination: MacAddr, packet: &Candidate<'_>) -> Place {
        for (number, car) in self.trains[..self.busy].iter_mut().enumerate() {
            match car.train.offer(packet) {
                Offer::Other => {}
                // Of the same connection, so for the same neighbour: they change between turns only.
                Offer::Taken => return Place::Taken(number),
                Offer::Behind => return Place::Behind(number),
            }
        }
        let Some(car) = self.trains.get_mut(self.busy) else { return Place::Alone };
        if !car.train.begin(packet) {
            return Place::Alone;
        }
        (car.destination, car.connection) = (destination, packet.connection());
        self.busy += 1;
        Place::Taken(self.busy - 1)
    }

    /// Whether a connection sends by the socket.
    fn is_here(&self, connection: Option<u32>, now: Nanos) -> bool {
        let last = connection.and_then(|connection| self.last[place_of(connection)]);
        last.is_some_and(|last| now.since(last) < PAUSE)
    }

    /// Sends a train, whether of one segment or of several.
    fn send(&mut self, number: usize, source: MacAddr, now: Nanos) -> io::Result<()> {
        let Car { destination, connection, ref mut train } = self.trains[number];
        let macs = [source, destination];
        let sent = match train.single() {
            Some(bytes) => send(&self.socket, bytes, None, macs),
            None => {
                let (bytes, cut) = train.couple();
                send(&self.socket, bytes, Some(cut), macs)
            }
        };
        self.remember(connection, now);
        sent
    }

    /// Sends one packet that is in no train.
    fn send_single(
        &mut self,
        packet: &[u8],
        connection: Option<u32>,
        macs: [MacAddr; 2],
        now: Nanos,
    ) -> io::Result<()> {
        self.single.resize(ROOM, 0);
        self.single.extend_from_slice(packet);
        let sent = send(&self.socket, &mut self.single, None, macs);
        self.single.clear();
        self.remember(connection, now);
        sent
    }

    fn remember(&mut self, connection: Option<u32>, now: Nanos) {
        if let Some(connection) = connection {
            self.last[place_of(connection)] = Some(now);
        }
    }

    /// Clears a train; its number becomes that of another one.
    fn release(&mut self, number: usize) {
        self.trains[number].train.clear();
        self.busy -= 1;
        self.trains.swap(number, self.busy);
    }
}

fn place_of(connection: u32) -> usize {
    (connection >> 16) as usize & (REMEMBERED - 1)
}

/// Sends the IP packet behind the room in `bytes`, from the first to the second of two MAC addresses.
fn send(socket: &SegmentSocket, bytes: &mut [u8], cut: Option<Cut>, macs: [MacAddr; 2]) -> io::Result<()> {
    let header = header_for(macs, &bytes[ROOM..]);
    let (virtio, frame) = bytes.split_first_chunk_mut::<VIRTIO_HEADER_LEN>().expect("there is room for it");
    match cut {
        None => virtio.fill(0),
        Some(cut) => VirtioHeader {
            v6: cut.version == IpVersion::V6,
            headers_len: ETHERNET_HEADER_LEN as u16 + cut.headers_len,
            tcp_at: ETHERNET_HEADER_LEN as u16 + cut.ip_len,
            segment_len: cut.segment_len,
        }
        .write(virtio),
    }
    header.write(frame).expect("there is room for it");
    socket.send(bytes)
}

/// Whether an error passes by itself: no room for now, the interface is down, or a single packet is too long for it, since
/// its MTU was lowered.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{NetworkDown, WouldBlock};
    let of_the_moment = matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EMSGSIZE));
    of_the_moment || matches!(error.kind(), WouldBlock | NetworkDown)
}

impl DataRole {
    /// Sends a packet to a neighbour, perhaps together with others of its connection. Counts it once it has left.
    pub(super) fn send_to(
        &mut self,
        mac: MacAddr,
        packet: &[u8],
        own: bool,
        now: Nanos,
    ) -> Result<(), DropReason> {
        let candidate = match &self.trains {
            Some(_) if !own => Candidate::read(packet),
            _ => None,
        };
        if let Some(candidate) = candidate {
            if self.watched {
                // What becomes of it is to be seen at once.
                self.depart_all(now);
            } else if self.join(mac, &candidate, now) {
                return Ok(());
            }
            let connection = candidate.connection();
            if let Some(trains) = self.trains.as_mut().filter(|trains| trains.is_here(connection, now)) {
                let sent = trains.send_single(packet, connection, [self.mac, mac], now);
                sent.map_err(|error| self.judge(&error))?;
                self.count_delivered(packet.len(), own);
                return Ok(());
            }
        }
        self.send_by_ring(mac, packet)?;
        self.count_delivered(packet.len(), own);
        Ok(())
    }

    /// Makes a packet part of a train, after what has to go before it. False when it goes by itself.
    fn join(&mut self, mac: MacAddr, candidate: &Candidate<'_>, now: Nanos) -> bool {
        while let Some(trains) = &mut self.trains {
            // What the kernel has left on the ring may be of this connection.
            if self.backlog && !trains.is_here(candidate.connection(), now) {
                break;
            }
            match trains.take(mac, candidate) {
                Place::Taken(number) => {
                    if trains.trains[number].train.is_full() {
                        self.depart(number, now);
                    }
                    return true;
                }
                Place::Behind(number) => self.depart(number, now),
                Place::Alone => break,
            }
        }
        false
    }

    /// Sends all trains.
    pub(super) fn depart_all(&mut self, now: Nanos) {
        while self.trains.as_ref().is_some_and(|trains| trains.busy > 0) {
            self.depart(0, now);
        }
    }

    /// Sends a train. Its packets are counted now, that none is counted twice.
    fn depart(&mut self, number: usize, now: Nanos) {
        let Some(mut trains) = self.trains.take() else { return };
        let Car { destination, connection, ref train } = trains.trains[number];
        let (segments, len) = (u64::from(train.segments()), train.segments_len() as u64);
        let by_socket = trains.is_here(connection, now);
        let sent = match trains.trains[number].train.single() {
            Some(bytes) if !by_socket => Ok(self.send_by_ring(destination, &bytes[ROOM..])),
            _ => {
                if !by_socket {
                    // What waits in the ring may be of the same connection. An error of it is another queue's.
                    drop(self.port.flush());
                }
                trains.send(number, self.mac, now).map(Ok)
            }
        };
        trains.release(number);
        self.trains = Some(trains);
        let sent = sent.unwrap_or_else(|error| Err(self.judge(&error)));
        let books = &self.counters.inbound;
        match sent {
            Ok(()) => {
                books.forwarded.add(segments);
                books.forwarded_bytes.add(len);
                books.coupled.add(if segments > 1 { segments } else { 0 });
            }
            Err(reason) => books.drop(reason, segments),
        }
    }

    /// The socket did not take a packet. Where that will not pass, it is given up, with all that wait for it.
    fn judge(&mut self, error: &io::Error) -> DropReason {
        if !passes(error)
            && let Some(trains) = self.trains.take()
        {
            let lost: u32 = trains.trains[..trains.busy].iter().map(|car| car.train.segments()).sum();
            self.counters.inbound.drop(DropReason::TxFull, u64::from(lost));
            if let Some(data) = &self.node.data {
                let message =
                    format!("long packets are not taken, segments go one by one from now on: {error}");
                self.node.events.record(Severity::Warning, Kind::SegmentsAlone, &data.interface, message);
            }
        }
        DropReason::TxFull
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_has_no_room_for_is_tried_again_and_what_it_cannot_do_is_not() {
        let of = io::Error::from_raw_os_error;
        for errno in [libc::EAGAIN, libc::ENOBUFS, libc::ENETDOWN, libc::EMSGSIZE] {
            assert!(passes(&of(errno)), "{}", of(errno));
        }
        for errno in [libc::EINVAL, libc::EIO, libc::ENXIO, libc::EOPNOTSUPP] {
            assert!(!passes(&of(errno)), "{}", of(errno));
        }
    }
}
