//! The tables of one family, and how they are asked.

use std::collections::HashMap;

use foldhash::fast;
use foldhash::quality::RandomState;
use gridway_config::{AclRule, AddressSet};
use gridway_prefetch::prefetch;
use gridway_wire::protocol::Protocol;

use super::NO_RULE;
use super::bits::Bits;
use super::group::Choices;
use super::pieces::{Piece, Pieces, Side};
use super::plan::{self, Key, Planned};

/// Rules of a group up to which each has an entry of its own.
const SMALL_GROUP: usize = 4;
/// Tables whose slots are loaded together: a search mostly ends within them.
const AHEAD: usize = 4;
/// Stands for nothing where a number of another list could be.
const NONE: u32 = u32::MAX;

/// All rules that can match addresses of one family.
#[derive(Debug)]
pub(super) struct Space<A> {
    seed: RandomState,
    /// By their best rules.
    tables: Vec<Table<A>>,
    slots: Vec<Slot>,
    entries: Vec<Entry<A>>,
    choices: Choices,
    /// Pairs of indices of sets, each of which may be [`NONE`].
    sides: Vec<[u32; 2]>,
    sets: Vec<Ranges<A>>,
}

/// A hash table of one pair of masks.
#[derive(Debug)]
struct Table<A> {
    source_mask: A,
    destination_mask: A,
    /// The first rule of all entries.
    best: u32,
    /// Its slots are `slots[first_slot..=first_slot + slot_mask]`.
    first_slot: u32,
    slot_mask: u32,
}

impl<A> Table<A> {
    /// Where a digest's slot is, or where the search for it begins.
    fn place(&self, digest: u32) -> usize {
        (self.first_slot + (digest & self.slot_mask)) as usize
    }
}

/// A run of entries whose masked addresses have one hash.
#[derive(Clone, Copy, Debug)]
struct Slot {
    digest: u32,
    /// First entry; [`NONE`] where the slot is free.
    run: u32,
}

/// One rule, or a group of rules, in one place.
#[derive(Clone, Copy, Debug)]
struct Entry<A> {
    source: A,
    destination: A,
    /// The rule, or the first of the group. Ascending within a run.
    best: u32,
    /// Index of the group's choice, or [`NONE`] for one rule.
    choice: u32,
    /// Index of the pair of sets that the addresses must be in as well, or [`NONE`].
    sides: u32,
    first_port: u16,
    more_ports: u16,
    protocol: u16,
    source_len: u8,
    destination_len: u8,
    /// The run ends here.
    last: bool,
}

const ANY_PROTOCOL: u16 = 256;

struct Packet<A> {
    source: A,
    destination: A,
    protocol: Protocol,
    port: u16,
}

/// First and last addresses, ascending.
type Ranges<A> = Box<[(A, A)]>;

impl<A: Bits> Space<A> {
    pub(super) fn new(rules: &[AclRule]) -> Self {
        let pieces = Pieces::new(rules, A::FAMILY);
        let mut numbers: HashMap<Piece, u32, fast::RandomState> = HashMap::default();
        let mut groups: Vec<(Piece, Vec<u32>)> = Vec::new();
        for (rule, piece) in pieces.list {
            let number = *numbers.entry(piece).or_insert(groups.len() as u32);
            match groups.get_mut(number as usize) {
                Some((_, members)) => members.push(rule),
                None => groups.push((piece, vec![rule])),
            }
        }
        drop(numbers);
        let seed = RandomState::default();
        let key = |(piece, _): &(Piece, Vec<u32>)| Key {
            source: A::new(piece.source.prefix.bits),
            source_len: piece.source.prefix.len,
            destination: A::new(piece.destination.prefix.bits),
            destination_len: piece.destination.prefix.len,
        };
        let keys: Vec<Key<A>> = groups.iter().map(key).collect();
        let mut space = Self {
            seed,
            tables: Vec::new(),
            slots: Vec::new(),
            entries: Vec::with_capacity(groups.len()),
            choices: Choices::default(),
            sides: Vec::new(),
            sets: pieces.sets.iter().map(ranges).collect(),
        };
        let planned = plan::plan(&keys, &space.seed);
        let mut builder = Builder { rules, groups: &groups, keys: &keys, sides: HashMap::default() };
        for table in planned {
            builder.add(&mut space, table);
        }
        space.tables.sort_by_key(|table| table.best);
        space
    }

    pub(super) fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The first rule that matches, or [`NO_RULE`].
    pub(super) fn first_match(&self, source: A, destination: A, protocol: Protocol, port: u16) -> u32 {
        let mut best = NO_RULE;
        let packet = Packet { source, destination, protocol, port };
        let mut digests = [0; AHEAD];
        for tables in self.tables.chunks(AHEAD) {
            let asked = tables.iter().take_while(|table| table.best < best);
            for (digest, table) in digests.iter_mut().zip(asked) {
                let key = (source.and(table.source_mask), destination.and(table.destination_mask));
                *digest = A::digest(&self.seed, key.0, key.1);
                prefetch(&self.slots[table.place(*digest)]);
            }
            for (digest, table) in digests.iter().zip(tables) {
                if table.best >= best {
                    return best;
                }
                let Some(run) = self.find(table, *digest) else { continue };
                for entry in &self.entries[run as usize..] {
                    if entry.best >= best {
                        break;
                    }
                    if entry.matches(&packet) {
                        best = best.min(self.first_of(entry, &packet));
                    }
                    if entry.last {
                        break;
                    }
                }
            }
        }
        best
    }

