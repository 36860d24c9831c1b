//! For the largest IPv4 tables: the longest prefix from half a cache line.
//!
//! The first 18 bits of an address choose a **block**, the next six one of its 64 places. Entries are
//! sorted, so those of 19 to 24 bits within a block have consecutive numbers, at most 126 of them when no
//! longer ones lie between: the block has the first one's number, and each place a byte with what to add to
//! it ([`AROUND`]: nothing within the block, but the shorter prefix around it). Neighbouring places mostly
//! have the same byte: as in a node of the trie, a bitmap tells which differ from the one before, and only
//! those bytes are kept.
//!
//! [`REST`] in a byte says that some of its addresses belong to prefixes which the bytes cannot tell: longer
//! than 24 bits, or too far from the first of the block. A [`Trie`] has those, and what it finds is longer
//! than what the byte says: whatever lies within a prefix comes after it, so if the bytes cannot tell a
//! prefix, they cannot tell those within it either.
//!
//! The blocks take 8 MiB however many prefixes there are, and 64 bytes more for each that is crowded.

use super::bits::Bits;
use super::trie::{NONE, Trie};

/// Bits of an address that choose a block.
const BLOCK_BITS: u32 = 18;
/// Bits of an address that choose a place within it.
const PLACE_BITS: u32 = 6;
const PLACES: usize = 1 << PLACE_BITS;
/// Bytes a block has room for.
const KEPT: usize = 16;
/// In the low seven bits of a byte: the shorter prefix around the block.
const AROUND: u8 = 0x7f;
/// In a byte: ask the trie first.
const REST: u8 = 0x80;

/// All blocks.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    blocks: Box<[Block; 1 << BLOCK_BITS]>,
    crowded: Box<[[u8; PLACES]]>,
    rest: Option<Trie>,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Block {
    /// Places whose byte differs from the one before, and the first; none of a crowded block.
    changes: u64,
    /// Number of the first entry within.
    first: u32,
    /// Number of the entry around it less [`AROUND`], so that adding a byte is right for it, too.
    around: u32,
    /// Bytes of the places in `changes`; of a crowded block its index, little-endian.
    bytes: [u8; KEPT],
}

impl Blocks {
    /// Over entries sorted by first address, then length, without duplicates.
    pub(super) fn new<B: Bits>(bits: &[B], lengths: &[u8]) -> Self {
        let block_of = |entry: usize| bits[entry].leading(BLOCK_BITS);
        let mut blocks = vec![Block::within(NONE); 1 << BLOCK_BITS];
        let mut crowded = Vec::new();
        let mut rest = vec![false; bits.len()];
        let mut entry = 0;
        while entry < bits.len() {
            let (block, length) = (block_of(entry), u32::from(lengths[entry]));
            if length <= BLOCK_BITS {
                // What it contains comes after it and is written over it.
                blocks[block..block + (1 << (BLOCK_BITS - length))].fill(Block::within(entry as u32));
                entry += 1;
                continue;
            }
            let first = entry;
            let mut places = [AROUND; PLACES];
            while entry < bits.len() && block_of(entry) == block {
                let length = u32::from(lengths[entry]);
                let place = bits[entry].skip(BLOCK_BITS).leading(PLACE_BITS);
                let covered = 1 << (BLOCK_BITS + PLACE_BITS).saturating_sub(length);
                let covered = &mut places[place..place + covered];
                let add = entry - first;
                if length <= BLOCK_BITS + PLACE_BITS && add < usize::from(AROUND) {
                    covered.fill(add as u8);
                } else {
                    covered.iter_mut().for_each(|byte| *byte |= REST);
                    rest[entry] = true;
                }
                entry += 1;
            }
            blocks[block].first = first as u32;
            blocks[block].write(&places, &mut crowded);
        }
        let rest = rest.contains(&true).then(|| Trie::of_some(bits, lengths, |entry| rest[entry]));
        let blocks = blocks.into_boxed_slice().try_into().map_err(|_| "length");
        Self { blocks: blocks.expect("made with as many"), crowded: crowded.into(), rest }
    }

    /// The number of the longest prefix that contains `address`, or [`NONE`].
    #[inline]
    pub(super) fn find<B: Bits>(&self, address: B) -> u32 {
        let block = &self.blocks[address.leading(BLOCK_BITS)];
        let place = address.skip(BLOCK_BITS).leading(PLACE_BITS);
        let byte = if block.changes == 0 {
            self.crowded[block.index()][place]
        } else {
            let up_to = block.changes << (PLACES - 1 - place);
            block.bytes[(up_to.count_ones() as usize - 1) % KEPT]
        };
        let entry = block.entry(byte);
        if byte & REST == 0 { entry } else { self.find_in_rest(address, entry) }
    }

    /// Not inlined, so that the other way stays short.
    #[inline(never)]
    fn find_in_rest<B: Bits>(&self, address: B, shorter: u32) -> u32 {
        match self.rest.as_ref().map_or(NONE, |rest| rest.find(address)) {
            NONE => shorter,
            longer => longer,
        }
    }
}

impl Block {
    /// A block with nothing but the entry around it.
    fn within(around: u32) -> Self {
        let around = around.wrapping_sub(u32::from(AROUND));
        Self { changes: 1, first: NONE, around, bytes: [AROUND; KEPT] }
    }

    fn write(&mut self, places: &[u8; PLACES], crowded: &mut Vec<[u8; PLACES]>) {
        let differs = |place: &usize| *place == 0 || places[*place] != places[*place - 1];
        let changes = || (0..PLACES).filter(differs);
        if changes().count() > KEPT {
            self.changes = 0;
            self.bytes[..4].copy_from_slice(&(crowded.len() as u32).to_le_bytes());
            crowded.push(*places);
        } else {
            self.changes = changes().fold(0, |bitmap, place| bitmap | 1 << place);
            for (byte, place) in self.bytes.iter_mut().zip(changes()) {
                *byte = places[place];
            }
        }
    }

    /// Where a crowded block's bytes are.
    fn index(&self) -> usize {
        let [a, b, c, d, ..] = self.bytes;
        u32::from_le_bytes([a, b, c, d]) as usize
    }

    /// The number of the entry that a byte means.
    fn entry(&self, byte: u8) -> u32 {
        let add = byte & AROUND;
        let base = if add == AROUND { self.around } else { self.first };
        base.wrapping_add(u32::from(add))
    }
}
