//! From the hash of a key to the slots that may hold it.
//!
//! Buckets of eight entries, one cache line each, two per key. An entry is one word: a tag of the
//! hash and the slot's number. Looking up reads one or two lines; entering and leaving is one atomic
//! exchange of one word. The tag only narrows the search: the slot's own key decides.
//!
//! An entry goes to its first bucket unless that is nearly full, then to the emptier one: so most look-ups that find
//! something read one line.

use std::sync::atomic::{AtomicU64, Ordering};

use gridway_prefetch::prefetch;

const ENTRIES: usize = 8;
/// Memory comes in pages of this many bytes, or larger ones.
const SMALLEST_PAGE: usize = 4096;
/// Entries from which on a bucket takes no more that can go elsewhere.
const NEARLY_FULL: usize = 6;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; ENTRIES]);

impl Bucket {
    fn len(&self) -> usize {
        self.0.iter().filter(|entry| entry.load(Ordering::Relaxed) != 0).count()
    }
}

/// The index of a flow table; every flow is entered twice, once for each direction.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Box<[Bucket]>,
    mask: u64,
}

/// Both buckets of a key are full.
#[derive(Debug)]
pub(super) struct BucketsFull;

impl Index {
    /// An index for `flows` flows, at most half full then.
    pub(super) fn new(flows: usize) -> Self {
        let buckets = (flows * 4).div_ceil(ENTRIES).next_power_of_two();
        Self {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            mask: buckets as u64 - 1,
        }
    }

    /// Has the kernel give memory to all of it while it is empty. Zeroed memory is only promised until it is written; the
    /// promise would be kept while a packet waits, for a huge page several milliseconds.
    pub(super) fn prepare(&mut self) {
        for bucket in self.buckets.iter().step_by(SMALLEST_PAGE / size_of::<Bucket>()) {
            bucket.0[0].store(0, Ordering::Release);
        }
    }

    fn first(&self, hash: u64) -> &Bucket {
        &self.buckets[(hash & self.mask) as usize]
    }

    fn second(&self, hash: u64) -> &Bucket {
        // It must not depend on the low bits that chose the first one.
        self.first(hash ^ (hash >> 32 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn pair(&self, hash: u64) -> [&Bucket; 2] {
        [self.first(hash), self.second(hash)]
    }

    /// The first result of `check` over the slots entered under `hash`.
    pub(super) fn find<T>(&self, hash: u64, mut check: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let tag = tag(hash);
        let mut find_in = |bucket: &Bucket| {
            bucket.0.iter().find_map(|entry| {
                let entry = entry.load(Ordering::Acquire);
                if entry & TAG_MASK == tag { check((entry & SLOT_MASK) as u32) } else { None }
            })
        };
        find_in(self.first(hash)).or_else(|| find_in(self.second(hash)))
    }

    /// Begins to load what [`Self::find`] reads first.
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.first(hash));
    }

    /// Enters `slot` under `hash`.
    pub(super) fn insert(&self, hash: u64, slot: u32) -> Result<(), BucketsFull> {
        let entry = tag(hash) | u64::from(slot);
        let mut pair = self.pair(hash);
        let [first, second] = pair.map(Bucket::len);
        if first >= NEARLY_FULL && second < first {
            pair.reverse();
        }
        for bucket in pair {
            for place in &bucket.0 {
                if place.compare_exchange(0, entry, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Ok(());
                }
            }
        }
        Err(BucketsFull)
    }

    /// Takes `slot` out from under `hash`; nothing happens if it is not there.
    pub(super) fn remove(&self, hash: u64, slot: u32) {
        let entry = tag(hash) | u64::from(slot);
        for bucket in self.pair(hash) {
            for place in &bucket.0 {
                if place.compare_exchange(entry, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return;
                }
            }
        }
    }
}

const SLOT_MASK: u64 = 0xffff_ffff;
const TAG_MASK: u64 = !SLOT_MASK;

/// The tag is never zero, so that no entry is: zero is an empty place.
fn tag(hash: u64) -> u64 {
    (hash & TAG_MASK) | 1 << 63
}