    fn find(&self, table: &Table<A>, digest: u32) -> Option<u32> {
        let mut at = digest;
        loop {
            let slot = self.slots[table.place(at)];
            if slot.run == NONE {
                return None;
            }
            if slot.digest == digest {
                return Some(slot.run);
            }
            at = at.wrapping_add(1);
        }
    }

    /// The first rule of an entry that matches the rest of the packet.
    #[inline]
    fn first_of(&self, entry: &Entry<A>, packet: &Packet<A>) -> u32 {
        if entry.sides != NONE {
            let [sources, destinations] = self.sides[entry.sides as usize];
            if !self.set_has(sources, packet.source) || !self.set_has(destinations, packet.destination) {
                return NO_RULE;
            }
        }
        if entry.choice != NONE {
            return self.choices.first(entry.choice, packet.protocol, packet.port);
        }
        entry.best
    }

    fn set_has(&self, set: u32, address: A) -> bool {
        set == NONE || {
            let ranges = &self.sets[set as usize];
            let next = ranges.partition_point(|(first, _)| *first <= address);
            next > 0 && address <= ranges[next - 1].1
        }
    }
}

impl<A: Bits> Entry<A> {
    #[inline]
    fn matches(&self, packet: &Packet<A>) -> bool {
        let number = u16::from(packet.protocol.0);
        let icmp = if packet.protocol.is_icmp() { 1 } else { number };
        // Without branches: none of these is easily foretold.
        self.source.agrees(packet.source, self.source_len)
            & self.destination.agrees(packet.destination, self.destination_len)
            & ((self.protocol == number) | (self.protocol == icmp) | (self.protocol == ANY_PROTOCOL))
            & (packet.port.wrapping_sub(self.first_port) <= self.more_ports)
    }
}

fn ranges<A: Bits>(set: &AddressSet) -> Ranges<A> {
    set.ranges().iter().map(|(first, last)| (A::new(*first), A::new(*last))).collect()
}

/// What tables are made of.
struct Builder<'a, A> {
    rules: &'a [AclRule],
    groups: &'a [(Piece, Vec<u32>)],
    keys: &'a [Key<A>],
    sides: HashMap<[u32; 2], u32, fast::RandomState>,
}

impl<A: Bits> Builder<'_, A> {
    fn add(&mut self, space: &mut Space<A>, planned: Planned) {
        let (source_len, destination_len) = (planned.source_len, planned.destination_len);
        let digest = |index: u32| self.keys[index as usize].digest(&space.seed, source_len, destination_len);
        let best = |index: u32| self.groups[index as usize].1[0];
        let mut keys: Vec<(u32, u32, u32)> =
            planned.keys.into_iter().map(|index| (digest(index), best(index), index)).collect();
        keys.sort_unstable();
        let runs = keys.chunk_by(|a, b| a.0 == b.0);
        let slots = (runs.clone().count() * 2).next_power_of_two();
        let table = Table {
            source_mask: A::mask(source_len),
            destination_mask: A::mask(destination_len),
            best: keys.iter().map(|(_, best, _)| *best).min().expect("no table is planned for nothing"),
            first_slot: space.slots.len() as u32,
            slot_mask: slots as u32 - 1,
        };
        space.slots.resize(space.slots.len() + slots, Slot { digest: 0, run: NONE });
        for run in runs {
            let start = space.entries.len();
            for (_, _, group) in run {
                self.enter(space, *group);
            }
            space.entries[start..].sort_by_key(|entry| entry.best);
            space.entries.last_mut().expect("a run has entries").last = true;
            let mut at = run[0].0;
            let free = loop {
                let slot = &mut space.slots[table.place(at)];
                if slot.run == NONE {
                    break slot;
                }
                at = at.wrapping_add(1);
            };
            *free = Slot { digest: run[0].0, run: start as u32 };
        }
        space.tables.push(table);
    }

    /// Appends the entries of a group.
    fn enter(&mut self, space: &mut Space<A>, group: u32) {
        let (piece, members) = &self.groups[group as usize];
        let key = &self.keys[group as usize];
        let sides = self.sides(space, piece);
        let entry = |rule: u32| {
            let AclRule { protocol, ports, .. } = &self.rules[rule as usize];
            Entry {
                source: key.source,
                destination: key.destination,
                best: rule,
                choice: NONE,
                sides,
                first_port: ports.as_ref().map_or(0, |ports| *ports.start()),
                more_ports: ports.as_ref().map_or(u16::MAX, |ports| ports.end() - ports.start()),
                protocol: protocol.map_or(ANY_PROTOCOL, u16::from),
                source_len: key.source_len,
                destination_len: key.destination_len,
                last: false,
            }
        };
        if members.len() <= SMALL_GROUP {
            space.entries.extend(members.iter().map(|rule| entry(*rule)));
        } else {
            let choice = space.choices.push(self.rules, members);
            let all = (0, u16::MAX, ANY_PROTOCOL);
            let (first_port, more_ports, protocol) = all;
            space.entries.push(Entry { choice, first_port, more_ports, protocol, ..entry(members[0]) });
        }
    }

    fn sides(&mut self, space: &mut Space<A>, piece: &Piece) -> u32 {
        let numbers = [piece.source, piece.destination].map(|Side { set, .. }| set.unwrap_or(NONE));
        if numbers == [NONE; 2] {
            return NONE;
        }
        *self.sides.entry(numbers).or_insert_with(|| {
            space.sides.push(numbers);
            space.sides.len() as u32 - 1
        })
    }
}
