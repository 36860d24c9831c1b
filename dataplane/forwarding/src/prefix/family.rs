//! The prefixes of one address family, and which contains which.

use ipnet::IpNet;

use super::bits::Bits;
use super::blocks::Blocks;
use super::trie::{NONE, Trie};

/// As long as there are no more prefixes than this, comparing them one by one is faster than a trie.
const SCANNED: usize = 8;

/// Sorted prefixes. An entry's number is its place in each of the arrays, which are apart so that a
/// look-up touches only what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Family<B, T> {
    /// First addresses. Entries are sorted by first address, then length: of the prefixes that contain
    /// an address, longer ones come later.
    bits: Box<[B]>,
    lengths: Box<[u8]>,
    /// The longest shorter prefix that contains the entry, or [`NONE`].
    parents: Box<[u32]>,
    values: Box<[T]>,
    index: Index,
}

/// How the longest prefix is found.
#[derive(Clone, Debug)]
enum Index {
    Scan,
    Trie(Trie),
    Blocks(Blocks),
}

/// The kinds of index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Scan,
    Trie,
    Blocks,
}

impl<B, T> Default for Family<B, T> {
    fn default() -> Self {
        Self {
            bits: Box::default(),
            lengths: Box::default(),
            parents: Box::default(),
            values: Box::default(),
            index: Index::Scan,
        }
    }
}

impl<B: Bits, T> Family<B, T> {
    /// Entries in any order: first address, length, value. Bits beyond the length are zero.
    pub(super) fn new(entries: Vec<(B, u8, T)>) -> Self {
        let kind = match entries.len() {
            ..=SCANNED => Kind::Scan,
            count if count < B::BLOCKS => Kind::Trie,
            _ => Kind::Blocks,
        };
        Self::with_index(entries, kind)
    }

    /// The same, with the kind of index chosen.
    pub(super) fn with_index(mut entries: Vec<(B, u8, T)>, kind: Kind) -> Self {
        entries.sort_by_key(|(bits, length, _)| (*bits, *length));
        let (mut bits, mut lengths) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        let mut values = Vec::with_capacity(entries.len());
        for (first, length, value) in entries {
            if let Some(last) = values.last_mut()
                && (bits.last(), lengths.last()) == (Some(&first), Some(&length))
            {
                *last = value;
            } else {
                bits.push(first);
                lengths.push(length);
                values.push(value);
            }
        }
        let index = match kind {
            Kind::Scan => Index::Scan,
            Kind::Trie => Index::Trie(Trie::new(&bits, &lengths)),
            Kind::Blocks => Index::Blocks(Blocks::new(&bits, &lengths)),
        };
        let parents = parents(&bits, &lengths);
        Self { bits: bits.into(), lengths: lengths.into(), parents, values: values.into(), index }
    }

    /// The number of the longest prefix that contains `address`, or [`NONE`]. Of the three ways only the
    /// blocks' is inlined: it matters most, and is shorter without the registers that the others need.
    #[inline]
    fn find(&self, address: B) -> u32 {
        match &self.index {
            Index::Scan => self.scan(address),
            Index::Trie(trie) => trie.find(address),
            Index::Blocks(blocks) => blocks.find(address),
        }
    }

    #[inline(never)]
    fn scan(&self, address: B) -> u32 {
        let entries = (0..).zip(self.bits.iter().zip(&self.lengths));
        // The last that contains it is the longest. To look at all is quicker than to guess where to end.
        entries.fold(
            NONE,
            |found, (entry, (bits, length))| {
                if address.truncate(*length) == *bits { entry } else { found }
            },
        )
    }

    #[inline]
    pub(super) fn longest(&self, address: B) -> Option<&T> {
        // No entry has the number NONE.
        self.values.get(self.find(address) as usize)
    }

    #[inline]
    pub(super) fn containing(&self, address: B) -> Containing<'_, T> {
        Containing {
            lengths: &self.lengths,
            parents: &self.parents,
            values: &self.values,
            next: Next::Entry(self.find(address)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let prefixes = self.bits.iter().zip(&self.lengths);
        prefixes.map(|(bits, length)| bits.prefix(*length)).zip(&self.values)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

/// The parent of each of the sorted prefixes.
fn parents<B: Bits>(bits: &[B], lengths: &[u8]) -> Box<[u32]> {
    // The entry before and all that contain it, shortest first.
    let mut open: Vec<u32> = Vec::new();
    let parent_of = |(entry, first): (u32, &B)| {
        let contains = |outer: &u32| {
            let outer = *outer as usize;
            first.truncate(lengths[outer]) == bits[outer]
        };
        while open.last().is_some_and(|outer| !contains(outer)) {
            open.pop();
        }
        let parent = open.last().copied().unwrap_or(NONE);
        open.push(entry);
        parent
    };
    (0..).zip(bits).map(parent_of).collect()
}

/// Lengths and values of the prefixes that contain an address, from the longest to the shortest.
#[derive(Clone, Debug)]
pub struct Containing<'a, T> {
    lengths: &'a [u8],
    parents: &'a [u32],
    values: &'a [T],
    next: Next,
}

/// A parent is looked up only when it is asked for: most ask for the longest prefix alone.
#[derive(Clone, Copy, Debug)]
enum Next {
    Entry(u32),
    ParentOf(u32),
}

impl<'a, T> Iterator for Containing<'a, T> {
    type Item = (u8, &'a T);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self.next {
            Next::Entry(entry) => entry,
            Next::ParentOf(entry) => *self.parents.get(entry as usize)?,
        };
        self.next = Next::ParentOf(entry);
        Some((*self.lengths.get(entry as usize)?, self.values.get(entry as usize)?))
    }
}
