//! One flow in memory: words that any worker may read while one of them writes.
//!
//! Identity and translation are guarded by a version (a sequence lock): a reader that saw the same
//! even version before and after has read one flow, not parts of two. Counters and time stamps are
//! independent words outside the guard.
//!
//! The order of the words is that of use: a packet from the local side needs the first two lines of memory, one from
//! the overlay all three.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use gridway_prefetch::prefetch;

use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;

use super::Side;
use super::key::{Key, WORDS};
use super::traits::Traits;
use crate::ids::{PeerId, VnetId};

/// A flow of the table.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Slot {
    version: AtomicU64,
    route: AtomicU64,
    place: AtomicU32,
    tcp_flags: [AtomicU16; 2],
    keys: [[AtomicU64; WORDS]; 2],
    activity: [Activity; 2],
    created: AtomicU64,
    acl_line: AtomicU32,
}

// Three lines of memory.
const _: () = assert!(size_of::<Slot>() == 192);

#[derive(Debug, Default)]
struct Activity {
    last_seen: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// The guarded part of a flow, read in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) keys: [Key; 2],
    pub(super) vnet: VnetId,
    pub(super) started_by: Side,
    pub(super) traits: Traits,
    pub(super) route: Route,
}

/// Where a flow goes, as it was last judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) peer: PeerId,
    pub(super) back: PeerId,
    pub(super) epoch: u32,
}

impl Route {
    fn word(self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.back.0) << 16 | u64::from(self.peer.0)
    }

    fn from_word(word: u64) -> Self {
        Self {
            peer: PeerId((word & 0xffff) as u16),
            back: PeerId((word >> 16 & 0xffff) as u16),
            epoch: (word >> 32) as u32,
        }
    }
}

const STARTED_BY_OVERLAY: u32 = 1 << 16;
const TRAITS_SHIFT: u32 = 24;

/// Activity of one direction of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// When the last packet passed; zero when none has.
    pub last_seen: Nanos,
    /// Packets.
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
    /// Every TCP flag seen since the connection began.
    pub tcp_flags: TcpFlags,
}

impl Slot {
    /// The version if the slot is stable, for a later [`Self::is_at`].
    fn stable_version(&self) -> Option<u64> {
        let version = self.version.load(Ordering::Acquire);
        (version & 1 == 0).then_some(version)
    }

    fn is_at(&self, version: u64) -> bool {
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version
    }

    fn key(&self, side: Side) -> Key {
        Key(std::array::from_fn(|word| self.keys[side as usize][word].load(Ordering::Relaxed)))
    }

    /// Whether its key of `side` is `key`, without a copy of it.
    fn has(&self, side: Side, key: &Key) -> bool {
        let words = self.keys[side as usize].iter().zip(key.0);
        words.fold(0, |differing, (word, wanted)| differing | word.load(Ordering::Relaxed) ^ wanted) == 0
    }

    /// The flow, with its version, if its key of `side` is `key`.
    pub(super) fn read_if(&self, side: Side, key: &Key) -> Option<(u64, Identity)> {
        let version = self.stable_version()?;
        if !self.has(side, key) {
            return None;
        }
        let other = match side {
            Side::Local => [*key, self.key(Side::Overlay)],
            Side::Overlay => [self.key(Side::Local), *key],
        };
        let identity = self.identity(other);
        self.is_at(version).then_some((version, identity))
    }

    /// Begins to load what a packet from `side` needs.
    pub(super) fn prefetch(&self, side: Side) {
        prefetch(&self.version);
        prefetch(&self.activity[Side::Local as usize]);
        if side == Side::Overlay {
            prefetch(&self.activity[Side::Overlay as usize]);
        }
    }

    /// Whatever flow the slot holds, with its version.
    pub(super) fn read(&self) -> Option<(u64, Identity)> {
        let version = self.stable_version()?;
        if self.keys[0][WORDS - 1].load(Ordering::Relaxed) == 0 {
            return None;
        }
        let identity = self.identity([self.key(Side::Local), self.key(Side::Overlay)]);
        self.is_at(version).then_some((version, identity))
    }

