//! Replaces the content of a map without an instant in which it holds less than both the old and the new have
//! in common.

use std::{borrow::BorrowMut, collections::BTreeSet};

use aya::{
    Pod,
    maps::{HashMap, LpmTrie, MapData, MapError},
};

use crate::{
    SteerError,
    keys::{self, Prefix, PrefixData},
};

/// A map that is used as a set.
pub(crate) trait SetMap {
    /// Member, in a form that sorts.
    type Member: Ord + Copy;

    fn members(&self) -> Result<BTreeSet<Self::Member>, MapError>;
    fn add(&mut self, member: Self::Member) -> Result<(), MapError>;
    fn discard(&mut self, member: Self::Member) -> Result<(), MapError>;
}

impl<T: BorrowMut<MapData>, K: Pod + Ord> SetMap for HashMap<T, K, u8> {
    type Member = K;

    fn members(&self) -> Result<BTreeSet<K>, MapError> {
        self.keys().collect()
    }

    fn add(&mut self, member: K) -> Result<(), MapError> {
        self.insert(member, 1, 0)
    }

    fn discard(&mut self, member: K) -> Result<(), MapError> {
        self.remove(&member)
    }
}

impl<T: BorrowMut<MapData>> SetMap for LpmTrie<T, PrefixData, u8> {
    type Member = Prefix;

    fn members(&self) -> Result<BTreeSet<Prefix>, MapError> {
        self.keys().map(|key| key.map(keys::from_trie_key)).collect()
    }

    fn add(&mut self, member: Prefix) -> Result<(), MapError> {
        self.insert(&keys::trie_key(member), 1, 0)
    }

    fn discard(&mut self, member: Prefix) -> Result<(), MapError> {
        self.remove(&keys::trie_key(member))
    }
}

/// Names and bounds of a set, for its errors.
pub(crate) struct SetKind {
    pub(crate) map: &'static str,
    pub(crate) what: &'static str,
    pub(crate) limit: u32,
}

/// Makes `wanted` the content of `map`: what is new goes in first, then what is gone goes out. The map has
/// room for both. An error leaves a mixture, which the next call sorts out, since it reads the map anew.
pub(crate) fn replace<M: SetMap>(
    map: &mut M,
    kind: &SetKind,
    wanted: &BTreeSet<M::Member>,
) -> Result<(), SteerError> {
    let limit = kind.limit as usize;
    if wanted.len() > limit {
        return Err(SteerError::TooMany { set: kind.what, count: wanted.len(), limit });
    }
    exchange(map, wanted).map_err(|source| SteerError::Map { map: kind.map, source })
}

fn exchange<M: SetMap>(map: &mut M, wanted: &BTreeSet<M::Member>) -> Result<(), MapError> {
    let present = map.members()?;
    wanted.difference(&present).try_for_each(|&member| map.add(member))?;
    present.difference(wanted).try_for_each(|&member| map.discard(member))
}
