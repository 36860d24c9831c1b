//! Netlink datagrams: taking them apart and reading them from a socket.

use std::io;

use netlink_packet_core::{NetlinkBuffer, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;

/// Larger than any datagram the kernel builds for a dump (32 KiB) or a notification.
const DATAGRAM: usize = 64 << 10;
/// netlink(7): `NLMSG_ALIGNTO`.
const ALIGNMENT: usize = 4;

/// One message within a datagram.
pub(crate) struct Raw<'a> {
    /// `nlmsg_type`, for instance `RTM_NEWROUTE`.
    pub(crate) kind: u16,
    bytes: &'a [u8],
}

impl Raw<'_> {
    /// The whole message; `None` when it is malformed or of a kind unknown to rtnetlink.
    pub(crate) fn decode(&self) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
        NetlinkMessage::deserialize(self.bytes)
            .inspect_err(|error| tracing::debug!(kind = self.kind, %error, "netlink message skipped"))
            .ok()
    }
}

/// The messages of a datagram; the last one is `None` when the datagram ends in something that is no message.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Option<Raw<'_>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Ok(header) = NetlinkBuffer::new_checked(rest) else {
            rest = &[];
            return Some(None);
        };
        let (kind, length) = (header.message_type(), header.length() as usize);
        let (Some(bytes), next) = (rest.get(..length), length.next_multiple_of(ALIGNMENT)) else {
            rest = &[];
            return Some(None);
        };
        rest = rest.get(next..).unwrap_or_default();
        Some(Some(Raw { kind, bytes }))
    })
}

/// A buffer for one datagram.
pub(crate) struct Datagram(Vec<u8>);

impl Datagram {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(DATAGRAM))
    }

    /// Reads one datagram of the kernel's; `None` when it came from another sender or was cut off.
    pub(crate) fn receive(&mut self, socket: &Socket) -> io::Result<Option<&[u8]>> {
        self.0.clear();
        let (length, sender) = socket.recv_from(&mut self.0, libc::MSG_TRUNC)?;
        Ok((sender.port_number() == 0 && length == self.0.len()).then_some(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds of the messages, 0 for what is malformed.
    fn kinds(datagram: &[u8]) -> Vec<u16> {
        messages(datagram).map(|message| message.map_or(0, |raw| raw.kind)).collect()
    }

    fn message(length: u32, kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn takes_a_datagram_apart() {
        let datagram = [message(18, 24, &[1, 2, 0, 0]), message(16, 28, &[])].concat();
        assert_eq!(kinds(&datagram), [24, 28]);
    }

    #[test]
    fn lengths_that_lie_end_the_datagram() {
        assert_eq!(kinds(&[message(16, 24, &[]), message(40, 28, &[])].concat()), [24, 0]);
        assert_eq!(kinds(&message(0, 24, &[])), [0]);
        assert_eq!(kinds(&message(u32::MAX, 24, &[])), [0]);
        assert_eq!(kinds(&[1, 2, 3]), [0]);
        assert_eq!(kinds(&[]), [0; 0]);
    }

    #[test]
    fn every_truncation_of_a_message_is_skipped_without_a_panic() {
        // RTM_NEWNEIGH for 10.0.0.1 with an address and a MAC attribute.
        let mut payload = vec![2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 1];
        payload.extend([8, 0, 1, 0, 10, 0, 0, 1, 10, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0, 0]);
        for kind in [16, 20, 24, 28] {
            for length in 0..=payload.len() {
                for flipped in 0..length {
                    let mut bytes = payload[..length].to_vec();
                    bytes[flipped] ^= 0xff;
                    let datagram = message(16 + length as u32, kind, &bytes);
                    let raw = messages(&datagram).next().flatten().expect("a framed message");
                    let _ = raw.decode();
                }
            }
        }
        let whole = message(16 + payload.len() as u32, 28, &payload);
        assert!(messages(&whole).next().flatten().and_then(|raw| raw.decode()).is_some());
    }
}
