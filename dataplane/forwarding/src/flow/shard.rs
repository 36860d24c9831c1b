//! A part of the flow table with a lock of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use gridway_config::FlowTimeouts;
use gridway_wire::time::Nanos;

use super::slot::Slot;
use super::timeouts::{State as FlowState, idle_limit};
use super::{BUSY, FlowView};

/// Slots that get memory together.
const CHUNK: usize = 256;
type Chunk = [Slot; CHUNK];
/// Flows looked at for one that can give way.
const CANDIDATES: usize = 16;

#[derive(Debug)]
pub(super) struct Shard {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    slots: usize,
    /// Places that were ever in use: the rest is empty.
    reached: AtomicUsize,
    live: AtomicUsize,
    state: Mutex<State>,
}

/// What the shard's lock guards.
#[derive(Debug, Default)]
pub(super) struct State {
    free: Vec<u32>,
    hand: usize,
}

fn empty_chunk() -> Box<Chunk> {
    let slots: Box<[Slot]> = std::iter::repeat_with(Slot::default).take(CHUNK).collect();
    slots.try_into().expect("as many as a chunk has")
}

impl Shard {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            chunks: std::iter::repeat_with(OnceLock::new).take(slots.div_ceil(CHUNK)).collect(),
            slots,
            reached: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the words are valid at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn slot(&self, place: u32) -> Option<&Slot> {
        Some(&self.chunks.get(place as usize / CHUNK)?.get()?[place as usize % CHUNK])
    }

    pub(super) fn reached(&self) -> usize {
        self.reached.load(Ordering::Acquire)
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// A free place, with memory behind it.
    pub(super) fn take(&self, state: &mut State) -> Option<u32> {
        let place = match state.free.pop() {
            Some(place) => place,
            None => {
                let next = self.reached();
                if next >= self.slots {
                    return None;
                }
                self.chunks[next / CHUNK].get_or_init(empty_chunk);
                self.reached.store(next + 1, Ordering::Release);
                u32::try_from(next).expect("limits are validated to fit 32 bits")
            }
        };
        self.live.fetch_add(1, Ordering::Relaxed);
        Some(place)
    }

    /// Gives memory to the places that are taken next, an eighth of those ever in use and a chunk at least: whoever does
    /// this from time to time keeps the kernel's work for fresh memory, milliseconds at worst, out of the way of packets.
    pub(super) fn prepare(&self) {
        let next = self.reached();
        let until = (next + next / 8 + CHUNK).min(self.slots);
        for chunk in &self.chunks[next / CHUNK..until.div_ceil(CHUNK)] {
            if chunk.get().is_none() {
                // Made beforehand: whoever takes a place meanwhile does not wait, and his chunk stays.
                drop(chunk.set(empty_chunk()));
            }
        }
    }

    pub(super) fn give_back(&self, state: &mut State, place: u32) {
        state.free.push(place);
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// The flow that should give way to a new one: expired before half-open before idle. Only a few
    /// candidates are looked at, spread over the shard: flows that came at one time lie together, and a
    /// flood must not take established ones for want of others nearby.
    pub(super) fn victim(&self, state: &mut State, limits: &FlowTimeouts, now: Nanos) -> Option<u32> {
        let reached = self.reached();
        let stride = (reached / CANDIDATES).max(1);
        let mut best: Option<(u64, u32)> = None;
        state.hand = (state.hand + 1) % reached.max(1);
        for step in 0..CANDIDATES.min(reached) {
            let place = (state.hand + step * stride) % reached;
            let place = u32::try_from(place).expect("limits are validated to fit 32 bits");
            let Some(slot) = self.slot(place) else { continue };
            let Some((_, identity)) = slot.read() else { continue };
            let view = FlowView::new(slot, &identity);
            let idle = now.since(view.last_seen());
            let half_open =
                matches!(FlowState::of(&view), FlowState::Opening | FlowState::Closing | FlowState::OneWay);
            if !half_open && idle < BUSY {
                continue;
            }
            let rank = if idle >= idle_limit(&view, limits) { 2 } else { u64::from(half_open) };
            let score = rank << 62 | u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX) >> 2;
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, place));
            }
        }
        best.map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_shard_has_memory_for_what_comes_next() {
        for slots in [1, CHUNK - 1, CHUNK, 3 * CHUNK + 1] {
            let shard = Shard::new(slots);
            let ready = || shard.chunks.iter().filter(|chunk| chunk.get().is_some()).count();
            let mut taken = 0;
            loop {
                shard.prepare();
                let before = ready();
                assert!(before * CHUNK >= (taken + CHUNK).min(slots), "{taken} of {slots}");
                if shard.take(&mut shard.lock()).is_none() {
                    break;
                }
                taken += 1;
                assert_eq!(ready(), before, "place {taken} of {slots} found no memory");
            }
            assert_eq!(taken, slots);
        }
    }
}
