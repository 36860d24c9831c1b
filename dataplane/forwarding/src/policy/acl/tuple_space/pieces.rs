//! A rule's sides as prefixes that can be masked and hashed.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use gridway_config::{AclRule, AddressMatch, AddressSet, Block, Family};

/// Most pieces that one rule is entered as; fewer when many rules have several.
const MOST: [usize; 4] = [64, 16, 4, 1];
/// Pieces that all rules may have together, for each rule and beside that.
const EACH: usize = 2;
const BESIDE: usize = 1 << 14;

/// A prefix of a side, and the set that is left to be verified where the prefix is wider than the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Side {
    pub(super) prefix: Block,
    /// Number of a set of [`Pieces`].
    pub(super) set: Option<u32>,
}

/// A pair of prefixes that a rule is entered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    pub(super) source: Side,
    pub(super) destination: Side,
}

/// All rules in pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Indices of rules, ascending, each with one of its pieces.
    pub(super) list: Vec<(u32, Piece)>,
    /// Sets that pieces name.
    pub(super) sets: Vec<AddressSet>,
}

impl Pieces {
    /// The pieces of the rules that can match addresses of `family`.
    pub(super) fn new(rules: &[AclRule], family: Family) -> Self {
        let budget = rules.len() * EACH + BESIDE;
        let in_budget = MOST.into_iter().find_map(|most| Self::cut(rules, family, most, budget));
        in_budget.expect("one piece a rule is within the budget")
    }

    /// `None`: more than `budget` in all.
    fn cut(rules: &[AclRule], family: Family, most: usize, budget: usize) -> Option<Self> {
        let mut list = Vec::with_capacity(rules.len());
        let mut sets = Sets { numbers: HashMap::default() };
        for (index, rule) in rules.iter().enumerate() {
            let (source, destination) =
                (Matched::new(&rule.source, family), Matched::new(&rule.destination, family));
            let (for_source, for_destination) = shares(source.count(most), destination.count(most), most);
            let sources = source.sides(for_source, &mut sets);
            let destinations = destination.sides(for_destination, &mut sets);
            if list.len() + sources.len() * destinations.len() > budget {
                return None;
            }
            for source in sources {
                let pair = |destination: &Side| (index as u32, Piece { source, destination: *destination });
                list.extend(destinations.iter().map(pair));
            }
        }
        let mut numbered: Vec<_> = sets.numbers.into_iter().collect();
        numbered.sort_unstable_by_key(|(_, number)| *number);
        Some(Self { list, sets: numbered.into_iter().map(|(set, _)| set).collect() })
    }
}

/// How many pieces each side gets, so that their product is at most `most`.
fn shares(source: usize, destination: usize, most: usize) -> (usize, usize) {
    if source * destination <= most {
        return (source, destination);
    }
    let half = most.isqrt();
    match (source <= half, destination <= half) {
        (true, _) => (source, most / source.max(1)),
        (_, true) => (most / destination.max(1), destination),
        _ => (half, half),
    }
}

/// The addresses that a side matches.
enum Matched {
    /// What nearly all sides are.
    One(Block),
    Set(AddressSet),
}

impl Matched {
    fn new(side: &AddressMatch, family: Family) -> Self {
        match side.prefixes.as_slice() {
            [] => Self::One(Block { bits: 0, len: 0 }),
            [prefix] if !side.negated => {
                let (of, bits) = Family::of(prefix.network());
                if of == family {
                    Self::One(Block { bits, len: prefix.prefix_len() })
                } else {
                    Self::Set(AddressSet::empty(family))
                }
            }
            _ => Self::Set(AddressSet::of(side, family)),
        }
    }

    /// Its prefixes; one more than `most` when there are more.
    fn count(&self, most: usize) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Set(set) => set.blocks(most).map_or(most + 1, |blocks| blocks.len()),
        }
    }

    /// At most `most` prefixes: its own, or wider ones that leave it to be verified.
    fn sides(&self, most: usize, sets: &mut Sets) -> Vec<Side> {
        let set = match self {
            Self::One(prefix) => return vec![Side { prefix: *prefix, set: None }],
            Self::Set(set) => set,
        };
        if let Some(blocks) = set.blocks(most) {
            return blocks.into_iter().map(|prefix| Side { prefix, set: None }).collect();
        }
        // The longest prefixes that are few enough: fewer bits never make more prefixes.
        let (mut fits, mut too_many) = (0, set.family().width());
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            match set.widened(middle).blocks(most) {
                Some(_) => fits = middle,
                None => too_many = middle,
            }
        }
        let number = Some(sets.number(set));
        let wider = set.widened(fits).blocks(most).expect("at length 0 there is one");
        wider.into_iter().map(|prefix| Side { prefix, set: number }).collect()
    }
}

/// Numbers for sets; equal ones, as those of an object that many rules name, share theirs.
struct Sets {
    numbers: HashMap<AddressSet, u32, RandomState>,
}

impl Sets {
    fn number(&mut self, set: &AddressSet) -> u32 {
        if let Some(number) = self.numbers.get(set) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(set.clone(), number);
        number
    }
}
