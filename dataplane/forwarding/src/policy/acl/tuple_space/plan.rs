//! Which tables there are, and which key goes into which.
//!
//! The tables are found one after the other: of a grid of mask lengths that pair is taken which finds
//! room for most of the keys left, where a run may hold a few of them only.

use foldhash::quality::RandomState;

use super::bits::Bits;

/// Keys that a run may hold while tables are few.
const RUN: u32 = 24;
/// Mask lengths of a side that are tried for a table.
const TRIED: usize = 8;
/// A table that takes a smaller part than one in this many of the keys left is not worth asking; runs
/// are made longer.
const WORTH: usize = 16;

/// A pair of prefixes to be entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<A> {
    pub(super) source: A,
    pub(super) source_len: u8,
    pub(super) destination: A,
    pub(super) destination_len: u8,
}

/// A table: its mask lengths, and indices of the keys in it.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) source_len: u8,
    pub(super) destination_len: u8,
    pub(super) keys: Vec<u32>,
}

/// Finds tables for all keys.
pub(super) fn plan<A: Bits>(keys: &[Key<A>], seed: &RandomState) -> Vec<Planned> {
    let mut left: Vec<u32> = (0..keys.len() as u32).collect();
    // Where a run has no room for all, those that fit into few tables come first.
    left.sort_by_key(|index| {
        let key = &keys[*index as usize];
        u16::from(key.source_len) + u16::from(key.destination_len)
    });
    let mut tables = Vec::new();
    let mut run = RUN;
    let mut counts = Vec::new();
    while !left.is_empty() {
        let (source_len, destination_len, room) = best_lengths(keys, &left, seed, run, &mut counts);
        if room * WORTH < left.len() {
            run = run.saturating_mul(2);
            continue;
        }
        let mut planned = Planned { source_len, destination_len, keys: Vec::with_capacity(room) };
        reset(&mut counts, left.len());
        left.retain(|index| {
            let key = &keys[*index as usize];
            let fits = key.fits(source_len, destination_len) && {
                let count = count(&mut counts, key.digest(seed, source_len, destination_len));
                *count += 1;
                *count <= run
            };
            if fits {
                planned.keys.push(*index);
            }
            !fits
        });
        tables.push(planned);
    }
    tables
}

impl<A: Bits> Key<A> {
    /// Whether masks of these lengths take no bit that the key does not have.
    fn fits(&self, source_len: u8, destination_len: u8) -> bool {
        self.source_len >= source_len && self.destination_len >= destination_len
    }

    /// Hash under masks of these lengths.
    pub(super) fn digest(&self, seed: &RandomState, source_len: u8, destination_len: u8) -> u32 {
        A::digest(seed, self.source.and(A::mask(source_len)), self.destination.and(A::mask(destination_len)))
    }
}

/// The pair of lengths with room for most keys, and for how many.
fn best_lengths<A: Bits>(
    keys: &[Key<A>],
    left: &[u32],
    seed: &RandomState,
    run: u32,
    counts: &mut Vec<u32>,
) -> (u8, u8, usize) {
    let sources = lengths(left.iter().map(|index| keys[*index as usize].source_len));
    let destinations = lengths(left.iter().map(|index| keys[*index as usize].destination_len));
    let mut best = (0, 0, 0);
    for source_len in sources {
        for destination_len in &destinations {
            reset(counts, left.len());
            let fitting = left.iter().map(|index| &keys[*index as usize]);
            for key in fitting.filter(|key| key.fits(source_len, *destination_len)) {
                *count(counts, key.digest(seed, source_len, *destination_len)) += 1;
            }
            let room = counts.iter().map(|count| *count.min(&run) as usize).sum();
            if room > best.2 {
                best = (source_len, *destination_len, room);
            }
        }
    }
    best
}

/// Counters for the runs of `keys` keys. Two runs rarely share one; then the table has less room.
fn reset(counts: &mut Vec<u32>, keys: usize) {
    counts.clear();
    counts.resize((keys * 2).next_power_of_two(), 0);
}

fn count(counts: &mut [u32], digest: u32) -> &mut u32 {
    let mask = counts.len() - 1;
    &mut counts[digest as usize & mask]
}

/// Up to [`TRIED`] of the lengths that occur, longest first: the shortest, and as many keys between one
/// and the next.
fn lengths(of: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut sorted: Vec<u8> = of.collect();
    sorted.sort_unstable();
    let mut tried: Vec<u8> = (0..TRIED).map(|part| sorted[part * sorted.len() / TRIED]).collect();
    tried.dedup();
    tried.reverse();
    tried
}
