//! Long packets, cut by the kernel, seen from the other end of the cable.

use std::process::Command;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use gridway_xsk::{SegmentSocket, VIRTIO_HEADER_LEN, VirtioHeader};

use crate::support::wire::Wire;
use crate::support::{PORT, WIRE, cable};

const HEADERS: usize = 14 + 20 + 20;

/// A TCP packet with `len` bytes of payload behind room for a virtio header, its checksum that of the pseudo-header.
fn long_packet(len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(4000, 80, 1000, 500)
        .ack(7);
    let mut packet = vec![0; VIRTIO_HEADER_LEN];
    builder.write(&mut packet, &payload).unwrap();
    let words = [0x0a00, 0x0001, 0x0a00, 0x0002, 6, (20 + len) as u32];
    let sum: u32 = words.iter().sum();
    let folded = ((sum & 0xffff) + (sum >> 16)) as u16;
    let at = VIRTIO_HEADER_LEN + 14 + 20 + 16;
    packet[at..at + 2].copy_from_slice(&folded.to_be_bytes());
    packet
}

#[test]
fn a_long_packet_arrives_in_segments_with_good_checksums() {
    cable(1);
    // As on a NIC that cuts nothing itself; veth would pass the packet on whole.
    let off = Command::new("ethtool").args(["-K", PORT, "tx", "off", "tso", "off"]).output().unwrap();
    assert!(off.status.success(), "{off:?}");
    let wire = Wire::open(WIRE);
    let socket = SegmentSocket::open(PORT).unwrap();
    let mut packet = long_packet(5000);
    let header = VirtioHeader { v6: false, headers_len: HEADERS as u16, tcp_at: 34, segment_len: 1200 };
    header.write(packet.first_chunk_mut().unwrap());
    socket.send(&packet).unwrap();
    let mut payload = Vec::new();
    for len in [1200, 1200, 1200, 1200, 200] {
        let segment = wire.receive().unwrap();
        assert_eq!(segment.len(), HEADERS + len);
        let sliced = SlicedPacket::from_ethernet(&segment).unwrap();
        let (Some(etherparse::NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
            (sliced.net, sliced.transport)
        else {
            panic!("no TCP in {segment:?}");
        };
        let ip = ip.header().to_header();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        assert_eq!(tcp.sequence_number(), 1000 + payload.len() as u32);
        assert_eq!(tcp.checksum(), tcp.to_header().calc_checksum_ipv4(&ip, tcp.payload()).unwrap());
        payload.extend_from_slice(tcp.payload());
    }
    assert_eq!(payload, packet[VIRTIO_HEADER_LEN + HEADERS..]);
    assert!(wire.poll().is_none());
}

#[test]
fn a_packet_that_is_not_to_be_cut_arrives_as_it_is() {
    cable(1);
    let wire = Wire::open(WIRE);
    let packet = long_packet(300);
    SegmentSocket::open(PORT).unwrap().send(&packet).unwrap();
    assert_eq!(wire.receive().unwrap(), packet[VIRTIO_HEADER_LEN..]);
}

#[test]
fn errors_are_told() {
    cable(1);
    assert!(SegmentSocket::open("nothere").is_err());
    assert!(SegmentSocket::open("a\0b").is_err());
    let socket = SegmentSocket::open(PORT).unwrap();
    // Longer than the MTU, and not to be cut.
    assert_eq!(socket.send(&long_packet(5000)).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
}
