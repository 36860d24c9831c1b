//! The flow log: beginnings and ends of flows, as JSON lines to a file and as IPFIX to a collector.
//!
//! Workers write into the flow table's journal and never wait. A thread of its own takes the records, ten times a
//! second, and is the only one that a full disk or an unreachable collector can hold up.

mod collector;
mod complaint;
mod file;
mod names;
mod record;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use gridway_control::FlowLogCounters;
use gridway_forwarding::flow::{EndReason, Event, Journal, Record};

use crate::node::Node;
use collector::Collector;
use file::LineFile;
use names::Names;

/// How long a record waits at most before it is written.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the node that stops writes ends of the flows that live.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the log's thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Log there from now on, or nowhere. The file is opened anew.
    Configure(Option<gridway_config::FlowLog>),
    /// Write the ends of all flows, and stop.
    Finish,
}

/// The way to the log's thread, and what it counts.
#[derive(Debug)]
pub(crate) struct FlowLog {
    orders: Sender<Order>,
    records: AtomicU64,
    ipfix_lost: AtomicU64,
    json_lost: AtomicU64,
}

impl FlowLog {
    /// The log, and what its thread reads.
    pub(crate) fn new() -> (Self, Receiver<Order>) {
        let (orders, receiver) = unbounded();
        let [records, ipfix_lost, json_lost] = Default::default();
        (Self { orders, records, ipfix_lost, json_lost }, receiver)
    }

    /// Takes over a configuration. The file is opened anew even if nothing has changed: it may have been renamed.
    pub(crate) fn configure(&self, journal: &Journal, config: Option<gridway_config::FlowLog>) {
        journal.switch(config.is_some());
        // A thread that has ended has stopped the node.
        drop(self.orders.send(Order::Configure(config)));
    }

    /// Has the thread write the ends of all flows and stop. No worker runs any more.
    pub(crate) fn finish(&self) {
        drop(self.orders.send(Order::Finish));
    }

    /// What was counted.
    pub(crate) fn counters(&self, journal: &Journal) -> FlowLogCounters {
        FlowLogCounters {
            records: self.records.load(Ordering::Relaxed),
            dropped: journal.dropped(),
            ipfix_lost: self.ipfix_lost.load(Ordering::Relaxed),
            json_lost: self.json_lost.load(Ordering::Relaxed),
        }
    }
}

/// Where records go.
struct Log<'n> {
    node: &'n Node,
    name: String,
    names: Names,
    collector: Option<Collector>,
    file: Option<LineFile>,
}

/// Writes the log until it is told to finish.
pub(crate) fn run(node: &Node, orders: &Receiver<Order>) {
    let name = node.config.load().node.name.to_string();
    let mut log = Log { node, name, names: Names::default(), collector: None, file: None };
    loop {
        let order = match log.is_on() {
            true => orders.recv_timeout(INTERVAL),
            false => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        log.drain();
        match order {
            Ok(Order::Configure(config)) => log.configure(config),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Finish) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    log.farewell();
}

impl Log<'_> {
    fn is_on(&self) -> bool {
        self.collector.is_some() || self.file.is_some()
    }

    fn configure(&mut self, config: Option<gridway_config::FlowLog>) {
        let now = self.node.clock.now();
        self.close_file();
        let (ipfix, json) = config.map_or((None, None), |config| (config.ipfix, config.json));
        self.file = json.map(LineFile::new);
        if let Some(file) = &mut self.file {
            file.open(now);
        }
        if self.collector.as_ref().map(Collector::address) != ipfix {
            let config = self.node.config.load();
            let device = config.management.interface.as_str();
            self.collector = ipfix.map(|address| Collector::new(address, device));
        }
        // Flows of a vnet or peer that the next configuration leaves out are still to end.
        self.names.learn(self.node);
    }

    /// Writes what the journal holds, at most as much as it can hold: orders wait meanwhile.
    fn drain(&mut self) {
        let journal = self.node.flows.journal();
        for _ in 0..journal.limit() {
            let Some(record) = journal.take() else { break };
            self.write(&record);
        }
        self.flush();
    }

    fn write(&mut self, record: &Record) {
        let Self { node, name, names, .. } = self;
        if !names.know(record.flow.vnet, record.flow.peer) {
            names.learn(node);
        }
        let (vnet, peer) = (names.vnet(record.flow.vnet), names.peer(record.flow.peer));
        let (now, counters) = (node.clock.now(), &node.flow_log);
        if let Some(collector) = &mut self.collector {
            let lost = collector.push(&record::exported(record, vnet, peer, &node.clock), now);
            counters.ipfix_lost.fetch_add(lost, Ordering::Relaxed);
        }
        if let Some(file) = &mut self.file {
            let lost = file.write(&record::line(record, name, vnet, peer, &node.clock), now);
            counters.json_lost.fetch_add(lost, Ordering::Relaxed);
        }
        counters.records.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&mut self) {
        let now = self.node.clock.now();
        if let Some(collector) = &mut self.collector {
            self.node.flow_log.ipfix_lost.fetch_add(collector.flush(now), Ordering::Relaxed);
        }
        if let Some(file) = &mut self.file {
            file.flush(now);
        }
    }

    fn close_file(&mut self) {
        if let Some(mut file) = self.file.take() {
            let lost = file.close(self.node.clock.now());
            self.node.flow_log.json_lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// The ends of all flows that live, as many as there is time for.
    fn farewell(&mut self) {
        if !self.is_on() {
            return;
        }
        let (node, deadline) = (self.node, Instant::now() + FAREWELL);
        let mut unsaid = 0_u64;
        node.flows.for_each(|_, flow| {
            if Instant::now() < deadline {
                self.write(&Record { event: Event::End(EndReason::Stopped), flow: *flow });
            } else {
                unsaid += 1;
            }
            true
        });
        self.flush();
        self.close_file();
        if unsaid > 0 {
            tracing::warn!(flows = unsaid, "no time to log the ends of all flows");
        }
    }
}
