//! Sides of rules by the prefixes that they are made of.

use std::collections::{BTreeSet, HashMap};

use crate::address_set::{AddressSet, Block, Family};

/// Numbers for the prefixes of sides, and for sides of too many prefixes.
#[derive(Default)]
pub(super) struct Sides {
    blocks: HashMap<(Family, Block), u32>,
    sets: HashMap<AddressSet, u32>,
    lengths: [BTreeSet<u8>; 2],
}

impl Sides {
    /// The numbers of the prefixes of `set`, or one for the whole where there are more than `most`.
    pub(super) fn enter(&mut self, set: &AddressSet, most: usize) -> Vec<u32> {
        let family = set.family();
        let Some(blocks) = set.blocks(most) else {
            let next = self.next();
            return vec![*self.sets.entry(set.clone()).or_insert(next)];
        };
        let mut numbers = Vec::with_capacity(blocks.len());
        for block in blocks {
            let next = self.next();
            numbers.push(*self.blocks.entry((family, block)).or_insert(next));
            self.lengths[family as usize].insert(block.len);
        }
        numbers
    }

    fn next(&self) -> u32 {
        (self.blocks.len() + self.sets.len()) as u32
    }

    /// The numbers of what holds the first address of `set` with the prefix around it, and of the same set.
    pub(super) fn holders(&self, set: &AddressSet) -> Vec<u32> {
        let family = set.family();
        let Some(first) = set.first_block() else { return Vec::new() };
        let lengths = self.lengths[family as usize].range(..=first.len);
        let mut numbers: Vec<u32> = lengths
            .filter_map(|len| self.blocks.get(&(family, first.truncated(*len, family))).copied())
            .collect();
        // A set of one prefix is never entered whole.
        if !self.sets.is_empty() && set.blocks(1).is_none() {
            numbers.extend(self.sets.get(set));
        }
        numbers
    }
}
