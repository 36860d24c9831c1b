//! The ports of one shared address and protocol that are in use.

use rand::Rng;

const WORDS: usize = 1024;
/// Ports kept in a sorted list before a bitmap of all ports (8 KiB) is worth its memory.
const FEW: usize = 256;
/// Below this are the well-known ports, which are translated among themselves (RFC 4787, REQ-3 a).
const FIRST_UNPRIVILEGED: u16 = 1024;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Which ports may stand in for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    first: u16,
    last: u16,
    /// Only even ones, or only odd ones.
    even: Option<bool>,
}

impl Choice {
    /// As like `port` as can be: in its range (RFC 4787, REQ-3) and, with `parity`, of its parity (REQ-4).
    pub(super) fn like(port: u16, parity: bool) -> Self {
        let (first, last) = if port < FIRST_UNPRIVILEGED {
            (1, FIRST_UNPRIVILEGED - 1)
        } else {
            (FIRST_UNPRIVILEGED, u16::MAX)
        };
        Self { first, last, even: parity.then_some(port.is_multiple_of(2)) }
    }

    /// Any port that no service is known by.
    pub(super) const ANY: Self = Self { first: FIRST_UNPRIVILEGED, last: u16::MAX, even: None };

    fn mask(self) -> u64 {
        match self.even {
            None => u64::MAX,
            Some(true) => EVEN,
            Some(false) => !EVEN,
        }
    }
}

/// Ports in use.
#[derive(Debug)]
pub(super) enum Ports {
    Few(Vec<u16>),
    Many { count: usize, words: Box<[u64; WORDS]> },
}

impl Default for Ports {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Ports {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(ports) => ports.len(),
            Self::Many { count, .. } => *count,
        }
    }

    #[cfg(test)]
    fn contains(&self, port: u16) -> bool {
        match self {
            Self::Few(ports) => ports.binary_search(&port).is_ok(),
            Self::Many { words, .. } => words[usize::from(port) / 64] >> (port % 64) & 1 == 1,
        }
    }

    /// Takes `port`; false if it is taken.
    pub(super) fn insert(&mut self, port: u16) -> bool {
        if let Self::Few(ports) = self
            && ports.len() >= FEW
        {
            let mut words = Box::new([0; WORDS]);
            ports.iter().for_each(|port| words[usize::from(*port) / 64] |= 1 << (port % 64));
            *self = Self::Many { count: ports.len(), words };
        }
        match self {
            Self::Few(ports) => match ports.binary_search(&port) {
                Ok(_) => false,
                Err(place) => {
                    ports.insert(place, port);
                    true
                }
            },
            Self::Many { count, words } => {
                let (word, bit) = (&mut words[usize::from(port) / 64], 1 << (port % 64));
                let free = *word & bit == 0;
                *word |= bit;
                *count += usize::from(free);
                free
            }
        }
    }

    /// Frees `port`.
    pub(super) fn remove(&mut self, port: u16) {
        match self {
            Self::Few(ports) => {
                if let Ok(place) = ports.binary_search(&port) {
                    ports.remove(place);
                }
            }
            Self::Many { count, words } => {
                let (word, bit) = (&mut words[usize::from(port) / 64], 1 << (port % 64));
                *count -= usize::from(*word & bit != 0);
                *word &= !bit;
            }
        }
    }

    /// A free port of `choice`, at random. Looks at every port at most once.
    pub(super) fn free(&self, choice: Choice, random: &mut impl Rng) -> Option<u16> {
        let start = random.random_range(choice.first..=choice.last);
        let (first_word, last_word) = (usize::from(choice.first) / 64, usize::from(choice.last) / 64);
        let words = last_word - first_word + 1;
        let start_word = usize::from(start) / 64 - first_word;
        // The first word is looked at again at the end, for the ports before `start`.
        for step in 0..=words {
            let word = first_word + (start_word + step) % words;
            let mut free = !self.word(word) & choice.mask() & within(word, choice);
            if step == 0 {
                free &= u64::MAX << (start % 64);
            }
            if free != 0 {
                return Some((word * 64) as u16 + free.trailing_zeros() as u16);
            }
        }
        None
    }

    /// Sixty-four ports as bits.
    fn word(&self, word: usize) -> u64 {
        match self {
            Self::Few(ports) => {
                let base = word * 64;
                let from = ports.partition_point(|port| usize::from(*port) < base);
                ports[from..]
                    .iter()
                    .take_while(|port| usize::from(**port) < base + 64)
                    .fold(0, |bits, port| bits | 1 << (port % 64))
            }
            Self::Many { words, .. } => words[word],
        }
    }
}

/// The ports of a word that lie in the range of `choice`.
fn within(word: usize, choice: Choice) -> u64 {
    let mut bits = u64::MAX;
    if word == usize::from(choice.first) / 64 {
        bits &= u64::MAX << (choice.first % 64);
    }
    if word == usize::from(choice.last) / 64 {
        bits &= u64::MAX >> (63 - choice.last % 64);
    }
    bits
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_port_of_a_choice_is_found_and_then_none() {
        let mut random = StdRng::seed_from_u64(1);
        for (choice, count) in [
            (Choice::like(443, true), 512),
            (Choice::like(442, true), 511),
            (Choice::like(40_000, true), 32_256),
            (Choice::like(40_000, false), 64_512),
            (Choice::ANY, 64_512),
        ] {
            let mut ports = Ports::default();
            for _ in 0..count {
                let port = ports.free(choice, &mut random).expect("one is free");
                assert!((choice.first..=choice.last).contains(&port));
                assert!(choice.even.is_none_or(|even| even == port.is_multiple_of(2)));
                assert!(ports.insert(port));
            }
            assert_eq!(ports.free(choice, &mut random), None);
            assert_eq!(ports.len(), count);
        }
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u16..700), 0..2000)) {
            let (mut ports, mut model) = (Ports::default(), BTreeSet::new());
            for (insert, port) in steps {
                if insert {
                    prop_assert_eq!(ports.insert(port), model.insert(port));
                } else {
                    ports.remove(port);
                    model.remove(&port);
                }
                prop_assert_eq!(ports.len(), model.len());
                prop_assert_eq!(ports.contains(port), model.contains(&port));
            }
        }
    }
}
