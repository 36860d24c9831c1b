//! Two workers of one node, and what must hold after every packet.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gridway_forwarding::flow::{EndReason, FlowTable};
use gridway_forwarding::fragments::Fragments;
use gridway_forwarding::monitor::Monitors;
use gridway_forwarding::next_hop::{NextHops, Via};
use gridway_forwarding::policy::Policy;
use gridway_forwarding::{
    Counters, DropReason, Expectations, Forwarder, Inbound, Origin, Outbound, PeerId, Peers, Registry,
    Shared, Target, Tunnel,
};
use gridway_wire::generate::judge;
use gridway_wire::packet::{Fragment, Transport, parse};
use gridway_wire::time::Nanos;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::policies::{self, VNET_MTU};

const DATA_MTU: usize = 1500;
/// MTU that peer `gw-b` announces.
const PEER_MTU: usize = 1300;
const FLOWS: usize = 8;
const DATAGRAMS: usize = 12;
/// Packets that answers and errors are made of.
const MEMORY: usize = 8;

/// One packet that left, and which way.
pub(super) struct Left {
    pub(super) bytes: Vec<u8>,
    pub(super) to: Target,
}

pub(super) struct Node {
    registry: Registry,
    policy: Arc<Policy>,
    peers: Arc<Peers>,
    fragments: Arc<Fragments>,
    monitors: Arc<Monitors>,
    workers: [Forwarder; 2],
    learnt: Expectations,
    pub(super) now: Nanos,
    pub(super) left: Vec<Left>,
    /// Fragments that were held, those given up, and those sent later, of both sides.
    held: [u64; 2],
    expired: [u64; 2],
    released: [u64; 2],
}

/// One table for all runs: it is empty between them.
fn flows() -> &'static Arc<FlowTable> {
    static FLOW_TABLE: OnceLock<Arc<FlowTable>> = OnceLock::new();
    FLOW_TABLE.get_or_init(|| Arc::new(FlowTable::new(FLOWS, [3, 4])))
}

impl Node {
    pub(super) fn new() -> Self {
        assert!(flows().is_empty(), "the run before left flows");
        let (mut registry, peers) = (Registry::default(), Arc::new(Peers::default()));
        for name in ["gw-b", "gw-c", "gw-d"] {
            peers.set_up(registry.peer(name).expect("three names"), true);
        }
        peers.set_mtu(PeerId(0), PEER_MTU as u16);
        let policy = Policy::compile(&policies::all()[0], &mut registry, None).expect("a few names");
        let policy = Arc::new(policy);
        let (fragments, monitors) = (Arc::new(Fragments::new(DATAGRAMS)), Arc::<Monitors>::default());
        let now = Nanos(1_000_000_000);
        monitors.configure(&policy, &peers, &mut StdRng::seed_from_u64(1), now);
        let on_link = |prefix: &str| (prefix.parse().expect("a prefix"), 0, Via::OnLink);
        let own = ["10.1.0.1", "fd00:1::1"].map(|own| own.parse().expect("an address"));
        let hops =
            Arc::new(NextHops::new([on_link("10.1.0.0/24"), on_link("fd00:1::/64")], [], own.to_vec()));
        let workers = [5, 6].map(|seed| {
            let shared = Shared {
                flows: flows().clone(),
                fragments: fragments.clone(),
                peers: peers.clone(),
                monitors: monitors.clone(),
                pings: Arc::default(),
            };
            let counters = Arc::<Counters>::default();
            Forwarder::new(policy.clone(), hops.clone(), shared, counters, DATA_MTU as u16, [seed; 32])
        });
        Self {
            registry,
            policy,
            peers,
            fragments,
            monitors,
            workers,
            learnt: Expectations::default(),
            now,
            left: Vec::new(),
            held: [0; 2],
            expired: [0; 2],
            released: [0; 2],
        }
    }

    pub(super) fn outbound(&mut self, worker: usize, original: &[u8]) {
        let mut bytes = original.to_vec();
        let right = is_right(original);
        let forwarder = &mut self.workers[worker];
        forwarder.expect_outbound(std::iter::once(original), &mut self.learnt);
        match forwarder.outbound_expected(&mut bytes, self.learnt.of(0), self.now) {
            Outbound::Tunnel { to, len } => {
                self.passed(Target::Tunnel(to), &bytes[..len], right, usize::min(DATA_MTU, largest(to)));
                self.assert_hop(original, &bytes);
            }
            Outbound::Answer { destination, len } => {
                self.passed(Target::Local(destination), &bytes[..len], right, usize::MAX);
            }
            Outbound::Held => self.held[0] += 1,
            Outbound::Drop(_) => assert_eq!(bytes, original, "what is dropped is left as it was"),
        }
        self.check(worker);
    }

    pub(super) fn inbound(&mut self, worker: usize, peer: u8, original: &[u8]) {
        let mut bytes = original.to_vec();
        let right = is_right(original);
        let vnet = self.policy.vnet_named("corp").expect("every policy has it").id;
        let (forwarder, peer) = (&mut self.workers[worker], PeerId(u16::from(peer % 3)));
        forwarder.expect_inbound(vnet, std::iter::once(original), &mut self.learnt);
        match forwarder.inbound_expected(peer, vnet, &mut bytes, self.learnt.of(0), self.now) {
            Inbound::Deliver { destination, len } => {
                self.passed(Target::Local(destination), &bytes[..len], right, DATA_MTU);
                self.assert_hop(original, &bytes);
            }
            Inbound::Relay { to, len } => {
                self.passed(Target::Tunnel(to), &bytes[..len], right, largest(to));
                self.assert_hop(original, &bytes);
            }
            Inbound::Answer { len } => {
                let parsed = parse(&bytes[..len]).expect("an answer is a packet");
                assert_eq!(parsed.total_len, len);
                assert!(!right || judge(&bytes[..len]).is_ok());
            }
            Inbound::Held => self.held[1] += 1,
            Inbound::Consumed | Inbound::Drop(_) => {}
        }
        self.check(worker);
    }

