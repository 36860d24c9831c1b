//! Values that may occur once.

use std::collections::HashMap;
use std::hash::Hash;

use crate::document::{Place, Section};
use crate::error::Problem;

/// The values seen so far, with their places.
pub(crate) struct Unique<T> {
    seen: HashMap<T, Place>,
}

impl<T: Hash + Eq + ToString> Unique<T> {
    pub(crate) fn new() -> Self {
        Self { seen: HashMap::new() }
    }

    /// Refuses `key` of `section` if its value was seen before.
    pub(crate) fn check(&mut self, section: &Section<'_>, key: &str, value: T) {
        if let Some(first) = self.seen.get(&value) {
            let (field, line) = (first.field.clone(), first.line);
            section.refuse_key(key, Problem::Duplicate { found: value.to_string(), first: field, line });
        } else {
            self.seen.insert(value, section.place_of(key));
        }
    }
}
