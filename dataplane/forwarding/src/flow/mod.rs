//! The flow table: the only mutable state of Layer 3, shared by all workers.
//!
//! A look-up takes no lock and writes nothing. Creating, judging again and removing take the lock of
//! one shard, chosen by the overlay key. Memory is claimed in chunks as flows appear, is bounded by
//! the limit, and is used again.

mod index;
mod journal;
mod key;
mod look_up;
pub mod mappings;
mod ports;
mod shard;
mod slot;
mod timeouts;
mod traits;
mod view;

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use gridway_config::FlowTimeouts;
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::ids::{PeerId, VnetId};
use index::Index;
use mappings::{Mappings, VirtualEndpoint};
use shard::Shard;
use slot::{Identity, Route, Slot};

pub use journal::{EndReason, Event, Journal, Record};
pub use key::Key;
pub(crate) use look_up::Begun;
pub use slot::Traffic;
pub use timeouts::{State, idle_limit};
pub use traits::Traits;
pub use view::FlowView;

/// The two sides a packet of a flow can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// The data NIC.
    Local = 0,
    /// The tunnel.
    Overlay = 1,
}

/// A flow as a look-up found it. Stays valid while the flow lives; afterwards every use of `id` is
/// refused or goes unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Which flow.
    pub id: FlowId,
    /// Its virtual network.
    pub vnet: VnetId,
    /// The peer its packets go to.
    pub peer: PeerId,
    /// The peer that packets in the other direction go to; the same one unless the flow is relayed.
    pub back: PeerId,
    /// The epoch it was last judged in.
    pub epoch: u32,
    /// Side its first packet came from.
    pub started_by: Side,
    /// What sets it apart.
    pub traits: Traits,
    /// Keys of packets from the local and from the overlay side.
    pub keys: [Key; 2],
}

impl Flow {
    /// Tuple of packets from local hosts; of a relayed flow, of those from `peer`.
    #[must_use]
    pub fn local(&self) -> FiveTuple {
        self.keys[0].tuple()
    }

    /// Tuple of packets from the overlay; of a relayed flow, of those from `back`.
    #[must_use]
    pub fn overlay(&self) -> FiveTuple {
        self.keys[1].tuple()
    }

    /// Whether it is an ICMP query from the overlay with its replies.
    #[must_use]
    pub fn is_query_from_overlay(&self) -> bool {
        self.started_by == Side::Overlay && self.overlay().protocol.is_icmp()
    }
}

/// Names one flow, and no later one in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId {
    slot: u32,
    version: u64,
}

impl FlowId {
    /// A number that spreads flows over connections and buckets; the same for both directions. All of its 32 bits
    /// differ between flows that lie in the same place of different shards.
    #[must_use]
    pub fn spread(self) -> usize {
        // Fibonacci hashing (Knuth, 6.4): the upper half of the product depends on all bits of the slot.
        (u64::from(self.slot).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
}

/// What a new flow is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow {
    /// Its virtual network.
    pub vnet: VnetId,
    /// The peer its packets go to.
    pub peer: PeerId,
    /// The peer that packets in the other direction go to.
    pub back: PeerId,
    /// The epoch it was judged in.
    pub epoch: u32,
    /// Side its first packet came from.
    pub started_by: Side,
    /// What sets it apart. One that is [`Traits::SHARED`] holds its mapping for this flow already.
    pub traits: Traits,
    /// Line of the access rule that allows it.
    pub acl_line: u32,
    /// Keys of packets from the local and from the overlay side.
    pub keys: [Key; 2],
}

/// The table is full and nothing in reach may give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flow table is full")]
pub struct TableFull;

/// What became of a request for a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New(Flow),
    /// It was created in the place of another one.
    Evicting(Flow),
    /// Another worker had created it meanwhile.
    Existing(Flow),
}

/// All flows of the node.
#[derive(Debug)]
pub struct FlowTable {
    hasher: SeedableRandomState,
    index: Index,
    shards: Box<[Shard]>,
    shard_slots: u32,
    /// Bits of a slot's number that are its place within the shard.
    place_bits: u32,
    mappings: Mappings,
    journal: Journal,
}

impl FlowTable {
    /// A table for up to `limit` flows, hashing under a random `seed` so that nobody can choose
    /// colliding flows.
    #[must_use]
    pub fn new(limit: usize, seed: [u64; 2]) -> Self {
        // The hasher borrows its shared part for good: one small allocation a table.
        let shared: &'static SharedSeed = Box::leak(Box::new(SharedSeed::from_u64(seed[1])));
        let mut table = Self::hashing(limit, SeedableRandomState::with_seed(seed[0], shared));
        table.index.prepare();
        table.prepare();
        table
    }

    /// A table for a few flows that does not last.
    pub(crate) fn scratch(limit: usize) -> Self {
        Self::hashing(limit, SeedableRandomState::with_seed(0, SharedSeed::global_random()))
    }

