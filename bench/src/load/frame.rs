//! Frames: Ethernet, IPv4, UDP, stamp.

use gridway_wire::checksum::checksum;
use gridway_wire::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use gridway_wire::mac::MacAddr;

use super::flows::Tuple;
use super::stamp::{STAMP, Stamp};

const IPV4: usize = ETHERNET_HEADER_LEN;
const UDP: usize = IPV4 + 20;
const PAYLOAD: usize = UDP + 8;
const HOPS: u8 = 64;
const PROTOCOL_UDP: u8 = 17;

/// Writes a whole frame from the first of two MAC addresses to the second into `frame`, which is as long as the frame shall be, at least 60 bytes. Without a UDP
/// checksum (RFC 768), so that the generator need not sum up what nobody reads.
pub(crate) fn write(frame: &mut [u8], [source, destination]: [MacAddr; 2], tuple: &Tuple, stamp: Stamp) {
    let header = Ethernet { destination, source, ether_type: ether_type::IPV4 };
    header.write(frame).expect("a frame has room for its header");
    let ip_len = (frame.len() - IPV4) as u16;
    let ip = &mut frame[IPV4..UDP];
    ip.copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, HOPS, PROTOCOL_UDP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ip[2..4].copy_from_slice(&ip_len.to_be_bytes());
    ip[12..16].copy_from_slice(&tuple.addresses[0].octets());
    ip[16..20].copy_from_slice(&tuple.addresses[1].octets());
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = &mut frame[UDP..PAYLOAD];
    udp[..2].copy_from_slice(&tuple.ports[0].to_be_bytes());
    udp[2..4].copy_from_slice(&tuple.ports[1].to_be_bytes());
    udp[4..6].copy_from_slice(&(ip_len - 20).to_be_bytes());
    udp[6..8].fill(0);
    let payload = &mut frame[PAYLOAD..];
    payload[STAMP..].fill(0);
    stamp.write(payload.first_chunk_mut().expect("the smallest frame has room for a stamp"));
}

/// The stamp of a received frame; `None` of one that was not generated.
pub(crate) fn read(frame: &[u8]) -> Option<Stamp> {
    let is_udp = frame.get(12..14)? == ether_type::IPV4.to_be_bytes()
        && frame.get(IPV4)? == &0x45
        && frame.get(IPV4 + 9)? == &PROTOCOL_UDP;
    is_udp.then(|| Stamp::read(frame.get(PAYLOAD..)?)).flatten()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use gridway_wire::packet::{Transport, parse};

    use super::*;

    #[test]
    fn frames_are_good_packets_with_their_stamp() {
        let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
        let addresses = [Ipv4Addr::new(10, 1, 0, 2), Ipv4Addr::new(172, 16, 2, 2)];
        let tuple = Tuple { addresses, ports: [1024, 5000] };
        let stamp = Stamp { trial: 3, sequence: 77, sent: 1 << 40 };
        for len in [60, 61, 566, 1514] {
            let mut frame = vec![0xff; len];
            write(&mut frame, macs, &tuple, stamp);
            let packet = parse(&frame[IPV4..]).unwrap();
            assert_eq!((packet.transport, packet.total_len), (Transport::Udp, len - IPV4));
            assert_eq!((packet.tuple.source_port, packet.tuple.destination_port), (1024, 5000));
            assert_eq!(read(&frame), Some(stamp));
        }
        assert_eq!(read(&[0; 60]), None);
        assert_eq!(read(&[]), None);
    }
}
