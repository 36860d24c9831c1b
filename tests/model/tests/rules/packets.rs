use gridway_model::Packet;

use crate::support::{Node, segment, udp, usual};

/// The IPv4 header that RFC 1071's readers know from textbooks, its checksum 0xb861, around UDP.
const TEXTBOOK: [u8; 20] = [
    0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
    0xa8, 0x00, 0xc7,
];

#[test]
fn what_is_read_is_written_byte_for_byte() {
    let mut bytes = TEXTBOOK.to_vec();
    bytes.extend([0x03, 0xe8, 0x00, 0x35, 0x00, 0x5f, 0, 0]);
    bytes.resize(0x73, 0xaa);
    assert_eq!(Packet::read(&bytes).unwrap().to_bytes(), bytes);
    // Padding is no part of the packet.
    let mut padded = bytes.clone();
    padded.extend([0; 7]);
    assert_eq!(Packet::read(&padded).unwrap().to_bytes(), bytes);
}

#[test]
fn malformed_packets_are_refused() {
    let good = udp("10.1.0.2", "172.16.1.2", (1000, 53)).to_bytes();
    let mut spoiled: Vec<Vec<u8>> = Vec::new();
    let mut spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        spoiled.push(bytes);
    };
    spoil(&|bytes| bytes[10] ^= 1);
    spoil(&|bytes| bytes[0] = 0x55);
    spoil(&|bytes| bytes.truncate(29));
    spoil(&|bytes| bytes[25] = 7);
    for source in ["0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1"] {
        spoiled.push(udp(source, "172.16.1.2", (1, 1)).to_bytes());
    }
    let mut torn = segment("10.1.0.2", "172.16.1.2", (1000, 80), 2);
    torn.payload[12] = 0x60;
    spoiled.push(torn.to_bytes());
    let mut node = Node::new(&usual());
    for bytes in spoiled {
        let step = node.0.outbound(&bytes, &mut gridway_model::ModelChooses).unwrap();
        assert_eq!(step.reason(), Some("malformed"), "{bytes:02x?}");
        assert!(step.emitted.is_empty());
    }
}

#[test]
fn wrong_transport_checksums_stay_as_wrong_as_they_were() {
    let mut packet = udp("10.1.0.2", "172.16.1.2", (1000, 53));
    packet.payload[7] ^= 0x10;
    let bytes = packet.to_bytes();
    let step = Node::new(&usual()).0.outbound(&bytes, &mut gridway_model::ModelChooses).unwrap();
    // Right would be 0xdc3e here and 0x7cc0 there (see translation.rs): 0x10 too few in, 0x10 too few out.
    assert_eq!(bytes[26..28], [0xdc, 0x2e]);
    assert_eq!(step.bytes().unwrap()[26..28], [0x7c, 0xb0]);
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let mut packet = udp("10.1.0.2", "172.16.1.2", (1000, 53));
    packet.payload[6..8].fill(0);
    let (_, packet) = Node::new(&usual()).tunnelled(&packet);
    assert_eq!(packet.payload[6..8], [0, 0]);
}
