//! Ethernet II frames.

use crate::bytes::{array, u16_at};
use crate::mac::MacAddr;
use crate::malformed::Malformed;

/// Length of an untagged Ethernet header in bytes.
pub const ETHERNET_HEADER_LEN: usize = 14;

/// Shortest Ethernet frame without its check sequence, in bytes: shorter payloads are padded up to it.
pub const ETHERNET_MIN_LEN: usize = 60;

/// EtherType numbers (IEEE 802 registry).
pub mod ether_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// Address Resolution Protocol.
    pub const ARP: u16 = 0x0806;
    /// An IEEE 802.1Q tag follows.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// An IEEE 802.1ad service tag follows.
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// The header of an untagged Ethernet II frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Whom the frame is for.
    pub destination: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    /// What it carries, see [`ether_type`].
    pub ether_type: u16,
}

const DESTINATION: usize = 0;
const SOURCE: usize = 6;
const ETHER_TYPE: usize = 12;
const _: () = assert!(SOURCE == DESTINATION + size_of::<MacAddr>());
const _: () = assert!(ETHER_TYPE == SOURCE + size_of::<MacAddr>());
const _: () = assert!(ETHERNET_HEADER_LEN == ETHER_TYPE + size_of::<u16>());

impl Ethernet {
    /// Reads the header at the start of `frame`.
    ///
    /// # Errors
    /// [`Malformed::TruncatedEthernet`] when the frame is shorter than 14 bytes.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        if frame.len() < ETHERNET_HEADER_LEN {
            return Err(Malformed::TruncatedEthernet);
        }
        Ok(Self {
            destination: MacAddr(array(frame, DESTINATION)),
            source: MacAddr(array(frame, SOURCE)),
            ether_type: u16_at(frame, ETHER_TYPE),
        })
    }

    /// Writes the header over the first 14 bytes of `frame`.
    ///
    /// # Errors
    /// [`Malformed::TruncatedEthernet`] when the frame has no room for it; nothing is written then.
    pub fn write(&self, frame: &mut [u8]) -> Result<(), Malformed> {
        let header = frame.get_mut(..ETHERNET_HEADER_LEN).ok_or(Malformed::TruncatedEthernet)?;
        header[DESTINATION..SOURCE].copy_from_slice(&self.destination.0);
        header[SOURCE..ETHER_TYPE].copy_from_slice(&self.source.0);
        header[ETHER_TYPE..].copy_from_slice(&self.ether_type.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let frame = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x86, 0xdd, 0x60];
        let header = Ethernet::parse(&frame).unwrap();
        assert_eq!(header.ether_type, ether_type::IPV6);
        assert_eq!(header.source, MacAddr([7, 8, 9, 10, 11, 12]));
        let mut copy = [0; 15];
        header.write(&mut copy).unwrap();
        assert_eq!(copy[..14], frame[..14]);
        assert_eq!(copy[14], 0);
    }

    #[test]
    fn refuses_every_truncation() {
        for length in 0..ETHERNET_HEADER_LEN {
            assert_eq!(Ethernet::parse(&vec![0; length]), Err(Malformed::TruncatedEthernet));
        }
    }
}
