//! Addresses as numbers: a space of 32 bits and one of 128, by one code.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};

use foldhash::quality::RandomState;
use gridway_config::Family;

/// An address of one family.
pub(super) trait Bits: Copy + Eq + Ord + Hash + Debug {
    const FAMILY: Family;

    /// From a number of [`gridway_config::AddressSet`].
    fn new(number: u128) -> Self;

    /// The mask of a prefix length.
    fn mask(len: u8) -> Self;

    #[must_use]
    fn and(self, mask: Self) -> Self;

    /// Whether the first `len` bits are the same.
    fn agrees(self, other: Self, len: u8) -> bool;

    /// Hash of a pair of addresses.
    fn digest(seed: &RandomState, source: Self, destination: Self) -> u32;
}

impl Bits for u32 {
    const FAMILY: Family = Family::V4;

    fn new(number: u128) -> Self {
        number as Self
    }

    #[inline]
    fn mask(len: u8) -> Self {
        (u64::MAX << (Self::BITS - u32::from(len))) as Self
    }

    #[inline]
    fn and(self, mask: Self) -> Self {
        self & mask
    }

    #[inline]
    fn agrees(self, other: Self, len: u8) -> bool {
        (self ^ other) & Self::mask(len) == 0
    }

    #[inline]
    fn digest(seed: &RandomState, source: Self, destination: Self) -> u32 {
        (seed.hash_one(u64::from(source) << 32 | u64::from(destination)) >> 32) as u32
    }
}

impl Bits for u128 {
    const FAMILY: Family = Family::V6;

    fn new(number: u128) -> Self {
        number
    }

    #[inline]
    fn mask(len: u8) -> Self {
        MASKS[usize::from(len)]
    }

    #[inline]
    fn and(self, mask: Self) -> Self {
        self & mask
    }

    #[inline]
    fn agrees(self, other: Self, len: u8) -> bool {
        (self ^ other) & Self::mask(len) == 0
    }

    #[inline]
    fn digest(seed: &RandomState, source: Self, destination: Self) -> u32 {
        (seed.hash_one((source, destination)) >> 32) as u32
    }
}

/// Looked up, because a shift of 128 bits takes longer.
const MASKS: [u128; 129] = {
    let mut masks = [0; 129];
    let mut len = 1;
    while len <= 128 {
        masks[len] = u128::MAX << (128 - len);
        len += 1;
    }
    masks
};
