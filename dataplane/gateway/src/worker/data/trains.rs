//! Segments for local hosts that leave as one long packet: see [`gridway_wire::train`].

use std::io;

use gridway_forwarding::DropReason;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use gridway_wire::mac::MacAddr;
use gridway_wire::packet::IpVersion;
use gridway_wire::train::{Offer, Train};
use gridway_xsk::{SegmentSocket, VIRTIO_HEADER_LEN, VirtioHeader};

use super::DataRole;
use super::delivery::{frame_for, transmit};

/// Connections whose segments are collected at a time.
const TRAINS: usize = 8;
/// What stands in front of a packet.
const ROOM: usize = VIRTIO_HEADER_LEN + ETHERNET_HEADER_LEN;

/// Trains under way, and the socket that they leave by.
#[derive(Debug)]
pub(super) struct Trains {
    socket: SegmentSocket,
    trains: Vec<(MacAddr, Train)>,
    /// How many of them, from the first on, hold segments.
    busy: usize,
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
    pub(super) fn new(socket: SegmentSocket) -> Self {
        let trains = (0..TRAINS).map(|_| (MacAddr([0; 6]), Train::new(ROOM))).collect();
        Self { socket, trains, busy: 0 }
    }

    /// Takes a packet for `destination` if it fits somewhere, or if a train can begin with it.
    fn take(&mut self, destination: MacAddr, packet: &[u8]) -> Place {
        for (number, (_, train)) in self.trains[..self.busy].iter_mut().enumerate() {
            match train.offer(packet) {
                Offer::Other => {}
                // Of the same connection, so for the same neighbour: they change between turns only.
                Offer::Taken => return Place::Taken(number),
                Offer::Behind => return Place::Behind(number),
            }
        }
        let Some((mac, train)) = self.trains.get_mut(self.busy) else { return Place::Alone };
        if !train.begin(packet) {
            return Place::Alone;
        }
        *mac = destination;
        self.busy += 1;
        Place::Taken(self.busy - 1)
    }

    /// Sends a train of several segments.
    fn send(&mut self, number: usize, source: MacAddr) -> io::Result<()> {
        let (destination, train) = &mut self.trains[number];
        let (bytes, cut) = train.couple();
        let v6 = cut.version == IpVersion::V6;
        let virtio = VirtioHeader {
            v6,
            headers_len: ETHERNET_HEADER_LEN as u16 + cut.headers_len,
            tcp_at: ETHERNET_HEADER_LEN as u16 + cut.ip_len,
            segment_len: cut.segment_len,
        };
        let (front, rest) = bytes.split_first_chunk_mut().expect("there is room for it");
        virtio.write(front);
        let ether_type = if v6 { ether_type::IPV6 } else { ether_type::IPV4 };
        let header = Ethernet { destination: *destination, source, ether_type };
        header.write(rest).expect("there is room for it");
        self.socket.send(bytes)
    }

    /// Clears a train; its number becomes that of another one.
    fn release(&mut self, number: usize) {
        self.trains[number].1.clear();
        self.busy -= 1;
        self.trains.swap(number, self.busy);
    }
}

impl DataRole {
    /// Sends a packet to a neighbour, perhaps together with others of its connection.
    pub(super) fn send_to(&mut self, mac: MacAddr, packet: &[u8], own: bool) -> Result<(), DropReason> {
        while let Some(trains) = self.trains.as_mut().filter(|_| !own) {
            match trains.take(mac, packet) {
                Place::Taken(number) => {
                    if trains.trains[number].1.is_full() {
                        self.depart(number);
                    }
                    return Ok(());
                }
                Place::Behind(number) => self.depart(number),
                Place::Alone => break,
            }
        }
        let frame = self.frame_for(mac, packet)?;
        self.transmit(0, frame)?;
        self.count_delivered(packet.len(), own);
        Ok(())
    }

    /// Sends all trains.
    pub(super) fn depart_all(&mut self) {
        while self.trains.as_ref().is_some_and(|trains| trains.busy > 0) {
            self.depart(0);
        }
    }

    /// Sends a train. Its packets are counted now, that none is counted twice.
    fn depart(&mut self, number: usize) {
        let Some(trains) = &mut self.trains else { return };
        let (mac, train) = &trains.trains[number];
        let (segments, len) = (u64::from(train.segments()), train.segments_len() as u64);
        let sent = match train.single() {
            Some(packet) => {
                let framed = frame_for(&mut self.port, [self.mac, *mac], packet);
                framed.and_then(|frame| transmit(&mut self.port, 0, frame))
            }
            None => {
                // What waits in the ring may be of the same connection.
                self.port
                    .flush()
                    .map_err(drop)
                    .and_then(|_| trains.send(number, self.mac).map_err(drop))
                    .map_err(|()| DropReason::TxFull)
            }
        };
        trains.release(number);
        let books = &self.counters.inbound;
        match sent {
            Ok(()) => {
                books.forwarded.add(segments);
                books.coupled.add(if segments > 1 { segments } else { 0 });
                books.forwarded_bytes.add(len);
            }
            Err(reason) => books.drop(reason, segments),
        }
    }
}
