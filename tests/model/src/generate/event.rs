//! What happens to a node.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::PEERS;
use super::packet::{PacketPlan, plan};
use crate::packet::{ACK, FIN, RST};

/// Something that happens. What refers to earlier output ([`crate::Journal`] finds it) counts from the
/// last packet that came out.
#[derive(Clone, Debug)]
pub enum Event {
    /// A packet that answers nothing.
    Fresh(PacketPlan),
    /// The answer to a packet that came out.
    Reply {
        /// Which one.
        of: usize,
        /// TCP flags; SYN-ACK is added in answer to a SYN.
        flags: u8,
        /// Bytes of data.
        data: usize,
        /// TTL.
        ttl: u8,
    },
    /// An ICMP error about a packet that came out.
    Error {
        /// Which one.
        of: usize,
        /// From its destination; else from an address beside it.
        from_host: bool,
        /// Unreachable, time exceeded or too big, by the remainder of three.
        kind: u8,
        /// Bytes quoted beyond the 8 that are always there.
        kept: usize,
        /// In fragments, named so and in that order.
        split: Option<(u32, Order)>,
    },
    /// A datagram in fragments.
    Split {
        /// The datagram.
        plan: PacketPlan,
        /// Names the datagram.
        identification: u32,
        /// Bytes a fragment carries.
        size: usize,
        /// In which order its fragments are sent.
        order: Order,
    },
    /// A fragment that an earlier [`Event::Split`] did not send.
    Piece(Piece),
    /// Time passes.
    Wait(Duration),
    /// A tunnel comes up or goes down.
    Peer {
        /// Name of the peer.
        name: &'static str,
        /// It is up.
        up: bool,
        /// Its data MTU.
        mtu: u16,
    },
    /// A monitor changes its mind.
    Monitor {
        /// Which of the routes with monitors.
        which: usize,
        /// It passes.
        passing: bool,
    },
    /// Another configuration of the scenario.
    Policy(usize),
}

/// In which order fragments are sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Sort keys.
    pub keys: Vec<u8>,
    /// That many are sent at once, the others by [`Event::Piece`].
    pub now: usize,
}

impl Order {
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for (index, key) in self.keys.iter().enumerate().take(items.len()) {
            items.swap(index, usize::from(*key) % items.len());
        }
    }
}

/// Which of the fragments that are left.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Which one.
    pub which: usize,
    /// It may be sent again.
    pub keep: bool,
}

/// Any event; `configs` is the number of configurations of the scenario.
pub fn event(configs: usize) -> impl Strategy<Value = Event> {
    let sizes = prop_oneof![8 => 0usize..40, 1 => 1200usize..1480];
    let flags = prop_oneof![5 => Just(ACK), 1 => Just(FIN | ACK), 1 => Just(RST)];
    let ttl = prop_oneof![12 => Just(64u8), 1 => Just(1u8)];
    let order = (vec(any::<u8>(), 6), 0usize..6).prop_map(|(keys, now)| Order { keys, now });
    let small = (plan(60usize..140), select(vec![24usize, 48]));
    // Fragments that are cut again on the way.
    let big = (plan(2_000usize..4_000), select(vec![1_400usize, 1_480]));
    let sized = prop_oneof![4 => small.boxed(), 1 => big.boxed()];
    let split = (sized, 1u32..4, order.clone());
    let split_error = proptest::option::weighted(0.2, (1u32..4, order));
    // Odd, so that no sum of a few waits is exactly a limit.
    let wait = select(vec![997u64, 5_987, 16_001, 61_003, 241_007, 301_009, 7_441_003]);
    let peer = (select(&PEERS[..]), proptest::bool::weighted(0.7), select(vec![1500u16, 1500, 1400, 9000]));
    prop_oneof![
        10 => plan(sizes.clone()).prop_map(Event::Fresh),
        12 => (0usize..6, flags, sizes, ttl)
            .prop_map(|(of, flags, data, ttl)| Event::Reply { of, flags, data, ttl }),
        4 => (0usize..6, any::<bool>(), 0u8..3, select(vec![0usize, 10, 600]), split_error).prop_map(
            |(of, from_host, kind, kept, split)| Event::Error { of, from_host, kind, kept, split }
        ),
        2 => split.prop_map(|((plan, size), identification, order)| Event::Split {
            plan,
            identification,
            size,
            order,
        }),
        3 => (any::<u8>(), any::<bool>())
            .prop_map(|(which, keep)| Event::Piece(Piece { which: which.into(), keep })),
        3 => wait.prop_map(|millis| Event::Wait(Duration::from_millis(millis))),
        2 => peer.prop_map(|(name, up, mtu)| Event::Peer { name, up, mtu }),
        1 => (0usize..4, any::<bool>()).prop_map(|(which, passing)| Event::Monitor { which, passing }),
        1 => (0..configs).prop_map(Event::Policy),
    ]
}
