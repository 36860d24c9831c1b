//! A worker: one pinned thread that owns queues of the data NIC, tunnel connections, or both.

pub(crate) mod connection;
mod data;
mod lanes;
mod send_queue;
pub(crate) mod survey;
mod tunnel;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::Receiver;
use gridway_config::Polling;
use gridway_forwarding::Counters;
use gridway_netlink::Segmentation;
use gridway_wire::time::Nanos;
use gridway_xsk::{Port, SegmentSocket};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::link::Link;
use crate::node::{Control, Node};
use crate::pool::{CHUNK_LEN, Chunk};
use connection::{Deliver, opened_records};
use data::DataRole;
use lanes::Outbox;
use tunnel::TunnelRole;

/// Token of the waker of every worker's poll.
pub(crate) const WAKER_TOKEN: Token = Token(usize::MAX);
/// How often a worker does what need not be done in every turn.
const TICK: Duration = Duration::from_millis(250);
/// Flows looked at for expiry at every tick, at least; a large table is walked within a minute.
const EXPIRY_BUDGET: usize = 4096;
/// Bytes of received chunks that are delivered before queues and timers have their turn.
const BYTES_A_TURN: usize = 8 * CHUNK_LEN;
/// What a chunk counts for at least, however little it holds.
const LEAST_OF_A_CHUNK: usize = CHUNK_LEN / 8;
/// How soon packets that the kernel did not take are offered again.
const RETRY: Duration = Duration::from_micros(200);

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) poll: Poll,
    pub(crate) control: Receiver<Control>,
    pub(crate) port: Option<DataSockets>,
}

/// How a worker reaches the data NIC.
pub(crate) struct DataSockets {
    /// Its queues.
    pub(crate) port: Port,
    /// For long packets to local hosts, where the port copies frames.
    pub(crate) segments: Option<(SegmentSocket, Segmentation)>,
}

/// The worker's own state.
struct Worker {
    node: Arc<Node>,
    index: usize,
    poll: Poll,
    control: Receiver<Control>,
    counters: Arc<Counters>,
    data: Option<DataRole>,
    tunnel: Option<TunnelRole>,
    outbox: Outbox,
    next_tick: Nanos,
    expiry_cursor: usize,
    stopping: bool,
}

/// Runs a worker until the node stops.
pub(crate) fn run(node: Arc<Node>, start: Start) -> io::Result<()> {
    let handle = &node.workers[start.index];
    if !core_affinity::set_for_current(core_affinity::CoreId { id: handle.cpu }) {
        tracing::warn!(worker = start.index, cpu = handle.cpu, "cannot pin the worker to its CPU");
    }
    let tunnel = match handle.has_tunnels {
        true => Some(TunnelRole::new(node.clone(), start.index, start.poll.registry())?),
        false => None,
    };
    let data = start.port.map(|sockets| DataRole::new(node.clone(), start.index, sockets));
    let mut worker = Worker {
        counters: handle.counters.clone(),
        index: start.index,
        poll: start.poll,
        control: start.control,
        data,
        tunnel,
        outbox: Vec::with_capacity(64),
        next_tick: Nanos(0),
        expiry_cursor: 0,
        stopping: false,
        node,
    };
    worker.register_queues()?;
    worker.run()
}

impl Worker {
    fn register_queues(&self) -> io::Result<()> {
        for (index, socket) in self.data.iter().flat_map(DataRole::sockets).enumerate() {
            self.poll.registry().register(&mut SourceFd(&socket), Token(index), Interest::READABLE)?;
        }
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let busy = self.node.config.load().workers.polling == Polling::Busy;
        let mut worked = true;
        while !self.stopping {
            self.wait(&mut events, worked || busy)?;
            let now = self.node.clock.now();
            worked = self.iterate(now);
        }
        self.finish();
        Ok(())
    }

    /// Learns which sockets are ready; sleeps first if there is nothing to do.
    fn wait(&mut self, events: &mut Events, awake: bool) -> io::Result<()> {
        let mut timeout = Duration::ZERO;
        if !awake {
            self.me().sleeping.store(true, Ordering::SeqCst);
            // Whoever put something into a queue before it saw the flag does not wake us.
            if self.inboxes_are_empty() {
                let now = self.node.clock.now();
                timeout = self.time_to_sleep(now);
                self.counters.sleeps.add(1);
                self.me().slept.begin(now);
            }
        }
        let polled = self.poll.poll(events, Some(timeout));
        if !timeout.is_zero() {
            self.me().slept.end(self.node.clock.now());
        }
        self.me().sleeping.store(false, Ordering::Release);
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if let Some(tunnel) = &mut self.tunnel {
            events.iter().for_each(|event| tunnel.set_ready(event));
        }
        Ok(())
    }