    fn hashing(limit: usize, hasher: SeedableRandomState) -> Self {
        let shards = (limit / 4096).next_power_of_two().clamp(1, 64);
        let per_shard = limit.div_ceil(shards).max(1);
        Self {
            hasher,
            index: Index::new(per_shard * shards),
            shards: (0..shards).map(|_| Shard::new(per_shard)).collect(),
            shard_slots: u32::try_from(per_shard).expect("limits are validated to fit 32 bits"),
            place_bits: per_shard.next_power_of_two().ilog2(),
            mappings: Mappings::default(),
            journal: Journal::new(Journal::DEFAULT_LIMIT),
        }
    }

    /// Gives memory to the flows that come next, so that the first packet of a flow need not wait for the kernel to find
    /// some. For a thread that has time, several times a second.
    pub fn prepare(&self) {
        self.shards.iter().for_each(Shard::prepare);
    }

    /// The same table with a journal of up to `limit` records.
    #[must_use]
    pub fn with_journal(self, limit: usize) -> Self {
        Self { journal: Journal::new(limit), ..self }
    }

    /// What begins and ends, while it is switched on.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Port mappings that the flows hold.
    #[must_use]
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Flows the table can hold.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shards.len() * self.shard_slots as usize
    }

    /// Flows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::live).sum()
    }

    /// Whether the table holds no flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts a packet of the flow.
    pub fn touch(&self, id: FlowId, side: Side, bytes: usize, flags: TcpFlags, now: Nanos) {
        if let Some(slot) = self.slot(id.slot)
            && slot.version() == id.version
        {
            slot.touch(side, bytes as u64, flags, now);
        }
    }

    /// TCP flags seen from the local and from the overlay side; none of a flow that is gone.
    #[must_use]
    pub fn tcp_flags(&self, id: FlowId) -> [TcpFlags; 2] {
        match self.slot(id.slot) {
            Some(slot) if slot.version() == id.version => {
                [Side::Local, Side::Overlay].map(|side| slot.traffic(side).tcp_flags)
            }
            _ => Default::default(),
        }
    }

    /// A connection that `side` begins uses the tuple of one that has ended, or whose beginning was not seen: the
    /// flow is the new one's, allowed by the access rule in `acl_line`, and counts anew.
    pub fn restart(&self, id: FlowId, side: Side, acl_line: u32, now: Nanos) {
        self.with_live(id, |_, _, slot| {
            self.journal.note(|| {
                let flow = FlowView::of(slot)?;
                let reason = if flow.is_over() { EndReason::Closed } else { EndReason::Replaced };
                Some(Record { event: Event::End(reason), flow })
            });
            slot.restart(side, acl_line, now);
            self.journal.note(|| Some(Record { event: Event::Start, flow: FlowView::of(slot)? }));
        });
    }

    /// Creates a flow, unless another worker just did. A stale flow with one of its tuples goes.
    ///
    /// # Errors
    /// [`TableFull`] when the shard is full of busy flows.
    pub fn create(&self, new: &NewFlow, limits: &FlowTimeouts, now: Nanos) -> Result<Created, TableFull> {
        let keys = new.keys;
        if let Some(stale) = self.find(Side::Local, &keys[0])
            && stale.keys != keys
        {
            self.remove(stale.id, EndReason::Replaced);
        }
        let number = self.shard_of(&keys[1]);
        let shard = &self.shards[number];
        let mut state = shard.lock();
        if let Some(existing) = self.find(Side::Overlay, &keys[1]) {
            if existing.keys == keys {
                return Ok(Created::Existing(existing));
            }
            self.clear(shard, &mut state, existing.id.slot, EndReason::Replaced);
        }
        let mut evicted = false;
        let place = match shard.take(&mut state) {
            Some(place) => place,
            None => {
                let victim = shard.victim(&mut state, limits, now).ok_or(TableFull)?;
                self.clear(shard, &mut state, self.global(number, victim), EndReason::Evicted);
                evicted = true;
                shard.take(&mut state).ok_or(TableFull)?
            }
        };
        let slot_number = self.global(number, place);
        let slot = shard.slot(place).expect("a place that was taken has memory");
        let route = Route { peer: new.peer, back: new.back, epoch: new.epoch };
        let NewFlow { vnet, started_by, traits, acl_line, .. } = *new;
        let identity = Identity { keys, vnet, started_by, traits, route };
        slot.write(Some(&identity), acl_line, now);
        let hashes = keys.map(|key| self.hash(&key));
        if self.index.insert(hashes[0], slot_number).is_err()
            || self.index.insert(hashes[1], slot_number).is_err()
        {
            self.empty(shard, &mut state, slot_number, &identity);
            return Err(TableFull);
        }
        self.journal.note(|| Some(Record { event: Event::Start, flow: FlowView::new(slot, &identity) }));
        let flow = flow(FlowId { slot: slot_number, version: slot.version() }, &identity);
        Ok(if evicted { Created::Evicting(flow) } else { Created::New(flow) })
    }

    /// Records that the flow was judged again, in `epoch`, and now goes to `peer`, and to `back` in the other
    /// direction. `acl_line`: the access rule that allows it, where the access policy was asked.
    pub fn rejudged(&self, id: FlowId, peer: PeerId, back: PeerId, epoch: u32, acl_line: Option<u32>) {
        self.with_live(id, |_, _, slot| {
            slot.set_route(Route { peer, back, epoch });
            if let Some(line) = acl_line {
                slot.set_acl_line(line);
            }
        });
    }

    /// Removes a flow, if it still lives.
    pub fn remove(&self, id: FlowId, reason: EndReason) {
        self.with_live(id, |shard, state, _| self.clear(shard, state, id.slot, reason));
    }

    fn with_live(&self, id: FlowId, act: impl FnOnce(&Shard, &mut shard::State, &Slot)) {
        let (number, place) = self.local(id.slot);
        let Some(shard) = self.shards.get(number) else { return };
        let mut state = shard.lock();
        if let Some(slot) = shard.slot(place)
            && slot.version() == id.version
        {
            act(shard, &mut state, slot);
        }
    }

    /// Empties a slot and takes it out of the index. The shard is locked.
    fn clear(&self, shard: &Shard, state: &mut shard::State, number: u32, reason: EndReason) {
        let (_, place) = self.local(number);
        let Some(slot) = shard.slot(place) else { return };
        if let Some((_, identity)) = slot.read() {
            let flow = || FlowView::new(slot, &identity);
            self.journal.note(|| Some(Record { event: Event::End(reason), flow: flow() }));
            if identity.traits.has(Traits::SHARED) {
                self.mappings.release(&remote_endpoint(&identity));
            }
            self.empty(shard, state, number, &identity);
        } else {
            slot.free();
            shard.give_back(state, place);
        }
    }

    /// Empties a slot that holds `identity`; what the flow held is the caller's. The shard is locked.
    fn empty(&self, shard: &Shard, state: &mut shard::State, number: u32, identity: &Identity) {
        let (_, place) = self.local(number);
        for key in identity.keys {
            self.index.remove(self.hash(&key), number);
        }
        if let Some(slot) = shard.slot(place) {
            slot.free();
        }
        shard.give_back(state, place);
    }

    /// Removes flows that were idle for too long; looks at about `budget` places and goes on from
    /// there at the next call. Returns how many were removed.
    pub fn expire(&self, cursor: &mut usize, budget: usize, limits: &FlowTimeouts, now: Nanos) -> usize {
        let total: usize = self.shards.iter().map(Shard::reached).sum();
        let mut removed = 0;
        for _ in 0..budget.min(total) {
            *cursor = (*cursor + 1) % total;
            if let Some(number) = self.nth_reached(*cursor)
                && let Some((id, view)) = self.view(number)
                && now.since(view.last_seen()) >= idle_limit(&view, limits)
            {
                self.remove(id, if view.is_over() { EndReason::Closed } else { EndReason::Idle });
                removed += 1;
            }
        }
        removed
    }

    /// Visits flows until `visit` says stop by returning false.
    pub fn for_each(&self, mut visit: impl FnMut(FlowId, &FlowView) -> bool) {
        for (number, shard) in self.shards.iter().enumerate() {
            for place in 0..shard.reached() as u32 {
                if let Some((id, view)) = self.view(self.global(number, place))
                    && !visit(id, &view)
                {
                    return;
                }
            }
        }
    }

    fn nth_reached(&self, mut nth: usize) -> Option<u32> {
        for (number, shard) in self.shards.iter().enumerate() {
            let reached = shard.reached();
            if nth < reached {
                return Some(self.global(number, nth as u32));
            }
            nth -= reached;
        }
        None
    }

    fn view(&self, number: u32) -> Option<(FlowId, FlowView)> {
        let slot = self.slot(number)?;
        let (version, identity) = slot.read()?;
        Some((FlowId { slot: number, version }, FlowView::new(slot, &identity)))
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        let (shard, place) = self.local(number);
        self.shards.get(shard)?.slot(place)
    }

    fn local(&self, number: u32) -> (usize, u32) {
        ((number >> self.place_bits) as usize, number & ((1 << self.place_bits) - 1))
    }

    fn global(&self, shard: usize, place: u32) -> u32 {
        (shard as u32) << self.place_bits | place
    }

    fn shard_of(&self, overlay: &Key) -> usize {
        (self.hash(overlay) >> 40) as usize % self.shards.len()
    }

    fn hash(&self, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for word in key.0 {
            hasher.write_u64(word);
        }
        hasher.finish()
    }
}

fn flow(id: FlowId, identity: &Identity) -> Flow {
    Flow {
        id,
        vnet: identity.vnet,
        peer: identity.route.peer,
        back: identity.route.back,
        epoch: identity.route.epoch,
        started_by: identity.started_by,
        traits: identity.traits,
        keys: identity.keys,
    }
}

/// Whose mapping a flow holds: its remote host's.
fn remote_endpoint(identity: &Identity) -> VirtualEndpoint {
    let overlay = identity.keys[1].tuple();
    VirtualEndpoint {
        vnet: identity.vnet,
        protocol: overlay.protocol,
        address: overlay.source,
        port: overlay.source_port,
    }
}

/// Idle time below which a flow is not evicted while its connection is established.
const BUSY: Duration = Duration::from_secs(1);
