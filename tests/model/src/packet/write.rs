//! Packets to bytes.

use std::net::IpAddr;

use super::{Header, Packet, checksum};

impl Packet {
    /// The packet as it goes on the wire. The IPv4 header checksum is computed; that of the transport
    /// is part of the payload.
    ///
    /// # Panics
    /// When source and destination are of two families, or the packet is longer than IP allows.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = match (&self.header, self.source, self.destination) {
            (
                Header::V4 { identification, dont_fragment, options },
                IpAddr::V4(source),
                IpAddr::V4(destination),
            ) => {
                let words = u8::try_from(5 + options.len() / 4).expect("options have up to 40 bytes");
                let offset = u16::try_from(self.piece.offset / 8).expect("13 bits");
                let flags = u16::from(*dont_fragment) << 14 | u16::from(self.piece.more) << 13;
                let mut header = vec![0x40 | words, self.class];
                header.extend(length(self.len()));
                header.extend(identification.to_be_bytes());
                header.extend((flags | offset).to_be_bytes());
                header.extend([self.ttl, self.protocol, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(options);
                let checksum = !checksum::sum(&header);
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                header
            }
            (
                Header::V6 { flow_label, next_header, extensions },
                IpAddr::V6(source),
                IpAddr::V6(destination),
            ) => {
                let first_word = 6 << 28 | u32::from(self.class) << 20 | flow_label;
                let mut header = first_word.to_be_bytes().to_vec();
                header.extend(length(self.len() - 40));
                header.extend([*next_header, self.ttl]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(extensions);
                header
            }
            mixed => panic!("a header of one version with addresses of another: {mixed:?}"),
        };
        bytes.extend(&self.payload);
        bytes
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("IP packets have up to 65,535 bytes").to_be_bytes()
}