    fn me(&self) -> &crate::node::WorkerHandle {
        &self.node.workers[self.index]
    }

    fn inboxes_are_empty(&self) -> bool {
        let me = self.me();
        let no_news = self.data.as_ref().is_none_or(|data| !data.has_news());
        let no_more = self.tunnel.as_ref().is_none_or(|tunnel| !tunnel.has_more());
        me.records.is_empty() && me.chunks.is_empty() && self.control.is_empty() && no_news && no_more
    }

    fn time_to_sleep(&self, now: Nanos) -> Duration {
        let due =
            self.tunnel.as_ref().map_or(self.next_tick, |tunnel| tunnel.next_timeout().min(self.next_tick));
        let due = if self.index == 0 { due.min(self.node.monitors.next_timeout()) } else { due };
        // Rounded up to what the poll can express, or it would be called again and again just before.
        due.since(now) + Duration::from_millis(1)
    }

    /// One turn of the loop. Returns whether there was anything to do.
    fn iterate(&mut self, now: Nanos) -> bool {
        let mut worked = self.handle_control(now);
        if let Some(data) = &mut self.data {
            data.begin_turn();
            worked |= data.receive(now, &mut self.outbox) > 0;
            data.close_records(now, &mut self.outbox);
        }
        worked |= self.take_records();
        self.dispatch();
        worked |= self.receive_from_tunnels(now);
        worked |= self.tunnel.as_mut().is_some_and(|tunnel| tunnel.work(now));
        worked |= self.take_chunks(now);
        self.tick(now);
        let mut again = false;
        if let Some(data) = &mut self.data {
            // Monitors belong to nobody; one worker looks after them.
            if self.index == 0 && now >= self.node.monitors.next_timeout() {
                data.handle_monitors(now, &mut self.outbox);
            }
            // Answers to the overlay.
            data.close_records(now, &mut self.outbox);
            again = data.flush(now);
        }
        self.dispatch();
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.handle_timeouts(now);
            tunnel.flush(now);
            worked |= tunnel.has_more();
        }
        if again && !worked {
            std::thread::sleep(RETRY);
        }
        worked || again
    }

    /// Sends closed records to the workers that own their connections, waking each once.
    fn dispatch(&mut self) {
        let mut woken = 0_u64;
        for (link, record) in self.outbox.drain(..) {
            if link.owner == self.index {
                if let Some(tunnel) = &mut self.tunnel {
                    tunnel.enqueue(&link, record);
                }
                continue;
            }
            let owner = &self.node.workers[link.owner];
            if let Err((_, record)) = owner.records.push((link.clone(), record)) {
                // The ring has a place for every buffer there is.
                unreachable!("no room for a record of {} packets", record.contents().local);
            }
            woken |= 1 << (link.owner % 64);
        }
        for (index, worker) in self.node.workers.iter().enumerate() {
            if woken & 1 << (index % 64) != 0 {
                worker.wake();
            }
        }
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.flush(self.node.clock.now());
        }
    }

    /// Takes the records that other workers wrote for our connections.
    fn take_records(&mut self) -> bool {
        let Some(tunnel) = &mut self.tunnel else { return false };
        let records = &self.node.workers[self.index].records;
        // No more than there are now: what is joined makes room for others, which would never end.
        let waiting = records.len();
        for (link, record) in std::iter::from_fn(|| records.pop()).take(waiting) {
            tunnel.enqueue(&link, record);
        }
        waiting > 0
    }

    fn receive_from_tunnels(&mut self, now: Nanos) -> bool {
        let Some(tunnel) = &mut self.tunnel else { return false };
        let mut delivery = Delivery {
            node: &self.node,
            index: self.index,
            data: self.data.as_mut(),
            outbox: &mut self.outbox,
            now,
            woken: 0,
        };
        let worked = tunnel.read(now, &mut delivery);
        delivery.wake();
        worked
    }

    /// Delivers what other workers opened.
    fn take_chunks(&mut self, now: Nanos) -> bool {
        let (Some(data), mut taken) = (&mut self.data, 0) else { return false };
        while taken < BYTES_A_TURN {
            let Some((link, mut chunk)) = self.node.workers[self.index].chunks.pop() else { break };
            taken += chunk.filled.max(LEAST_OF_A_CHUNK);
            for frames in opened_records(&mut chunk.bytes[..chunk.filled]) {
                data.inbound(&link, frames, now, &mut self.outbox);
            }
            self.node.pools.give_chunk(chunk);
            data.flush(now);
        }
        taken > 0
    }

    fn handle_control(&mut self, now: Nanos) -> bool {
        let mut handled = false;
        while let Ok(message) = self.control.try_recv() {
            handled = true;
            if let Control::Stop = message {
                self.stopping = true;
            }
            if let (Control::Ping(identifier, sequence, to), Some(data)) = (&message, &mut self.data) {
                data.ping(*identifier, *sequence, *to, now, &mut self.outbox);
            }
            if let Some(tunnel) = &mut self.tunnel {
                match message {
                    Control::Adopt(connection) => tunnel.adopt(*connection, now),
                    Control::Close(ids, reason, text) => tunnel.close(&ids, reason, &text, now),
                    Control::Announce(vnets) => tunnel.announce(&vnets),
                    Control::Rejudge => tunnel.rejudge(now),
                    Control::Settle(connection) => tunnel.settle_here(*connection, now),
                    Control::EndSessions(ids) => tunnel.proxy().end_sessions(&ids, now),
                    Control::Survey(answer) => {
                        // Who asked may have gone; there is room for every worker's answer.
                        drop(answer.try_send(tunnel.survey(now)));
                    }
                    Control::Reconfigured => tunnel.reconfigure(now),
                    Control::Stop => tunnel.stop(now),
                    Control::Ping(..) => {}
                }
            }
        }
        handled
    }

    fn tick(&mut self, now: Nanos) {
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        self.me().turns.fetch_add(1, Ordering::Relaxed);
        if let Some(data) = &mut self.data {
            data.tick(now, &mut self.outbox);
        }
        if let Some(tunnel) = &mut self.tunnel {
            // A tunnel does not outlive its certificate.
            tunnel.rejudge(now);
            tunnel.replace_worn(now);
        }
        // Flows belong to nobody; one worker looks after them.
        if self.index == 0 {
            let (flows, policy) = (&self.node.flows, self.node.policy.load());
            let budget = EXPIRY_BUDGET.max(flows.len() / 128);
            flows.expire(&mut self.expiry_cursor, budget, &policy.timeouts, now);
            self.count_expired_fragments(self.node.fragments.expire(now));
        }
    }

    fn count_expired_fragments(&self, [outbound, inbound]: [u64; 2]) {
        for (books, count) in [(&self.counters.outbound, outbound), (&self.counters.inbound, inbound)] {
            books.dequeued.add(count);
            books.drop(gridway_forwarding::DropReason::FragmentExpired, count);
        }
    }

    fn finish(&mut self) {
        self.take_records();
        self.dispatch();
        let now = self.node.clock.now();
        while self.take_chunks(now) {}
        if let Some(data) = &mut self.data {
            data.flush(now);
            data.finish(now);
        }
        if self.index == 0 {
            self.count_expired_fragments(self.node.fragments.clear());
        }
    }
}

