//! ARP for IPv4 over Ethernet (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use crate::bytes::{array, ipv4_at, put, put_u16, u16_at};
use crate::ethernet::{ETHERNET_HEADER_LEN, Ethernet, ether_type};
use crate::mac::MacAddr;
use crate::malformed::Malformed;

/// Length of an ARP packet for IPv4 over Ethernet, without the Ethernet header.
pub const ARP_LEN: usize = 28;

const HARDWARE_ETHERNET: u16 = 1;
const OPERATION_REQUEST: u16 = 1;
const OPERATION_REPLY: u16 = 2;

// Offsets within the frame.
const HARDWARE_TYPE: usize = ETHERNET_HEADER_LEN;
const PROTOCOL_TYPE: usize = HARDWARE_TYPE + 2;
const ADDRESS_LENGTHS: usize = PROTOCOL_TYPE + 2;
const OPERATION: usize = ADDRESS_LENGTHS + 2;
const SENDER_MAC: usize = OPERATION + 2;
const SENDER_IP: usize = SENDER_MAC + size_of::<MacAddr>();
const TARGET_MAC: usize = SENDER_IP + size_of::<Ipv4Addr>();
const TARGET_IP: usize = TARGET_MAC + size_of::<MacAddr>();
const FRAME_LEN: usize = TARGET_IP + size_of::<Ipv4Addr>();
const _: () = assert!(FRAME_LEN == ETHERNET_HEADER_LEN + ARP_LEN);

/// Who asks for which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpRequest {
    /// Hardware address that an answer goes to.
    pub sender_mac: MacAddr,
    /// Address of the asker; `0.0.0.0` in a probe.
    pub sender_ip: Ipv4Addr,
    /// The address asked for.
    pub target_ip: Ipv4Addr,
}

impl ArpRequest {
    /// Reads an Ethernet frame that carries an ARP request.
    ///
    /// # Errors
    /// [`Malformed::TruncatedArp`], [`Malformed::UnsupportedArp`] (another operation or address type) and
    /// [`Malformed::BadArpSender`] (an answer could go to no single station).
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let ethernet = Ethernet::parse(frame)?;
        if ethernet.ether_type != ether_type::ARP || frame.len() < FRAME_LEN {
            return Err(Malformed::TruncatedArp);
        }
        let understood = u16_at(frame, HARDWARE_TYPE) == HARDWARE_ETHERNET
            && u16_at(frame, PROTOCOL_TYPE) == ether_type::IPV4
            && array(frame, ADDRESS_LENGTHS) == [size_of::<MacAddr>() as u8, size_of::<Ipv4Addr>() as u8]
            && u16_at(frame, OPERATION) == OPERATION_REQUEST;
        if !understood {
            return Err(Malformed::UnsupportedArp);
        }
        let sender_mac = MacAddr(array(frame, SENDER_MAC));
        if !sender_mac.is_unicast() {
            return Err(Malformed::BadArpSender);
        }
        Ok(Self { sender_mac, sender_ip: ipv4_at(frame, SENDER_IP), target_ip: ipv4_at(frame, TARGET_IP) })
    }

    /// Whether this asks only if the address is free (RFC 5227 1.1): answering would claim it.
    pub fn is_probe(&self) -> bool {
        self.sender_ip.is_unspecified()
    }

    /// Whether the sender announces its own address.
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip
    }

    /// Turns the frame that this request was read from into the reply that says `our_mac` has the address:
    /// Ethernet header included, the length stays.
    ///
    /// # Errors
    /// [`Malformed::TruncatedArp`] when `frame` is too short to be the one the request came from.
    pub fn answer_in_place(&self, frame: &mut [u8], our_mac: MacAddr) -> Result<(), Malformed> {
        if frame.len() < FRAME_LEN {
            return Err(Malformed::TruncatedArp);
        }
        Ethernet { destination: self.sender_mac, source: our_mac, ether_type: ether_type::ARP }
            .write(frame)?;
        put_u16(frame, OPERATION, OPERATION_REPLY);
        put(frame, SENDER_MAC, our_mac.0);
        put(frame, SENDER_IP, self.target_ip.octets());
        put(frame, TARGET_MAC, self.sender_mac.0);
        put(frame, TARGET_IP, self.sender_ip.octets());
        Ok(())
    }
}
