//! Numbers and names of the sender's vnets.

use super::{FrameError, FrameType, VnetId, split_name};
use crate::bytes::u16_at;

/// Most entries of one frame.
pub const MAX_VNET_MAP_ENTRIES: usize = 1024;
/// Flag: the map goes on in the next vnet map frame. Without it the map is complete and replaces the former.
pub const VNET_MAP_MORE: u8 = 0x01;

const ID_LEN: usize = size_of::<u16>();

/// A vnet and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnetMapEntry<'a> {
    /// The number.
    pub id: VnetId,
    /// Name of the vnet, a DNS label.
    pub name: &'a str,
}

impl VnetMapEntry<'_> {
    /// Length of the entry in a frame.
    pub(super) fn len(&self) -> usize {
        ID_LEN + 1 + self.name.len()
    }
}

/// A vnet map frame, validated: its iterator cannot fail. Numbers may repeat; what that means is for who keeps
/// the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnetMap<'a> {
    /// The map goes on in the next frame.
    pub more: bool,
    entries: &'a [u8],
    count: usize,
}

impl<'a> VnetMap<'a> {
    /// Reads a vnet map's flags and body.
    ///
    /// # Errors
    /// [`FrameError::TruncatedBody`], [`FrameError::BadName`], [`FrameError::TooManyEntries`].
    pub fn parse(flags: u8, body: &'a [u8]) -> Result<Self, FrameError> {
        let mut rest = body;
        let mut count = 0;
        while !rest.is_empty() {
            if count == MAX_VNET_MAP_ENTRIES {
                return Err(FrameError::TooManyEntries);
            }
            (_, rest) = split_entry(rest)?;
            count += 1;
        }
        Ok(Self { more: flags & VNET_MAP_MORE != 0, entries: body, count })
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries in their order.
    pub const fn iter(&self) -> VnetMapIter<'a> {
        VnetMapIter { rest: self.entries }
    }
}

impl<'a> IntoIterator for VnetMap<'a> {
    type Item = VnetMapEntry<'a>;
    type IntoIter = VnetMapIter<'a>;

    fn into_iter(self) -> VnetMapIter<'a> {
        self.iter()
    }
}

/// The entries of a [`VnetMap`].
#[derive(Clone, Debug)]
pub struct VnetMapIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for VnetMapIter<'a> {
    type Item = VnetMapEntry<'a>;

    fn next(&mut self) -> Option<VnetMapEntry<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (entry, rest) = split_entry(self.rest).expect("the map was walked when it was read");
        self.rest = rest;
        Some(entry)
    }
}

fn split_entry(bytes: &[u8]) -> Result<(VnetMapEntry<'_>, &[u8]), FrameError> {
    let (id, rest) =
        bytes.split_at_checked(ID_LEN).ok_or(FrameError::TruncatedBody { frame_type: FrameType::VnetMap })?;
    let (name, rest) = split_name(rest, FrameType::VnetMap)?;
    Ok((VnetMapEntry { id: VnetId(u16_at(id, 0)), name }, rest))
}