/// Delivers opened records: here if this worker has the link's data role, else over there.
struct Delivery<'a> {
    node: &'a Node,
    index: usize,
    data: Option<&'a mut DataRole>,
    outbox: &'a mut Outbox,
    now: Nanos,
    woken: u64,
}

impl Deliver for Delivery<'_> {
    fn is_here(&self, link: &Link) -> bool {
        link.data_worker == self.index
    }

    fn here(&mut self, link: &Arc<Link>, frames: &mut [u8]) {
        if let Some(data) = &mut self.data {
            data.inbound(link, frames, self.now, self.outbox);
        }
    }

    fn read_done(&mut self) {
        if let Some(data) = &mut self.data {
            data.flush(self.now);
        }
    }

    fn hand_over(&mut self, link: &Arc<Link>, chunk: Chunk) {
        self.woken |= 1 << (link.data_worker % 64);
        if let Err((link, mut chunk)) = self.node.workers[link.data_worker].chunks.push((link.clone(), chunk))
        {
            // Sockets are always read: what the data worker has no room for is dropped here.
            let counters = &self.node.workers[self.index].counters.inbound;
            for frames in opened_records(&mut chunk.bytes[..chunk.filled]) {
                let packets = data::count_packets(frames);
                counters.received.add(packets);
                counters.drop(gridway_forwarding::DropReason::QueueFull, packets);
            }
            tracing::debug!(connection = link.id.0, "data worker is behind");
            self.node.pools.give_chunk(chunk);
        }
    }
}

impl Delivery<'_> {
    fn wake(&self) {
        for (index, worker) in self.node.workers.iter().enumerate() {
            if self.woken & 1 << (index % 64) != 0 {
                worker.wake();
            }
        }
    }
}
