//! Addresses, prefixes and listeners as map keys.

use std::net::{IpAddr, Ipv6Addr};

use aya::{Pod, maps::lpm_trie::Key};
use gridway_steer_abi::{Address, ListenerKey, PrefixKey};
use ipnet::IpNet;

use crate::SteerError;

/// Transport protocol of a [`Listener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ListenerProtocol {
    /// TCP, protocol 6.
    Tcp = 6,
    /// UDP, protocol 17.
    Udp = 17,
}

/// An address, protocol and port whose packets go to the kernel, because a Layer 4 listener is bound there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listener {
    /// Destination address.
    pub addr: IpAddr,
    /// Transport protocol.
    pub protocol: ListenerProtocol,
    /// Destination port.
    pub port: u16,
}

/// [`Address`] as the map takes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct AddressData(Address);

// SAFETY: an `Address` is 16 bytes without padding (asserted in the abi crate), and every bit pattern is
// a value of it.
unsafe impl Pod for AddressData {}

/// [`PrefixKey`] with its prefix length, as the trie takes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct PrefixData(PrefixKey);

// SAFETY: a `PrefixKey` is 20 bytes without padding (asserted in the abi crate), and every bit pattern is
// a value of it.
unsafe impl Pod for PrefixData {}

/// [`ListenerKey`] as the map takes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct ListenerData(ListenerKey);

// SAFETY: a `ListenerKey` is 24 bytes without padding (asserted in the abi crate), and every bit pattern
// is a value of it.
unsafe impl Pod for ListenerData {}

/// A prefix in a form that sorts: trie prefix length and data.
pub(crate) type Prefix = (u32, PrefixData);

pub(crate) fn address(address: IpAddr) -> Result<AddressData, SteerError> {
    plain_address(address).map(AddressData)
}

fn plain_address(address: IpAddr) -> Result<Address, SteerError> {
    match address {
        IpAddr::V4(v4) => Ok(Address::v4(v4.octets())),
        IpAddr::V6(v6) => Ok(Address::v6(not_mapped(v6)?.octets())),
    }
}

/// Host bits are cleared: `10.0.0.7/8` is `10.0.0.0/8`.
pub(crate) fn prefix(net: IpNet) -> Result<Prefix, SteerError> {
    let (length, key) = match net.trunc() {
        IpNet::V4(v4) => PrefixKey::v4(v4.network().octets(), v4.prefix_len()),
        IpNet::V6(v6) => PrefixKey::v6(not_mapped(v6.network())?.octets(), v6.prefix_len()),
    };
    Ok((length, PrefixData(key)))
}

pub(crate) fn listener(listener: &Listener) -> Result<ListenerData, SteerError> {
    let protocol = listener.protocol as u8;
    Ok(ListenerData(ListenerKey::new(plain_address(listener.addr)?, protocol, listener.port)))
}

pub(crate) fn trie_key((length, data): Prefix) -> Key<PrefixData> {
    Key::new(length, data)
}

pub(crate) fn from_trie_key(key: Key<PrefixData>) -> Prefix {
    (key.prefix_len(), key.data())
}

/// The program drops such packets of IPv6, and the map would take the address for IPv4.
fn not_mapped(address: Ipv6Addr) -> Result<Ipv6Addr, SteerError> {
    if address.to_ipv4_mapped().is_some() { Err(SteerError::Mapped(address)) } else { Ok(address) }
}
