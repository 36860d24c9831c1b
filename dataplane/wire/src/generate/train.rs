//! Segments of TCP connections, trains of them, and the cut that the kernel makes.

use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader, TcpOptionElement};

use crate::packet::IpVersion;
use crate::train::{Candidate, Cut, Limits, Offer, Train};

/// Bytes in front of a train's packet.
const ROOM: usize = 24;

/// What is said of a segment; all else is the same in all of them.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSpec {
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// Source port.
    pub port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Bytes of payload.
    pub len: usize,
    /// PSH.
    pub push: bool,
    /// Time stamp option.
    pub stamp: Option<u32>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4's flag.
    pub dont_fragment: bool,
    /// Window.
    pub window: u16,
    /// FIN.
    pub fin: bool,
    /// A bit of the payload is wrong behind its checksum.
    pub corrupt: bool,
}

impl SegmentSpec {
    /// An IPv4 segment with nothing special about it.
    #[must_use]
    pub fn plain(sequence: u32, len: usize) -> Self {
        Self {
            v6: false,
            port: 5000,
            sequence,
            len,
            push: false,
            stamp: Some(7),
            ttl: 60,
            dont_fragment: true,
            window: 501,
            fin: false,
            corrupt: false,
        }
    }

    /// Its packet, from the IP header on.
    #[must_use]
    pub fn packet(&self, identification: u16) -> Vec<u8> {
        let mut tcp = TcpHeader::new(self.port, 443, self.sequence, self.window);
        (tcp.ack, tcp.acknowledgment_number) = (true, 99);
        (tcp.psh, tcp.fin) = (self.push, self.fin);
        if let Some(stamp) = self.stamp {
            let stamps = TcpOptionElement::Timestamp(stamp, 1);
            tcp.set_options(&[TcpOptionElement::Noop, TcpOptionElement::Noop, stamps])
                .expect("segments are valid");
        }
        let mut payload: Vec<u8> =
            (0..self.len).map(|n| (n as u32).wrapping_mul(31).wrapping_add(self.sequence) as u8).collect();
        let len = (tcp.header_len() + payload.len()) as u16;
        let mut bytes = Vec::new();
        if self.v6 {
            let ip = Ipv6Header {
                payload_length: len,
                next_header: IpNumber::TCP,
                hop_limit: self.ttl,
                source: [0xfd; 16],
                destination: [0xfe; 16],
                ..Ipv6Header::default()
            };
            tcp.checksum = tcp.calc_checksum_ipv6(&ip, &payload).expect("segments are valid");
            ip.write(&mut bytes).expect("segments are valid");
        } else {
            let mut ip = Ipv4Header::new(len, self.ttl, IpNumber::TCP, [10, 1, 0, 2], [172, 16, 2, 2])
                .expect("segments are valid");
            (ip.identification, ip.dont_fragment) = (identification, self.dont_fragment);
            ip.header_checksum = ip.calc_header_checksum();
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, &payload).expect("segments are valid");
            ip.write(&mut bytes).expect("segments are valid");
        }
        tcp.write(&mut bytes).expect("segments are valid");
        if self.corrupt && !payload.is_empty() {
            payload[0] ^= 1;
        }
        bytes.extend_from_slice(&payload);
        bytes
    }
}

/// Cuts as the kernel does (`tcp_gso_segment`, `inet_gso_segment`), checksums made anew.
fn cut_segments(packet: &[u8], cut: Cut) -> Vec<Vec<u8>> {
    let (ip, headers, mss) =
        (usize::from(cut.ip_len), usize::from(cut.headers_len), usize::from(cut.segment_len));
    let pieces: Vec<&[u8]> = packet[headers..].chunks(mss).collect();
    let last = pieces.len() - 1;
    let piece = |(number, payload): (usize, &&[u8])| {
        let mut tcp = TcpHeader::from_slice(&packet[ip..]).expect("segments are valid").0;
        tcp.sequence_number = tcp.sequence_number.wrapping_add((number * mss) as u32);
        tcp.psh &= number == last;
        let mut bytes = Vec::new();
        match cut.version {
            IpVersion::V4 => {
                let mut header = Ipv4Header::from_slice(packet).expect("segments are valid").0;
                assert_eq!(header.header_checksum, header.calc_header_checksum());
                header.set_payload_len(tcp.header_len() + payload.len()).expect("segments are valid");
                header.identification = header.identification.wrapping_add(number as u16);
                header.header_checksum = header.calc_header_checksum();
                tcp.checksum = tcp.calc_checksum_ipv4(&header, payload).expect("segments are valid");
                header.write(&mut bytes).expect("segments are valid");
            }
            IpVersion::V6 => {
                let mut header = Ipv6Header::from_slice(packet).expect("segments are valid").0;
                header.set_payload_length(tcp.header_len() + payload.len()).expect("segments are valid");
                tcp.checksum = tcp.calc_checksum_ipv6(&header, payload).expect("segments are valid");
                header.write(&mut bytes).expect("segments are valid");
            }
        }
        tcp.write(&mut bytes).expect("segments are valid");
        bytes.extend_from_slice(payload);
        bytes
    };
    pieces.iter().enumerate().map(piece).collect()
}

/// The sum that a cut begins with is that of the pseudo-header: what the kernel adds the rest to.
fn begins_with_the_pseudo_header(packet: &[u8], cut: Cut) -> bool {
    let ip = usize::from(cut.ip_len);
    let addresses = if cut.version == IpVersion::V4 { &packet[12..20] } else { &packet[8..40] };
    let words = addresses.chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum = words.sum::<u64>() + 6 + (packet.len() - ip) as u64;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u64::from(u16::from_be_bytes([packet[ip + 16], packet[ip + 17]])) == sum
}

/// Sends packets through one train and what it cannot take beside it; what leaves, in order, and how many packets
/// left as part of a longer one.
pub fn through_train(packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, u32) {
    let (mut train, mut left, mut together) =
        (Train::new(ROOM, Limits { bytes: 65_535, segments: 60 }), Vec::new(), 0);
    let depart = |train: &mut Train, left: &mut Vec<Vec<u8>>, together: &mut u32| {
        if let Some(packet) = train.single() {
            left.push(packet[ROOM..].to_vec());
        } else if train.segments() > 1 {
            let (segments, len) = (train.segments(), train.segments_len());
            let (bytes, how) = train.couple();
            assert!(begins_with_the_pseudo_header(&bytes[ROOM..], how));
            let pieces = cut_segments(&bytes[ROOM..], how);
            assert_eq!(pieces.len() as u32, segments);
            assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), len);
            left.extend(pieces);
            *together += segments;
        }
        train.clear();
    };
    for packet in packets {
        let candidate = Candidate::read(packet);
        if candidate.is_some_and(|candidate| train.offer(&candidate) == Offer::Taken) {
            continue;
        }
        depart(&mut train, &mut left, &mut together);
        if !candidate.is_some_and(|candidate| train.begin(&candidate)) {
            left.push(packet.clone());
        }
    }
    depart(&mut train, &mut left, &mut together);
    (left, together)
}

/// Without what "don't fragment" makes meaningless.
#[must_use]
pub fn without_identification(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.first() == Some(&0x45) && packet.len() >= 20 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}
