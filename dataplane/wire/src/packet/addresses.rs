//! Addresses that no router forwards from or to.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::malformed::Malformed;

/// What is wrong with an address, on either side.
#[derive(Clone, Copy)]
enum Martian {
    Unspecified,
    Loopback,
    Multicast,
    Broadcast,
    LinkLocal,
    V4Mapped,
}

/// RFC 1812 5.3.7 (network 0, network 127, class D, limited broadcast) and RFC 3927 7 (link-local).
fn martian_v4(address: Ipv4Addr) -> Option<Martian> {
    match address.octets() {
        [0, ..] => Some(Martian::Unspecified),
        [127, ..] => Some(Martian::Loopback),
        [169, 254, ..] => Some(Martian::LinkLocal),
        [224..=239, ..] => Some(Martian::Multicast),
        [255, 255, 255, 255] => Some(Martian::Broadcast),
        _ => None,
    }
}

/// RFC 4291 2.5.2, 2.5.3, 2.5.6 and 2.7; mapped addresses never belong on the wire (RFC 4942 2.2).
fn martian_v6(address: Ipv6Addr) -> Option<Martian> {
    match address.segments() {
        [0xff00..=0xffff, ..] => Some(Martian::Multicast),
        [0xfe80..=0xfebf, ..] => Some(Martian::LinkLocal),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Martian::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Martian::Loopback),
        [0, 0, 0, 0, 0, 0xffff, _, _] => Some(Martian::V4Mapped),
        _ => None,
    }
}

const fn as_source(martian: Martian) -> Malformed {
    match martian {
        Martian::Unspecified => Malformed::UnspecifiedSource,
        Martian::Loopback => Malformed::LoopbackSource,
        Martian::Multicast => Malformed::MulticastSource,
        Martian::Broadcast => Malformed::BroadcastSource,
        Martian::LinkLocal => Malformed::LinkLocalSource,
        Martian::V4Mapped => Malformed::V4MappedSource,
    }
}

const fn as_destination(martian: Martian) -> Malformed {
    match martian {
        Martian::Unspecified => Malformed::UnspecifiedDestination,
        Martian::Loopback => Malformed::LoopbackDestination,
        Martian::Multicast => Malformed::MulticastDestination,
        Martian::Broadcast => Malformed::BroadcastDestination,
        Martian::LinkLocal => Malformed::LinkLocalDestination,
        Martian::V4Mapped => Malformed::V4MappedDestination,
    }
}

/// Whether no address that starts with this byte is a martian: nearly all traffic.
#[inline]
pub(crate) const fn is_plain_v4(first: u8) -> bool {
    !matches!(first, 0 | 127 | 169 | 224..=255)
}

/// Whether no address that starts with this byte is a martian: global and unique local unicast.
const fn is_plain_v6(first: u8) -> bool {
    matches!(first, 0x20..=0x3f | 0xfc | 0xfd)
}

/// Refuses addresses that may not be forwarded.
#[inline]
pub(super) fn check_v4(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Malformed> {
    if is_plain_v4(source.octets()[0]) && is_plain_v4(destination.octets()[0]) {
        return Ok(());
    }
    judge(martian_v4(source), martian_v4(destination))
}

/// Refuses addresses that may not be forwarded.
#[inline]
pub(super) fn check_v6(source: Ipv6Addr, destination: Ipv6Addr) -> Result<(), Malformed> {
    if is_plain_v6(source.octets()[0]) && is_plain_v6(destination.octets()[0]) {
        return Ok(());
    }
    judge(martian_v6(source), martian_v6(destination))
}

#[cold]
fn judge(source: Option<Martian>, destination: Option<Martian>) -> Result<(), Malformed> {
    match (source, destination) {
        (None, None) => Ok(()),
        (Some(martian), _) => Err(as_source(martian)),
        (None, Some(martian)) => Err(as_destination(martian)),
    }
}
