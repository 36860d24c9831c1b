//! IP packets of one vnet: its number, then packets, each behind its length (`u16`).

mod builder;

use std::mem::take;

pub use builder::PacketsBuilder;

use super::{FRAME_HEADER_LEN, FrameError, FrameType, MAX_RECORD_LEN, VnetId};
use crate::bytes::u16_at;

/// Length of the vnet number in front of the packets.
pub const PACKETS_HEADER_LEN: usize = size_of::<u16>();
/// Length of the length in front of each packet.
pub const PACKET_LENGTH_LEN: usize = size_of::<u16>();
/// Longest packet that fits a record.
pub const MAX_PACKET_LEN: usize = MAX_RECORD_LEN - FRAME_HEADER_LEN - PACKETS_HEADER_LEN - PACKET_LENGTH_LEN;
const _: () = assert!(MAX_PACKET_LEN == 16376);

const TRUNCATED: FrameError = FrameError::TruncatedBody { frame_type: FrameType::Packets };

/// Checks all lengths once, so that iterators need not fail. Gives the vnet and the number of packets.
#[inline]
fn check(body: &[u8]) -> Result<(VnetId, usize), FrameError> {
    if body.len() < PACKETS_HEADER_LEN {
        return Err(TRUNCATED);
    }
    let mut at = PACKETS_HEADER_LEN;
    let mut count = 0;
    while at < body.len() {
        if body.len() - at < PACKET_LENGTH_LEN {
            return Err(TRUNCATED);
        }
        let length = usize::from(u16_at(body, at));
        at += PACKET_LENGTH_LEN;
        if length == 0 {
            return Err(FrameError::EmptyPacket);
        }
        if body.len() - at < length {
            return Err(TRUNCATED);
        }
        at += length;
        count += 1;
    }
    Ok((VnetId(u16_at(body, 0)), count))
}

/// A packets frame, validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketsFrame<'a> {
    /// The vnet, by the sender's number.
    pub vnet: VnetId,
    packets: &'a [u8],
    count: usize,
}

impl<'a> PacketsFrame<'a> {
    /// Reads a packets frame's body.
    ///
    /// # Errors
    /// [`FrameError::TruncatedBody`], [`FrameError::EmptyPacket`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (vnet, count) = check(body)?;
        Ok(Self { vnet, packets: &body[PACKETS_HEADER_LEN..], count })
    }

    /// Number of packets.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The packets in their order.
    pub const fn iter(&self) -> PacketIter<'a> {
        PacketIter { rest: self.packets }
    }
}

/// The packets of a [`PacketsFrame`].
#[derive(Clone, Debug)]
pub struct PacketIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for PacketIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_at_checked(PACKET_LENGTH_LEN)?;
        let (packet, rest) = rest.split_at(usize::from(u16_at(length, 0)));
        self.rest = rest;
        Some(packet)
    }
}

/// A packets frame whose packets are handled in place, validated.
#[derive(Debug, PartialEq, Eq)]
pub struct PacketsFrameMut<'a> {
    /// The vnet, by the sender's number.
    pub vnet: VnetId,
    packets: &'a mut [u8],
    count: usize,
}

impl<'a> PacketsFrameMut<'a> {
    /// Reads a packets frame's body.
    ///
    /// # Errors
    /// [`FrameError::TruncatedBody`], [`FrameError::EmptyPacket`].
    pub fn parse(body: &'a mut [u8]) -> Result<Self, FrameError> {
        let (vnet, count) = check(body)?;
        Ok(Self { vnet, packets: &mut body[PACKETS_HEADER_LEN..], count })
    }

    /// Number of packets.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The packets in their order, to be changed.
    pub const fn iter_mut(&mut self) -> PacketIterMut<'_> {
        PacketIterMut { rest: self.packets }
    }
}

impl PacketsFrameMut<'_> {
    /// The packets in their order, to be looked at only.
    pub const fn iter(&self) -> PacketIter<'_> {
        PacketIter { rest: self.packets }
    }
}

impl<'a> IntoIterator for PacketsFrameMut<'a> {
    type Item = &'a mut [u8];
    type IntoIter = PacketIterMut<'a>;

    fn into_iter(self) -> PacketIterMut<'a> {
        PacketIterMut { rest: self.packets }
    }
}

/// The packets of a [`PacketsFrameMut`].
#[derive(Debug)]
pub struct PacketIterMut<'a> {
    rest: &'a mut [u8],
}

impl<'a> Iterator for PacketIterMut<'a> {
    type Item = &'a mut [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a mut [u8]> {
        let (length, rest) = take(&mut self.rest).split_at_mut_checked(PACKET_LENGTH_LEN)?;
        let (packet, rest) = rest.split_at_mut(usize::from(u16_at(length, 0)));
        self.rest = rest;
        Some(packet)
    }
}