    fn assert_hop(&self, before: &[u8], after: &[u8]) {
        let ttl = |bytes: &[u8]| if bytes[0] >> 4 == 4 { bytes[8] } else { bytes[7] };
        assert!(ttl(after) < ttl(before), "every node takes one");
    }

    fn passed(&mut self, to: Target, bytes: &[u8], right: bool, most: usize) {
        let packet = parse(bytes).unwrap_or_else(|malformed| panic!("{malformed}: {bytes:02x?}"));
        assert_eq!(packet.total_len, bytes.len());
        assert!(bytes.len() <= most, "{} bytes, {most} fit", bytes.len());
        if right {
            judge(bytes).unwrap_or_else(|fault| panic!("{fault}: {bytes:02x?}"));
        }
        if self.left.len() == MEMORY {
            self.left.remove(0);
        }
        self.left.push(Left { bytes: bytes.to_vec(), to });
    }

    /// Takes what the worker emitted, and looks at all limits.
    fn check(&mut self, worker: usize) {
        while let Some(emission) = self.workers[worker].emissions.pop() {
            let most = match emission.to {
                Target::Local(_) => DATA_MTU,
                Target::Tunnel(to) => largest(to),
            };
            match emission.origin {
                // What the node makes is right, whatever it is about; so are further fragments, by themselves.
                Origin::Own | Origin::Piece => self.passed(emission.to, &emission.bytes, true, most),
                side => {
                    self.released[usize::from(side == Origin::Inbound)] += 1;
                    self.passed(emission.to, &emission.bytes, false, most);
                }
            }
            self.workers[worker].emissions.give_back(emission.bytes);
        }
        assert!(flows().len() <= flows().limit());
        assert!(flows().mappings().len() <= flows().len());
        assert!(self.fragments.len() <= DATAGRAMS);
    }

    /// The worker takes in what has changed.
    pub(super) fn begin_turn(&mut self, worker: usize) {
        self.workers[worker].begin_turn(|| &self.policy);
    }

    pub(super) fn reload(&mut self, which: u8) {
        let config = &policies::all()[usize::from(which) % policies::COUNT];
        let policy = Policy::compile(config, &mut self.registry, Some(&self.policy)).expect("a few names");
        self.policy = Arc::new(policy);
        self.monitors.configure(&self.policy, &self.peers, &mut StdRng::seed_from_u64(2), self.now);
        self.peers.start_epoch();
    }

    pub(super) fn set_up(&mut self, peer: u8, up: bool) {
        self.peers.set_up(PeerId(u16::from(peer % 3)), up);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.expire(FLOWS);
    }

    fn expire(&mut self, budget: usize) {
        flows().expire(&mut 0, budget, &self.policy.timeouts, self.now);
        let expired = self.fragments.expire(self.now);
        self.expired.iter_mut().zip(expired).for_each(|(sum, more)| *sum += more);
    }

    pub(super) fn probe(&mut self, worker: usize) {
        self.workers[worker].handle_monitors(self.now);
        self.check(worker);
    }

    pub(super) fn undeliverable(&mut self, worker: usize, bytes: &[u8]) {
        self.workers[worker].undeliverable(bytes, self.now);
        self.check(worker);
    }

    pub(super) fn kill(&mut self, nth: u8) {
        let mut left = nth;
        flows().for_each(|id, _| {
            if left == 0 {
                flows().remove(id, EndReason::Killed);
            }
            left = left.wrapping_sub(1);
            left != u8::MAX
        });
    }

    /// All goes when its time has come, and nothing was lost in the books.
    pub(super) fn finish(mut self) {
        self.wait(Duration::from_secs(8000));
        self.expire(2 * FLOWS);
        assert!(flows().is_empty() && flows().mappings().is_empty() && self.fragments.is_empty());
        for side in 0..2 {
            let (mut dequeued, mut dropped) = (0, 0);
            for worker in &self.workers {
                let counters = worker.counters();
                let books = if side == 0 { &counters.outbound } else { &counters.inbound };
                dequeued += books.dequeued.get();
                dropped += DropReason::all().map(|reason| books.dropped(reason)).sum::<u64>();
            }
            assert_eq!(
                self.held[side],
                dequeued + self.expired[side],
                "every fragment that waited is accounted for"
            );
            assert_eq!(dequeued, self.released[side] + dropped, "and sent or dropped");
        }
    }
}

/// Largest packet that a tunnel takes.
fn largest(to: Tunnel) -> usize {
    if to.peer == PeerId(0) { PEER_MTU.min(VNET_MTU) } else { VNET_MTU }
}

/// Whether etherparse computes the checksums that the packet has. Of fragments and of other protocols it computes
/// none.
fn is_right(bytes: &[u8]) -> bool {
    parse(bytes).is_ok_and(|packet| {
        packet.fragment == Fragment::None && packet.transport != Transport::Other && judge(bytes).is_ok()
    })
}
