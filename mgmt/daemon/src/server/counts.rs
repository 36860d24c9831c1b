//! How many of something each holder has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by holder; those who have none are not remembered.
#[derive(Debug)]
pub(super) struct Counts<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<K: Eq + Hash> {
    counts: Arc<Counts<K>>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Counts<K> {
    /// One more of `holder`; `None` if it has `most` already.
    pub(super) fn enter(self: Arc<Self>, holder: K, most: usize) -> Option<Counted<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&holder).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        counts.insert(holder.clone(), count + 1);
        drop(counts);
        Some(Counted { counts: self, holder })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_bounded_each_alone_and_forgotten_when_they_have_none() {
        let counts = Arc::<Counts<&str>>::default();
        let held: Vec<_> = (0..2).map(|_| counts.clone().enter("a", 2).unwrap()).collect();
        assert!(counts.clone().enter("a", 2).is_none());
        assert!(counts.clone().enter("b", 2).is_some());
        drop(held);
        assert!(counts.0.lock().unwrap().is_empty());
        assert!(counts.enter("a", 2).is_some());
    }
}
