//! A datagram as its sender sends it in fragments.

use super::{Header, Packet};

const FRAGMENT: u8 = 44;

impl Packet {
    /// A whole packet without options or extension headers in fragments that carry up to `size` bytes,
    /// rounded down to a multiple of 8 (at least 24, so that no TCP header is torn).
    #[must_use]
    pub fn split(&self, identification: u32, size: usize) -> Vec<Self> {
        let size = (size / 8 * 8).max(24);
        let count = self.payload.len().div_ceil(size).max(1);
        (0..count)
            .map(|index| {
                let (start, end) = (index * size, self.payload.len().min((index + 1) * size));
                let mut piece = self.clone();
                piece.payload = self.payload[start..end].to_vec();
                piece.piece.offset = start;
                piece.piece.more = index + 1 < count;
                piece.name_datagram(identification);
                piece
            })
            .collect()
    }

    /// Says in the header which part of which datagram this is.
    fn name_datagram(&mut self, identification: u32) {
        let (offset, more) = (self.piece.offset, self.piece.more);
        match &mut self.header {
            Header::V4 { identification: field, dont_fragment, .. } => {
                *field = identification as u16;
                *dont_fragment = false;
                self.piece.identification = (*field).into();
            }
            Header::V6 { next_header, extensions, .. } => {
                let word = u16::try_from(offset).expect("a multiple of 8 below 65,536") | u16::from(more);
                *next_header = FRAGMENT;
                *extensions = vec![self.protocol, 0];
                extensions.extend(word.to_be_bytes());
                extensions.extend(identification.to_be_bytes());
                self.piece.identification = if word == 0 { 0 } else { identification };
            }
        }
    }
}
