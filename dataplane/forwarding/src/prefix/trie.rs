//! A multibit trie from addresses to the longest of a set of prefixes.
//!
//! Each step reads a **slot**, which names a prefix ([`NONE`] for none) or, with [`NODE`] set, the place of
//! a node. The root is an array of slots, one for every value of the first bits of an address; its size
//! suits the number of prefixes. A node stands for the next six bits: 64 slots, most of which repeat the
//! one before. So it holds a bitmap, in which bit `i` says that slot `i` differs from slot `i - 1` (bit 0 is
//! always set), and after it only the slots that differ: slot `i` is the one whose number is the count of
//! bits set up to `i`. Bitmap and slots lie side by side, mostly in one cache line, so that a step costs
//! one access to memory. A prefix whose length is no multiple of six is written to all slots it covers.
//!
//! The bitmap with popcount is that of poptrie (Asai and Ohara, SIGCOMM 2015), the run-length code that of
//! Degermark et al. (SIGCOMM 1997).

use super::bits::Bits;

/// Marks a slot that names a node.
const NODE: u32 = 1 << 31;
/// A slot without a prefix; the number of no entry.
pub(super) const NONE: u32 = NODE - 1;
/// Bits a node takes from an address.
const STRIDE: u32 = 6;

#[derive(Clone, Debug)]
pub(super) struct Trie {
    root_bits: u32,
    root: Box<[u32]>,
    /// Nodes: the bitmap, low half first, then the slots, two by two.
    pairs: Box<[[u32; 2]]>,
}

impl Trie {
    /// A trie over entries sorted by first address, then length, without duplicates; it answers with their
    /// numbers.
    pub(super) fn new<B: Bits>(bits: &[B], lengths: &[u8]) -> Self {
        Self::of_some(bits, lengths, |_| true)
    }

    /// The same over those entries only that `wanted` says yes to.
    pub(super) fn of_some<B: Bits>(bits: &[B], lengths: &[u8], wanted: impl Fn(usize) -> bool) -> Self {
        assert!(bits.len() < NONE as usize, "a slot has 31 bits for the number of an entry");
        let entries: Vec<u32> =
            (0..bits.len()).filter(|entry| wanted(*entry)).map(|entry| entry as u32).collect();
        let root_bits = match entries.len() {
            ..=256 => 6,
            257..=16_384 => 12,
            _ => 18,
        };
        let mut root = vec![NONE; 1 << root_bits].into_boxed_slice();
        let mut builder = Builder { bits, lengths, pairs: Vec::new() };
        builder.fill(&mut root, &entries, 0, root_bits);
        Self { root_bits, root, pairs: builder.pairs.into() }
    }

    /// The number of the longest prefix that contains `address`, or [`NONE`].
    #[inline(never)]
    pub(super) fn find<B: Bits>(&self, address: B) -> u32 {
        let mut slot = self.root[address.leading(self.root_bits)];
        let mut rest = address.skip(self.root_bits);
        while slot & NODE != 0 {
            let node = (slot & !NODE) as usize;
            let [low, high] = self.pairs[node];
            let bitmap = u64::from(low) | u64::from(high) << 32;
            let not_after = bitmap << (63 - rest.leading(STRIDE));
            let nth = not_after.count_ones() as usize + 1;
            slot = self.pairs[node + nth / 2][nth % 2];
            rest = rest.skip(STRIDE);
        }
        slot
    }
}

struct Builder<'a, B> {
    bits: &'a [B],
    lengths: &'a [u8],
    pairs: Vec<[u32; 2]>,
}

impl<B: Bits> Builder<'_, B> {
    /// Enters `entries` into `slots`, which tell apart the `stride` bits after the first `depth`. The entries
    /// share those first bits and are longer (or as long, at the root).
    fn fill(&mut self, slots: &mut [u32], mut entries: &[u32], depth: u32, stride: u32) {
        let end = depth + stride;
        let bits = self.bits;
        let slot_of = |entry: u32| bits[entry as usize].skip(depth).leading(stride);
        while let [entry, after @ ..] = entries {
            let slot = slot_of(*entry);
            let length = u32::from(self.lengths[*entry as usize]);
            if length <= end {
                // What it contains comes after it and is written over it.
                slots[slot..slot + (1 << (end - length))].fill(*entry);
                entries = after;
            } else {
                // All shorter prefixes of this slot came before: what it holds is its node's default.
                let same = entries.iter().take_while(|entry| slot_of(**entry) == slot).count();
                let (within, after) = entries.split_at(same);
                slots[slot] = self.node(within, end, slots[slot]);
                entries = after;
            }
        }
    }

    /// Writes the node for `entries`, whose first `depth` bits are the same, and returns the slot that names
    /// it. Where no entry is, `default` is the longest prefix.
    fn node(&mut self, entries: &[u32], depth: u32, default: u32) -> u32 {
        let mut slots = [default; 1 << STRIDE];
        self.fill(&mut slots, entries, depth, STRIDE);
        let differs = |i: usize| i == 0 || slots[i] != slots[i - 1];
        let bitmap = (0..slots.len()).filter(|i| differs(*i)).fold(0_u64, |bitmap, i| bitmap | 1 << i);
        let place = self.pairs.len();
        assert!(place < NODE as usize, "a slot has 31 bits for the place of a node");
        self.pairs.push([bitmap as u32, (bitmap >> 32) as u32]);
        let distinct: Vec<u32> = (0..slots.len()).filter(|i| differs(*i)).map(|i| slots[i]).collect();
        self.pairs.extend(distinct.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(NONE)]));
        place as u32 | NODE
    }
}
