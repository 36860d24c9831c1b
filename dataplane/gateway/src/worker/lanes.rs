//! Records under construction: one lane for each connection that a data worker writes to.

use std::sync::Arc;

use gridway_forwarding::{Counters, DropReason, PeerId, VnetId};
use gridway_tunnel::aqm::CoDel;
use gridway_tunnel::sparse::SparseFlows;
use gridway_tunnel::{ConnectionId, RecordBuffer, Source};
use gridway_wire::ecn::set_ecn_ce;
use gridway_wire::frame;
use gridway_wire::packet::parse;
use gridway_wire::time::Nanos;

use crate::link::Link;
use crate::node::Node;

/// Records that are closed and on their way to the workers that own their connections.
pub(crate) type Outbox = Vec<(Arc<Link>, RecordBuffer)>;

/// A packet on its way into a record.
pub(crate) struct Packet<'a> {
    pub(crate) vnet: VnetId,
    pub(crate) bytes: &'a mut [u8],
    pub(crate) source: Source,
}

struct Lane {
    link: Arc<Link>,
    /// For packets that wait in their turn, and for those that pass.
    records: [Option<RecordBuffer>; 2],
    early_drop: CoDel,
    sparse: SparseFlows,
}

impl Lane {
    fn new(link: Arc<Link>) -> Self {
        Self { link, records: [None, None], early_drop: CoDel::default(), sparse: SparseFlows::default() }
    }

    fn is_open(&self) -> bool {
        self.records.iter().any(Option::is_some)
    }

    /// Copies a packet into one of the two records.
    fn pack(
        &mut self,
        node: &Node,
        (vnet, bytes, source): (VnetId, &[u8], Source),
        passes: bool,
        now: Nanos,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let vnet = frame::VnetId(vnet.0);
        if let Some(current) = &mut self.records[usize::from(passes)] {
            if current.push_packet(vnet, bytes, source).is_ok() {
                return Ok(());
            }
            // Full: it goes, and the packet begins the next one.
            self.close(passes, now, outbox);
        }
        let link = &self.link;
        if !link.claim(passes) {
            return Err(DropReason::QueueFull);
        }
        let Some(mut fresh) = node.pools.take_record() else {
            link.release(passes);
            return Err(DropReason::QueueFull);
        };
        if fresh.push_packet(vnet, bytes, source).is_err() {
            link.release(passes);
            node.pools.give_record(fresh);
            return Err(DropReason::TooBig);
        }
        fresh.passes = passes;
        self.records[usize::from(passes)] = Some(fresh);
        Ok(())
    }

    /// Sends the record that passes and, unless only that is wanted, the other one. In this order: a flow that ceased
    /// to be sparse has its earlier packets in the one that passes.
    fn close(&mut self, only_passing: bool, now: Nanos, outbox: &mut Outbox) {
        let [in_turn, passing] = &mut self.records;
        let in_turn = if only_passing { None } else { in_turn.take() };
        for mut record in passing.take().into_iter().chain(in_turn) {
            record.closed_at = now;
            outbox.push((self.link.clone(), record));
        }
    }
}

/// Tells a sender of congestion by an ECN mark (RFC 3168). False: the packet cannot carry one.
pub(crate) fn mark(bytes: &mut [u8]) -> bool {
    parse(bytes).is_ok_and(|parsed| set_ecn_ce(bytes, &parsed))
}

/// All lanes of one data worker.
pub(crate) struct Lanes {
    node: Arc<Node>,
    lanes: Vec<Lane>,
    /// Lanes of each peer, by peer id, as of the epoch beside them.
    by_peer: Vec<(u32, Vec<usize>)>,
    /// Lanes whose record has packets in it.
    open: Vec<usize>,
}

impl Lanes {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, lanes: Vec::new(), by_peer: Vec::new(), open: Vec::new() }
    }

    /// Copies a packet into the record of one of the peer's connections. `spread` chooses it.
    ///
    /// # Errors
    /// The reason to drop the packet.
    pub(crate) fn push(
        &mut self,
        peer: PeerId,
        spread: usize,
        packet: Packet<'_>,
        at: (u32, Nanos),
        counters: &Counters,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let (epoch, now) = at;
        let Packet { vnet, bytes, source } = packet;
        let number = self.choose(peer, spread, epoch).ok_or(DropReason::PeerDown)?;
        let Self { node, lanes, open, .. } = self;
        let lane = &mut lanes[number];
        let (wait, was_open) = (lane.link.wait(now), lane.is_open());
        let passed = lane.sparse.may_pass(spread, bytes.len(), wait, now)
            && lane.pack(node, (vnet, bytes, source), true, now, outbox).is_ok();
        if !passed {
            if lane.early_drop.signal(wait, now) {
                if !mark(bytes) {
                    return Err(DropReason::EarlyDrop);
                }
                let relayed = source == Source::Relayed;
                let received = if relayed { &counters.inbound } else { &counters.outbound };
                received.ecn_marked.add(1);
            }
            lane.pack(node, (vnet, bytes, source), false, now, outbox)?;
            lane.sparse.queued(spread, now);
        }
        if !was_open {
            open.push(number);
        }
        Ok(())
    }

    /// Closes every record that has packets in it: a record never waits to fill.
    pub(crate) fn close_all(&mut self, now: Nanos, outbox: &mut Outbox) {
        for lane in self.open.drain(..) {
            self.lanes[lane].close(false, now, outbox);
        }
    }

    /// How many connections have a record under way.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Forgets lanes of connections that have ended. Only between turns.
    pub(crate) fn tidy(&mut self) {
        debug_assert!(self.open.is_empty(), "records are closed when a turn has received");
        if self.lanes.iter().any(|lane| lane.link.is_closed()) {
            self.lanes.retain(|lane| !lane.link.is_closed());
            self.by_peer.clear();
        }
    }

    fn choose(&mut self, peer: PeerId, spread: usize, epoch: u32) -> Option<usize> {
        let index = peer.index();
        if self.by_peer.get(index).is_none_or(|(known, _)| *known != epoch) {
            self.look_up(peer, epoch);
        }
        let lanes = &self.by_peer[index].1;
        lanes.get(spread % lanes.len().max(1)).copied()
    }

    /// Finds the peer's connections anew. Once an epoch and peer.
    fn look_up(&mut self, peer: PeerId, epoch: u32) {
        let links = self.node.book.links(peer);
        let lanes = links.iter().map(|link| self.lane_of(link)).collect();
        if self.by_peer.len() <= peer.index() {
            // Epochs start at 1.
            self.by_peer.resize_with(peer.index() + 1, || (0, Vec::new()));
        }
        self.by_peer[peer.index()] = (epoch, lanes);
    }

    fn lane_of(&mut self, link: &Arc<Link>) -> usize {
        let is = |id: ConnectionId| move |lane: &Lane| lane.link.id == id;
        self.lanes.iter().position(is(link.id)).unwrap_or_else(|| {
            self.lanes.push(Lane::new(link.clone()));
            self.lanes.len() - 1
        })
    }
}