    fn identity(&self, keys: [Key; 2]) -> Identity {
        let place = self.place.load(Ordering::Relaxed);
        Identity {
            keys,
            vnet: VnetId((place & 0xffff) as u16),
            started_by: if place & STARTED_BY_OVERLAY == 0 { Side::Local } else { Side::Overlay },
            traits: Traits::from_bits((place >> TRAITS_SHIFT) as u8),
            route: Route::from_word(self.route.load(Ordering::Relaxed)),
        }
    }

    /// Frees the slot. The caller holds the shard's lock.
    pub(super) fn free(&self) {
        self.write(None, 0, Nanos::default());
    }

    /// Replaces the flow; `None` frees the slot. The caller holds the shard's lock.
    pub(super) fn write(&self, identity: Option<&Identity>, acl_line: u32, now: Nanos) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for side in [Side::Local, Side::Overlay] {
            for word in 0..WORDS {
                let value = identity.map_or(0, |identity| identity.keys[side as usize].0[word]);
                self.keys[side as usize][word].store(value, Ordering::Relaxed);
            }
            self.activity[side as usize].reset();
            self.tcp_flags[side as usize].store(0, Ordering::Relaxed);
        }
        if let Some(identity) = identity {
            let started_by = match identity.started_by {
                Side::Local => 0,
                Side::Overlay => STARTED_BY_OVERLAY,
            };
            let traits = u32::from(identity.traits.bits()) << TRAITS_SHIFT;
            self.place.store(u32::from(identity.vnet.0) | started_by | traits, Ordering::Relaxed);
            self.set_route(identity.route);
        }
        self.created.store(now.0, Ordering::Relaxed);
        self.set_acl_line(acl_line);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Records a new judgement of the flow. The caller holds the shard's lock, so the slot cannot
    /// change hands meanwhile.
    pub(super) fn set_route(&self, route: Route) {
        self.route.store(route.word(), Ordering::Relaxed);
    }

    /// Records which access rule allows the flow. The caller holds the shard's lock.
    pub(super) fn set_acl_line(&self, line: u32) {
        self.acl_line.store(line, Ordering::Relaxed);
    }

    pub(super) fn acl_line(&self) -> u32 {
        self.acl_line.load(Ordering::Relaxed)
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self, side: Side, bytes: u64, flags: TcpFlags, now: Nanos) {
        self.activity[side as usize].touch(bytes, now);
        let (seen, flags) = (&self.tcp_flags[side as usize], u16::from(flags.0));
        if flags & !seen.load(Ordering::Relaxed) != 0 {
            seen.fetch_or(flags, Ordering::Relaxed);
        }
    }

    /// A new TCP connection, begun by `side`, uses the ports of one that has ended. The caller holds the shard's
    /// lock.
    pub(super) fn restart(&self, side: Side, acl_line: u32, now: Nanos) {
        let place = self.place.load(Ordering::Relaxed);
        let place = match side {
            Side::Local => place & !STARTED_BY_OVERLAY,
            Side::Overlay => place | STARTED_BY_OVERLAY,
        };
        self.place.store(place, Ordering::Relaxed);
        // First: with no activity and an old beginning it would look idle.
        self.created.store(now.0, Ordering::Release);
        self.tcp_flags.iter().for_each(|flags| flags.store(0, Ordering::Relaxed));
        self.activity.iter().for_each(Activity::reset);
        self.set_acl_line(acl_line);
    }

    pub(super) fn traffic(&self, side: Side) -> Traffic {
        let activity = &self.activity[side as usize];
        Traffic {
            last_seen: Nanos(activity.last_seen.load(Ordering::Relaxed)),
            packets: activity.packets.load(Ordering::Relaxed),
            bytes: activity.bytes.load(Ordering::Relaxed),
            tcp_flags: TcpFlags((self.tcp_flags[side as usize].load(Ordering::Relaxed) & 0xff) as u8),
        }
    }

    pub(super) fn created(&self) -> Nanos {
        Nanos(self.created.load(Ordering::Relaxed))
    }
}

impl Activity {
    fn touch(&self, bytes: u64, now: Nanos) {
        self.last_seen.store(now.0, Ordering::Relaxed);
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn reset(&self) {
        self.last_seen.store(0, Ordering::Relaxed);
        self.packets.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}
